//! What equality is to rest on: manifests, or an algorithm that a checksum list and the other side have in common. Pure.

use super::exit_code::CommandError;
use super::side::Side;
use crate::model::ChecksumAlgorithm;

/// What equality rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    /// Two manifests.
    Manifests,
    /// This algorithm of a checksum list.
    Checksums(ChecksumAlgorithm),
}

impl Basis {
    /// The strongest algorithm that both sides have, or the one that was named.
    pub(super) fn of(sides: [&Side; 2], named: Option<ChecksumAlgorithm>) -> Result<Self, CommandError> {
        let algorithms = |side: &Side| match side {
            Side::List(list) => list.list.algorithms(),
            Side::File(_) | Side::Remote(_) => vec![ChecksumAlgorithm::Blake3],
            Side::Directory(_) => ChecksumAlgorithm::ALL.to_vec(),
        };
        if sides.iter().all(|side| side.list().is_none()) {
            let what = "--algorithm names the values of a checksum list, and neither side is one";
            return match named {
                None => Ok(Self::Manifests),
                Some(_) => Err(CommandError::Usage(what.to_owned())),
            };
        }
        let [source, destination] = sides.map(algorithms);
        common(&source, &destination, named).map(Self::Checksums).ok_or_else(|| {
            let what = format!(
                "nothing can be compared: the source has {}, the destination {}",
                names(&source),
                names(&destination)
            );
            CommandError::Usage(match named {
                Some(named) => format!("--algorithm {named}: {what}"),
                None => what,
            })
        })
    }

    /// The algorithm, where it is one of a list.
    pub(super) fn checksums(self) -> Option<ChecksumAlgorithm> {
        match self {
            Self::Manifests => None,
            Self::Checksums(algorithm) => Some(algorithm),
        }
    }
}

fn common(
    source: &[ChecksumAlgorithm],
    destination: &[ChecksumAlgorithm],
    named: Option<ChecksumAlgorithm>,
) -> Option<ChecksumAlgorithm> {
    let both = source.iter().copied().filter(|algorithm| destination.contains(algorithm));
    both.filter(|algorithm| named.is_none_or(|named| named == *algorithm)).max()
}

fn names(algorithms: &[ChecksumAlgorithm]) -> String {
    match algorithms {
        [] => "no algorithm".to_owned(),
        some => some.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_algorithm_that_both_have_is_taken() {
        use ChecksumAlgorithm::{Blake3, Md5, Sha1, Sha256};
        for (source, destination, named, taken) in [
            (&[Sha256, Md5][..], &[Blake3, Sha256, Sha1, Md5][..], None, Some(Sha256)),
            (&[Sha256, Md5], &[Blake3, Sha256, Sha1, Md5], Some(Md5), Some(Md5)),
            (&[Md5], &[Sha256, Md5], None, Some(Md5)),
            (&[Sha256], &[Blake3], None, None),
            (&[Blake3], &[Blake3], None, Some(Blake3)),
            (&[Sha1], &[Sha1], Some(Md5), None),
            (&[], &[Sha1], None, None),
        ] {
            assert_eq!(common(source, destination, named), taken);
        }
    }
}
