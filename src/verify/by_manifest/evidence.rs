//! What two fresh reads of a file say about a difference found by its leaves. Pure.

use crate::model::{
    Blake3Digest, ContentDigest, Difference, DifferenceKind, Evidence, Findings, Problem, Reason, Unverified,
};
use crate::scan::FileDigests;

/// One side of a file that was read twice: the leaf of the manifest, and the read for evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TwoReads {
    /// The digest in the manifest.
    pub first: Blake3Digest,
    /// The second read; `None` where it was not read a second time.
    pub second: Option<Result<FileDigests, Problem>>,
}

/// Puts the digests of the second reads into a content difference.
///
/// Two steady reads with different digests are a proven difference, even where a file cannot be read a second time.
/// Only where the second reads agree has a file changed in between; then nothing is known about now, and the entry is
/// unverified.
pub(super) fn settle(findings: &mut Findings, at: usize, source: &TwoReads, destination: &TwoReads) {
    let difference = &mut findings.differences[at];
    if let (Some(Ok(s)), Some(Ok(d))) = (&source.second, &destination.second)
        && s.blake3 == d.blake3
    {
        let changed = |reads: &TwoReads, now: &FileDigests| {
            let detail = "its bytes are not those of the digest that was compared: they changed since, or the digest was a \
                          recorded one and wrong";
            (reads.first != now.blake3).then(|| Problem::new(Reason::ChangedWhileReading, detail))
        };
        let unverified = Unverified { source: changed(source, s), destination: changed(destination, d) };
        difference.kind = DifferenceKind::Unverified;
        difference.unverified = Some(unverified);
        findings.counters.digest_mismatches -= 1;
        findings.counters.digest_verification_failures += 1;
    }
    add_digests(difference, source, destination);
}

fn add_digests(difference: &mut Difference, source: &TwoReads, destination: &TwoReads) {
    for (evidence, reads) in [(&mut difference.source, source), (&mut difference.destination, destination)] {
        if let (Some(Evidence { digests, .. }), Some(Ok(read))) = (evidence, &reads.second) {
            *digests = std::iter::once(ContentDigest::Blake3(read.blake3)).chain(read.also.iter().copied()).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Counters, FileUrl, RelPath, RootId};

    fn reads(first: u8, second: Option<Result<u8, Reason>>) -> TwoReads {
        let digest = |n| Blake3Digest([n; 32]);
        let second = second.map(|read| {
            read.map(|n| FileDigests { blake3: digest(n), also: vec![ContentDigest::XxHash32(u32::from(n))] })
                .map_err(|reason| Problem::new(reason, "x"))
        });
        TwoReads { first: digest(first), second }
    }

    fn settled(source: TwoReads, destination: TwoReads) -> (Findings, Difference) {
        let difference = Difference {
            url: FileUrl::new(RootId::DATA_0, RelPath::root()),
            kind: DifferenceKind::Content,
            source: Some(Evidence::default()),
            destination: Some(Evidence::default()),
            unverified: None,
        };
        let counters = Counters { digest_mismatches: 1, ..Counters::default() };
        let mut findings = Findings { counters, differences: vec![difference], content_not_compared: 0 };
        settle(&mut findings, 0, &source, &destination);
        let difference = findings.differences[0].clone();
        (findings, difference)
    }

    #[test]
    fn a_difference_carries_both_digests_of_both_sides() {
        let (findings, difference) = settled(reads(1, Some(Ok(1))), reads(2, Some(Ok(2))));
        assert_eq!(findings.counters.digest_mismatches, 1);
        assert_eq!(difference.kind, DifferenceKind::Content);
        let digests = difference.destination.unwrap().digests;
        assert_eq!(digests, [ContentDigest::Blake3(Blake3Digest([2; 32])), ContentDigest::XxHash32(2)]);
    }

    #[test]
    fn files_that_agree_now_are_unverified_and_never_equal() {
        let (findings, difference) = settled(reads(1, Some(Ok(1))), reads(2, Some(Ok(1))));
        let expected = Counters { digest_verification_failures: 1, ..Counters::default() };
        assert_eq!(findings.counters, expected);
        let unverified = difference.unverified.unwrap();
        assert_eq!((unverified.side(), unverified.reason()), ("destination", Reason::ChangedWhileReading));
    }

    #[test]
    fn a_file_that_cannot_be_read_twice_still_differed() {
        let gone = Some(Err(Reason::Vanished));
        for (s, d) in [(gone, Some(Ok(2))), (Some(Ok(1)), gone), (None, None)] {
            let (findings, difference) = settled(reads(1, s), reads(2, d));
            assert_eq!(findings.counters.digest_mismatches, 1);
            assert_eq!(difference.kind, DifferenceKind::Content);
        }
    }
}
