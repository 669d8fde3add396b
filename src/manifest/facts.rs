//! Which facts of files two sides are compared by, besides names and kinds. Pure.

use crate::model::DifferenceKind;

/// Sizes and times, each or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The sizes of files.
    pub sizes: bool,
    /// Their modification times.
    pub times: bool,
}

impl Facts {
    /// Both.
    pub const ALL: Self = Self { sizes: true, times: true };

    /// Those that are in all of them.
    pub fn and(self, other: Self) -> Self {
        Self { sizes: self.sizes && other.sizes, times: self.times && other.times }
    }
}

/// What is known on each side, and what of it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// What the source knows.
    pub source: Facts,
    /// What the destination knows.
    pub destination: Facts,
    /// What somebody wants to have compared.
    pub wanted: Facts,
}

impl Compared {
    /// Everything, known on both sides.
    pub const ALL: Self = Self { source: Facts::ALL, destination: Facts::ALL, wanted: Facts::ALL };

    /// What is wanted and known on both sides.
    pub fn facts(&self) -> Facts {
        self.wanted.and(self.source).and(self.destination)
    }

    /// What is not the same of two files of these sizes and times, as far as it is compared.
    pub fn metadata_difference(&self, source: (u64, i64), destination: (u64, i64)) -> Option<DifferenceKind> {
        let facts = self.facts();
        if facts.sizes && source.0 != destination.0 {
            Some(DifferenceKind::Size)
        } else if facts.times && source.1 != destination.1 {
            Some(DifferenceKind::ModificationTime)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_sides_know_and_somebody_wants_is_compared() {
        let no_times = Facts { times: false, ..Facts::ALL };
        let no_sizes = Facts { sizes: false, ..Facts::ALL };
        let (size, time) = (Some(DifferenceKind::Size), Some(DifferenceKind::ModificationTime));
        for (compared, both, time_alone) in [
            (Compared::ALL, size, time),
            (Compared { wanted: no_times, ..Compared::ALL }, size, None),
            (Compared { source: no_times, ..Compared::ALL }, size, None),
            (Compared { destination: no_sizes, ..Compared::ALL }, time, time),
            (Compared { source: no_times, destination: no_sizes, ..Compared::ALL }, None, None),
        ] {
            assert_eq!(compared.metadata_difference((1, 5), (2, 6)), both);
            assert_eq!(compared.metadata_difference((1, 5), (1, 6)), time_alone);
            assert_eq!(compared.metadata_difference((1, 5), (1, 5)), None);
        }
    }
}
