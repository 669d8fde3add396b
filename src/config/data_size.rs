//! Sizes as Cassandra writes them: a number and a unit, such as `256MiB`.

use std::num::NonZeroU64;

/// What a size must look like, for messages.
pub(super) const EXPECTED: &str = "a number above zero and a unit (B, KiB, MiB or GiB), such as 256MiB";

/// The bytes that `text` names; `None` where it names none, or none at all.
pub(super) fn parse(text: &str) -> Option<NonZeroU64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let bytes_per_unit: u64 = match unit.trim_start_matches(' ') {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    NonZeroU64::new(number.checked_mul(bytes_per_unit)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_understood_and_nothing_else() {
        for (text, bytes) in [("7B", 7), ("3KiB", 3072), ("256MiB", 256 << 20), ("2 GiB", 2 << 30)] {
            assert_eq!(parse(text).map(NonZeroU64::get), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "24", "24MB", "24MiB/s", "0MiB", "-1B", "1.5GiB", "1GiB ", "18446744073709551615KiB"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
