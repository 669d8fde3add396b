//! What a comparison finds, as it is found: counted at once, and kept on disk.

use std::path::PathBuf;

use crate::manifest::DifferenceSums;
use crate::model::{Difference, Findings, Sink, Tally};
use crate::protocol::DifferenceBody;
use crate::store::{Lost, Pages, Scratch, Spool};

/// Takes differences as they are found, in whatever order. In memory it holds a bounded number of them.
#[derive(Debug)]
pub struct Found {
    tally: Tally,
    sums: DifferenceSums,
    spool: Spool,
}

/// Everything that was found.
#[derive(Debug)]
pub struct Total {
    /// All of it counted, with the differences that could not be kept.
    pub tally: Tally,
    /// How many of each kind lie where.
    pub sums: DifferenceSums,
    /// Each as a [`DifferenceBody`], ordered by root and path.
    pub pages: Pages,
    /// Differences that are counted and could not be kept, as on a full disk.
    pub lost: Option<Lost>,
}

impl Found {
    /// Nothing yet. What is too much for memory lies in this directory, in the system's one for temporary files where
    /// `None`, and is gone with the process.
    pub fn new(directory: Option<PathBuf>) -> Self {
        let spool = Spool::new(Scratch::new(directory));
        Self { tally: Tally::default(), sums: DifferenceSums::default(), spool }
    }

    /// What was counted so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn push(&mut self, difference: &Difference) {
        self.sums.add(difference);
        // Our own values always serialise.
        let line = serde_json::to_vec(&DifferenceBody::from(difference)).unwrap_or_default();
        self.spool.push(difference.url.sort_key(), line);
    }

    /// All of it. The pages belong to `owner`, such as the id of a task.
    pub fn total(self, owner: String) -> Total {
        let Self { tally, sums, spool } = self;
        let (pages, lost) = spool.sorted(owner);
        Total { tally, sums, pages, lost }
    }
}

impl Sink for Found {
    fn take(&mut self, part: Findings) {
        self.tally.add(&part.tally());
        part.differences.iter().for_each(|difference| self.push(difference));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Counters, DifferenceKind, FileUrl, RelPath, RootId};

    #[test]
    fn differences_come_out_sorted_and_counted_in_whatever_order_they_came() {
        let difference = |path: &str, kind| Difference {
            url: FileUrl::new(RootId::DATA_0, RelPath::new(path.as_bytes()).unwrap()),
            kind,
            source: None,
            destination: None,
            unverified: None,
        };
        let counters = Counters { digest_mismatches: 1, ..Counters::default() };
        let part = |differences| Findings { counters, differences, content_not_compared: 2 };
        let mut found = Found::new(None);
        found.take(part(vec![difference("ks/t/b", DifferenceKind::Content)]));
        found.take(part(vec![
            difference("ks/t.x", DifferenceKind::Size),
            difference("ks/t/a", DifferenceKind::Type),
            difference("ks/t/a", DifferenceKind::Unverified),
        ]));
        let total = found.total("id".to_owned());
        let Tally { counters, differences, content_not_compared } = total.tally;
        assert_eq!((counters.digest_mismatches, content_not_compared, differences), (2, 4, 4));
        let lines = total.pages.read(0, 10).unwrap();
        let read: Vec<DifferenceBody> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let read: Vec<_> = read.iter().map(|body| (&body.file_url[36..], body.kind)).collect();
        let expected = [
            ("ks/t/a", DifferenceKind::Type),
            ("ks/t/a", DifferenceKind::Unverified),
            ("ks/t/b", DifferenceKind::Content),
            ("ks/t.x", DifferenceKind::Size),
        ];
        assert_eq!(read, expected);
    }
}
