//! What two values say of a file. Pure.

use crate::manifest::{Compared, Facts};
use crate::model::{
    ContentDigest, Counters, Difference, DifferenceKind, EntryKind, Evidence, FileEntry, FileUrl, Findings, Listed,
    Problem, Reason, RelPath, RootId, Unverified,
};
use crate::verify::per_file::Answer;

/// What the values of source and destination say of a file that both have with the same metadata.
pub(super) fn verdict(
    (root, path): (RootId, RelPath),
    (source, destination): &(FileEntry, FileEntry),
    values: [Answer; 2],
    compared: &Compared,
) -> Findings {
    let mut counters = Counters::default();
    let problem = |side: usize| values[side].as_ref().err().cloned();
    let (kind, unverified) = match (&values[0], &values[1]) {
        (Ok(left), Ok(right)) if left == right => {
            counters.files_matched = 1;
            return Findings { counters, ..Findings::default() };
        }
        // The same bytes in parts of other sizes have other values; one part is all of them.
        (Ok(ContentDigest::Md5OfParts(_, left)), Ok(ContentDigest::Md5OfParts(_, right)))
            if (*left, *right) != (1, 1) =>
        {
            counters.digest_verification_failures = 1;
            let what = format!(
                "both lists have the MD5 of parts, {left} and {right}, and not their sizes: they cannot be compared"
            );
            let problem = Problem::new(Reason::PeerError, what);
            (DifferenceKind::Unverified, Some(Unverified { source: Some(problem.clone()), destination: Some(problem) }))
        }
        (Ok(left), Ok(right)) if left.algorithm() == right.algorithm() => {
            counters.digest_mismatches = 1;
            (DifferenceKind::Content, None)
        }
        // Of two lists one has a value of the whole, the other one of parts.
        (Ok(left), Ok(right)) => {
            counters.digest_verification_failures = 1;
            let what =
                format!("one list has {}, the other {}: they cannot be compared", left.algorithm(), right.algorithm());
            let problem = Problem::new(Reason::PeerError, what);
            (DifferenceKind::Unverified, Some(Unverified { source: Some(problem.clone()), destination: Some(problem) }))
        }
        _ => {
            counters.digest_verification_failures = 1;
            (DifferenceKind::Unverified, Some(Unverified { source: problem(0), destination: problem(1) }))
        }
    };
    let [left, right] = values;
    let source = Some(evidence(source, left, compared.source));
    let destination = Some(evidence(destination, right, compared.destination));
    let difference = Difference { url: FileUrl::new(root, path), kind, source, destination, unverified };
    Findings { counters, differences: vec![difference], content_not_compared: 0 }
}

fn evidence(file: &FileEntry, value: Answer, known: Facts) -> Evidence {
    let (size, modified_ms) = match file.listed {
        Listed::File { size, modified_ms, .. } => (Some(size), Some(modified_ms)),
        Listed::Unlistable(_) => (None, None),
    };
    Evidence {
        kind: Some(EntryKind::File),
        size: size.filter(|_| known.sizes),
        modified_ms: modified_ms.filter(|_| known.times),
        digests: value.ok().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Content, Name};

    #[test]
    fn only_two_equal_values_of_one_kind_are_a_match() {
        let listed = Listed::File { size: 1, modified_ms: 5, content: Content::NotRead };
        let file = FileEntry { name: Name::new(b"f").unwrap(), listed };
        let compared = Compared { source: Facts { sizes: true, times: false }, ..Compared::ALL };
        let of = |left: Answer, right: Answer| {
            let at = (RootId::DATA_0, RelPath::new(b"f").unwrap());
            let found = verdict(at, &(file.clone(), file.clone()), [left, right], &compared);
            let counters = found.counters;
            let counts = [counters.files_matched, counters.digest_mismatches, counters.digest_verification_failures];
            (counts, found.differences.into_iter().next())
        };
        let (md5, parts) = (|byte| Ok(ContentDigest::Md5([byte; 16])), Ok(ContentDigest::Md5OfParts([1; 16], 3)));
        let gone = || Err(Problem::new(Reason::Vanished, "gone"));
        assert_eq!(of(md5(1), md5(1)), ([1, 0, 0], None));
        let (counts, difference) = of(md5(1), md5(2));
        let difference = difference.unwrap();
        assert_eq!((counts, difference.kind), ([0, 1, 0], DifferenceKind::Content));
        let [source, destination] = [difference.source.unwrap(), difference.destination.unwrap()];
        assert_eq!((source.size, source.modified_ms), (Some(1), None), "a list says nothing of times");
        assert_eq!((destination.modified_ms, destination.digests), (Some(5), vec![ContentDigest::Md5([2; 16])]));
        let one = |byte| Ok(ContentDigest::Md5OfParts([byte; 16], 1));
        assert_eq!(of(one(1), one(2)).0, [0, 1, 0], "one part is the whole");
        let (others, fewer) = (Ok(ContentDigest::Md5OfParts([2; 16], 3)), Ok(ContentDigest::Md5OfParts([1; 16], 2)));
        for (left, right) in [
            (md5(1), gone()),
            (gone(), md5(1)),
            (gone(), gone()),
            (md5(1), parts.clone()),
            (parts.clone(), others),
            (parts, fewer),
            (one(1), Ok(ContentDigest::Md5OfParts([2; 16], 2))),
        ] {
            let (counts, difference) = of(left, right);
            assert_eq!((counts, difference.unwrap().kind), ([0, 0, 1], DifferenceKind::Unverified));
        }
    }
}
