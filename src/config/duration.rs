//! Durations as the Sidecar writes them: a number and a unit, such as `30s` or `500ms`.

use std::time::Duration;

/// What a duration must look like, for messages.
pub(super) const EXPECTED: &str = "a number and a unit (ns, us, ms, s, m, h or d), such as 30s";

/// The duration that `text` names; `None` where it names none or one too long to count in nanoseconds.
///
/// A space may stand before the unit. A number without a unit is none: the Sidecar's older keys counted it in
/// milliseconds, its newer ones refuse it.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let nanos_per_unit: u64 = match unit.trim_start_matches(' ') {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        "d" => 86_400 * 1_000_000_000,
        _ => return None,
    };
    // The empty text before a unit alone is no number either.
    let number: u64 = number.parse().ok()?;
    Some(Duration::from_nanos(number.checked_mul(nanos_per_unit)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_understood() {
        assert_eq!(parse("7ns"), Some(Duration::from_nanos(7)));
        assert_eq!(parse("7us"), Some(Duration::from_micros(7)));
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("30s"), Some(Duration::from_secs(30)));
        assert_eq!(parse("10 m"), Some(Duration::from_secs(600)));
        assert_eq!(parse("1h"), Some(Duration::from_secs(3600)));
        assert_eq!(parse("2d"), Some(Duration::from_secs(172_800)));
        assert_eq!(parse("0s"), Some(Duration::ZERO));
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in
            ["", "s", "30", "30 ", "30S", "-1s", "+1s", "1.5s", "1s ", "1m30s", "30\ts", "18446744073709551615s"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
