//! Names that the per-file protocol cannot carry: its JSON has U+FFFD for every byte that is not UTF-8. Pure.

use crate::model::{DifferenceKind, Findings, Problem, Reason, Side, Unverified};

/// An entry of such a name looks missing on both sides, and nobody knows whether it is: it could not be checked.
pub(super) fn settle_names(findings: &mut Findings) {
    for difference in &mut findings.differences {
        let missing = match difference.kind {
            DifferenceKind::MissingAtSource => &mut findings.counters.files_not_found_at_source,
            DifferenceKind::MissingAtDestination => &mut findings.counters.files_not_found_at_destination,
            _ => continue,
        };
        if difference.url.text().contains(char::REPLACEMENT_CHARACTER) {
            *missing -= 1;
            findings.counters.digest_verification_failures += 1;
            let problem = Problem::new(Reason::PeerError, "the per-file protocol cannot carry its name");
            difference.kind = DifferenceKind::Unverified;
            difference.unverified = Some(Unverified::at(Side::Source, problem));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Counters, Difference, FileUrl, RelPath, RootId};

    #[test]
    fn a_name_that_cannot_be_asked_for_is_unverified_and_not_missing() {
        let difference = |path: &[u8], kind| Difference {
            url: FileUrl::new(RootId::DATA_0, RelPath::new(path).unwrap()),
            kind,
            source: None,
            destination: None,
            unverified: None,
        };
        let mut findings = Findings {
            counters: Counters {
                files_not_found_at_source: 2,
                files_not_found_at_destination: 1,
                ..Counters::default()
            },
            differences: vec![
                difference(b"a", DifferenceKind::MissingAtSource),
                difference(b"d\xff/x", DifferenceKind::MissingAtSource),
                difference("d\u{fffd}".as_bytes(), DifferenceKind::MissingAtDestination),
            ],
        };
        settle_names(&mut findings);
        let expected =
            Counters { files_not_found_at_source: 1, digest_verification_failures: 2, ..Counters::default() };
        assert_eq!(findings.counters, expected);
        let kinds: Vec<_> = findings.differences.iter().map(|difference| difference.kind).collect();
        assert_eq!(kinds, [DifferenceKind::MissingAtSource, DifferenceKind::Unverified, DifferenceKind::Unverified]);
    }
}
