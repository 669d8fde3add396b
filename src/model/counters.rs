//! The seven counters of a task status, and the part of them a metadata comparison fills.

use serde::{Deserialize, Serialize};

/// The Sidecar's seven counters, under its names; each counts entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Entries the destination has and the source lacks.
    pub files_not_found_at_source: u64,
    /// Entries the source has and the destination lacks.
    pub files_not_found_at_destination: u64,
    /// Entries, directories included, that have the same metadata on both sides.
    pub metadata_matched: u64,
    /// Entries on both sides with another type, size or modification time.
    pub metadata_mismatches: u64,
    /// Files with the same metadata and other bytes.
    pub digest_mismatches: u64,
    /// Entries that could not be checked on one side or both.
    pub digest_verification_failures: u64,
    /// Files with the same metadata and the same bytes.
    pub files_matched: u64,
}

/// What a comparison of metadata alone decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataSummary {
    /// No entry is missing or other: content is compared next.
    Same,
    /// At least one is: the Sidecar compares no content then.
    Different,
}

impl Counters {
    /// Whether any entry is missing on a side or has other metadata.
    pub fn metadata_summary(&self) -> MetadataSummary {
        let none =
            [self.files_not_found_at_source, self.files_not_found_at_destination, self.metadata_mismatches] == [0; 3];
        if none { MetadataSummary::Same } else { MetadataSummary::Different }
    }

    /// Adds `other`, counter by counter. Another host may claim any number, so a sum stays at the largest one.
    pub fn add(&mut self, other: &Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.files_not_found_at_source, other.files_not_found_at_source);
        add(&mut self.files_not_found_at_destination, other.files_not_found_at_destination);
        add(&mut self.metadata_matched, other.metadata_matched);
        add(&mut self.metadata_mismatches, other.metadata_mismatches);
        add(&mut self.digest_mismatches, other.digest_mismatches);
        add(&mut self.digest_verification_failures, other.digest_verification_failures);
        add(&mut self.files_matched, other.files_matched);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_claimed_counters_stays_at_the_largest_number() {
        let claimed = Counters { files_matched: u64::MAX, metadata_mismatches: u64::MAX, ..Counters::default() };
        let mut sum = Counters { files_matched: 1, files_not_found_at_source: 1, ..Counters::default() };
        sum.add(&claimed);
        assert_eq!((sum.files_matched, sum.files_not_found_at_source), (u64::MAX, 1));
        assert_eq!(sum.metadata_summary(), MetadataSummary::Different);
    }
}
