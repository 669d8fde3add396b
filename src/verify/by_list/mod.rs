//! The contents of two sides of which one at least is a checksum list, by an algorithm other than BLAKE3.

mod expected;
mod values;
mod verdict;

pub use values::Values;

use crate::manifest::{Compared, MatchedDirectory};
use crate::model::{ChecksumAlgorithm, Sink};
use crate::scan::{Cancelled, Context};
use values::Answers;
use verdict::verdict;

/// A comparison of the files that both sides have with the same metadata.
pub struct ByList<'a> {
    /// Those files, with the places of their directories in the wholes.
    pub files: &'a [MatchedDirectory],
    /// Where the source's values come from.
    pub source: Values<'a>,
    /// Where the destination's do.
    pub destination: Values<'a>,
    /// The algorithm that both have.
    pub algorithm: ChecksumAlgorithm,
}

/// The values of both sides.
pub struct BothValues([Answers; 2]);

impl ByList<'_> {
    /// Reads what lies on this machine, steadily, and looks at it once more behind the last read. Call it inside a rayon pool.
    pub fn read(&self, context: &Context) -> Result<BothValues, Cancelled> {
        let Self { files, source, destination, algorithm } = self;
        let both = match (source.listed(files, *algorithm), destination.listed(files, *algorithm)) {
            (Some(left), Some(right)) => [left, right],
            (Some(left), None) => {
                let right =
                    destination.read(files, &left, |pair| &pair.1, |directory| directory.destination, context)?;
                [left, right]
            }
            (None, Some(right)) => {
                let left = source.read(files, &right, |pair| &pair.0, |directory| directory.source, context)?;
                [left, right]
            }
            // Without a list there is nothing to compare with.
            (None, None) => [Vec::new(), Vec::new()],
        };
        source.look_again(context)?;
        destination.look_again(context)?;
        Ok(BothValues(both))
    }

    /// Hands on what the values say of each file.
    pub fn find(&self, values: BothValues, compared: &Compared, sink: &mut dyn Sink) {
        let BothValues([left, right]) = values;
        for ((directory, left), right) in self.files.iter().zip(left).zip(right) {
            for ((pair, left), right) in directory.files.iter().zip(left).zip(right) {
                // It was accepted when the list was read.
                let path = directory.path.join(&pair.1.name).unwrap_or_else(|_| directory.path.clone());
                sink.take(verdict((directory.root, path), pair, [left, right], compared));
            }
        }
    }
}
