//! How a file must be hashed so that it can be compared with what a list says of it. Pure.

use std::num::NonZeroU64;

use crate::checksums::part_sizes;
use crate::model::{ContentDigest, HashAlgorithm, Problem, Reason};
use crate::verify::per_file::Answer;

/// What a file is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected(Vec<HashAlgorithm>);

impl Expected {
    /// What to ask a file of this size for, where the list says this of it. A value of parts does not say how large they were: all usual sizes
    /// that give their number come into question, one after the other.
    pub(super) fn of(listed: &Answer, size: u64) -> Self {
        Self(match listed {
            Ok(ContentDigest::Md5(_)) => vec![HashAlgorithm::Md5],
            Ok(ContentDigest::Sha1(_)) => vec![HashAlgorithm::Sha1],
            Ok(ContentDigest::Sha256(_)) => vec![HashAlgorithm::Sha256],
            Ok(ContentDigest::XxHash32(_)) => vec![HashAlgorithm::XxHash32],
            Ok(ContentDigest::Md5OfParts(_, parts)) => {
                part_sizes(size, *parts).into_iter().map(HashAlgorithm::Md5OfParts).collect()
            }
            // Nothing that is read could be compared with it.
            Ok(ContentDigest::Blake3(_)) | Err(_) => Vec::new(),
        })
    }

    pub(super) fn algorithms(&self) -> &[HashAlgorithm] {
        &self.0
    }

    /// Every algorithm that some file is asked for: those of whole files first, then those of parts from the smallest on.
    pub(super) fn all<'a>(expected: impl Iterator<Item = &'a Self>) -> Vec<HashAlgorithm> {
        let mut all: Vec<HashAlgorithm> = Vec::new();
        for algorithm in expected.flat_map(|expected| &expected.0) {
            if !all.contains(algorithm) {
                all.push(*algorithm);
            }
        }
        all.sort_by_key(|algorithm| match algorithm {
            HashAlgorithm::Md5OfParts(bytes) => Some(*bytes),
            _ => None::<NonZeroU64>,
        });
        all
    }

    /// Makes of an answer what is known in the end: a value of parts of which nobody knows the size proves no difference.
    pub(super) fn settle(&self, listed: &Answer, answer: &mut Answer) {
        let Ok(ContentDigest::Md5OfParts(_, parts)) = listed else { return };
        // One part is the whole, so that another value is other content.
        if met(listed, answer) || *parts == 1 {
            return;
        }
        let unknown = |what: &str| {
            let detail = format!("the list has the MD5 of {parts} parts and not their size; {what}");
            Err(Problem::new(Reason::PeerError, detail))
        };
        match answer {
            _ if self.0.is_empty() => *answer = unknown("no usual one gives so many"),
            Ok(_) => *answer = unknown("none of the usual ones gives this value"),
            Err(_) => {}
        }
    }
}

/// Whether a file is known to be what the list says.
pub(super) fn met(listed: &Answer, answer: &Answer) -> bool {
    matches!((listed, answer), (Ok(listed), Ok(answer)) if listed == answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: ContentDigest = ContentDigest::Md5OfParts([7; 16], 2);

    fn mib(mib: u64) -> HashAlgorithm {
        HashAlgorithm::Md5OfParts(NonZeroU64::new(mib << 20).unwrap())
    }

    #[test]
    fn a_file_is_asked_for_what_the_list_has() {
        let of = |listed| Expected::of(&Ok(listed), 100 << 20).0;
        assert_eq!(of(ContentDigest::Sha1([0; 20])), [HashAlgorithm::Sha1]);
        assert_eq!(of(PARTS), [mib(50), mib(64)]);
        assert_eq!(of(ContentDigest::Md5OfParts([7; 16], 90)), []);
        assert_eq!(Expected::of(&Err(Problem::new(Reason::PeerError, "")), 5).0, []);
        let all =
            [Expected(vec![mib(50), mib(64)]), Expected(vec![HashAlgorithm::Md5]), Expected(vec![mib(8), mib(50)])];
        assert_eq!(Expected::all(all.iter()), [HashAlgorithm::Md5, mib(8), mib(50), mib(64)]);
    }

    #[test]
    fn parts_of_an_unknown_size_prove_equality_and_no_difference() {
        let settled = |listed: ContentDigest, answer: Answer, size| {
            let (listed, mut answer) = (Ok(listed), answer);
            Expected::of(&listed, size).settle(&listed, &mut answer);
            answer
        };
        let other = ContentDigest::Md5OfParts([8; 16], 2);
        assert_eq!(settled(PARTS, Ok(PARTS), 100 << 20), Ok(PARTS));
        let unknown = settled(PARTS, Ok(other), 100 << 20).unwrap_err();
        assert!(unknown.detail.ends_with("none of the usual ones gives this value"), "{}", unknown.detail);
        let gone = Problem::new(Reason::Vanished, "gone");
        assert_eq!(settled(PARTS, Err(gone.clone()), 100 << 20), Err(gone.clone()));
        let unknown = settled(ContentDigest::Md5OfParts([7; 16], 90), Err(gone), 100 << 20).unwrap_err();
        assert!(unknown.detail.ends_with("no usual one gives so many"), "{}", unknown.detail);
        let (one, another) = (ContentDigest::Md5OfParts([7; 16], 1), ContentDigest::Md5OfParts([8; 16], 1));
        assert_eq!(settled(one, Ok(another), 100 << 20), Ok(another));
        let md5 = ContentDigest::Md5([1; 16]);
        assert_eq!(settled(md5, Ok(ContentDigest::Md5([2; 16])), 5), Ok(ContentDigest::Md5([2; 16])));
    }
}
