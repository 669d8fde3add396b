//! Data rates as Cassandra writes them: a number and a unit, such as `24MiB/s`.

use std::num::NonZeroU64;

use super::data_size;

/// What a data rate must look like, for messages.
pub const EXPECTED: &str = "a number above zero and a unit (B/s, KiB/s, MiB/s or GiB/s), such as 100MiB/s";

/// The bytes per second that `text` names; `None` where it names none, or none at all.
pub fn parse(text: &str) -> Option<NonZeroU64> {
    data_size::parse(text.strip_suffix("/s")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_understood_and_nothing_else() {
        for (text, bytes) in [("7B/s", 7), ("3KiB/s", 3072), ("24MiB/s", 24 << 20), ("2 GiB/s", 2 << 30)] {
            assert_eq!(parse(text).map(NonZeroU64::get), Some(bytes), "{text}");
        }
        for text in ["", "MiB/s", "24", "24MiB", "24MB/s", "0MiB/s", "-1B/s", "1.5GiB/s", "18446744073709551615KiB/s"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
