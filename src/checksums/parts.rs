//! The sizes that the parts of a file may have had. Pure.

use std::num::NonZeroU64;

/// The sizes that uploads in parts have, in MiB: those that object stores, their clients and cassandra-medusa begin with, and those that people
/// set.
const USUAL: [u64; 20] = [5, 6, 7, 8, 10, 12, 15, 16, 20, 24, 25, 32, 50, 64, 100, 128, 200, 256, 500, 512];

/// The usual sizes of parts, in bytes, by which a file of this size has so many of them.
///
/// One part is the whole file, whatever its size was to be.
pub fn part_sizes(size: u64, parts: u32) -> Vec<NonZeroU64> {
    if parts == 1 {
        return vec![NonZeroU64::MAX];
    }
    let fits = |part: &NonZeroU64| size.div_ceil(part.get()).max(1) == u64::from(parts);
    USUAL.into_iter().filter_map(|mib| NonZeroU64::new(mib << 20)).filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sizes_that_give_the_number_of_parts_come_into_question() {
        let sizes = |size, parts| part_sizes(size, parts).iter().map(|part| part.get() >> 20).collect::<Vec<_>>();
        assert_eq!(sizes(100 << 20, 13), [8]);
        assert_eq!(sizes((8 << 20) + 1, 2), [5, 6, 7, 8]);
        assert_eq!(sizes(100 << 20, 2), [50, 64]);
        assert_eq!(sizes(100 << 20, 90), [] as [u64; 0]);
        assert_eq!(part_sizes(0, 1), [NonZeroU64::MAX]);
        assert_eq!(part_sizes(u64::MAX, 1), [NonZeroU64::MAX]);
    }
}
