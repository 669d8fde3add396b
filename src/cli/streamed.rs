//! A result whose differences are on disk, as one JSON object that is written while they are read back.

use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use crate::protocol::{DifferenceBody, ReportBody, ReportSummary, TaskStatus};
use crate::store::Pages;

/// A [`ReportBody`] with all its differences, which are read back as they are written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Streamed<'a> {
    #[serde(flatten)]
    status: &'a TaskStatus,
    #[serde(flatten)]
    summary: &'a ReportSummary,
    differences_total: u64,
    offset: u64,
    differences: Kept<'a>,
}

impl<'a> Streamed<'a> {
    pub(super) fn new(report: &'a ReportBody, pages: &'a Pages) -> Self {
        let ReportBody { status, summary, differences_total, offset, differences: _ } = report;
        Self { status, summary, differences_total: *differences_total, offset: *offset, differences: Kept(pages) }
    }
}

/// Differences on disk, in their order.
pub(super) struct Kept<'a>(pub &'a Pages);

/// How many of them are read at once.
const PAGE: u64 = 512;

impl Kept<'_> {
    /// Some of them.
    pub(super) fn page(&self, offset: u64, limit: u64) -> Result<Vec<DifferenceBody>, String> {
        let lines = self.0.read(offset, limit).map_err(|error| format!("the differences kept on disk: {error}"))?;
        lines.iter().map(|line| serde_json::from_str(line).map_err(|error| error.to_string())).collect()
    }
}

impl Serialize for Kept<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for offset in (0..self.0.items()).step_by(PAGE as usize) {
            let page = self.page(offset, PAGE).map_err(S::Error::custom)?;
            page.iter().try_for_each(|difference| list.serialize_element(difference))?;
        }
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::Rules;
    use crate::manifest::{Identity, scope_of_one_side};
    use crate::model::{Difference, DifferenceKind, FileUrl, Findings, Outcome, RelPath, RootId, Sink as _};
    use crate::verify::Found;

    #[test]
    fn it_is_the_object_that_every_other_result_is() {
        let difference = |number: u32| Difference {
            url: FileUrl::new(RootId::DATA_0, RelPath::new(format!("{number:05}").as_bytes()).unwrap()),
            kind: DifferenceKind::Content,
            source: None,
            destination: None,
            unverified: None,
        };
        let differences: Vec<Difference> = (0..1500).map(difference).collect();
        let bodies: Vec<DifferenceBody> = differences.iter().map(DifferenceBody::from).collect();
        let mut found = Found::new(None);
        found.take(Findings { differences, ..Findings::default() });
        let tally = *found.tally();
        let pages = found.total(String::new()).pages;
        let identity = Identity::new(String::new(), String::new(), 0, &Rules::none());
        let outcome = Outcome::new(scope_of_one_side(&identity, [RootId::DATA_0]), tally, vec![]);
        let of = |bodies: Vec<DifferenceBody>| {
            ReportBody::local(&outcome, bodies, ReportSummary::default(), "s".to_owned(), (1, 2))
        };
        let (first, whole) = (of(bodies[..3].to_vec()), of(bodies));
        let streamed = serde_json::to_string_pretty(&Streamed::new(&first, &pages)).unwrap();
        assert_eq!(streamed, serde_json::to_string_pretty(&whole).unwrap());
    }
}
