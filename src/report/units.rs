//! Numbers, times and foreign texts as a person reads them.

use std::fmt::Write as _;

/// Epoch milliseconds as `2024-02-06T03:14:15.406Z`; the number itself where no calendar has such a day.
pub fn time_utc(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |time| format!("{time:.3}"))
}

/// A text from outside with its control characters escaped, so that it cannot move the cursor.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_iso_8601_in_utc() {
        assert_eq!(time_utc(1_707_193_655_406), "2024-02-06T04:27:35.406Z");
        assert_eq!(time_utc(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(time_utc(i64::MAX), "9223372036854775807 ms");
    }

    #[test]
    fn escapes_reach_no_terminal() {
        assert_eq!(printable("a\u{1b}[2J\n"), "a\\u{1b}[2J\\n");
    }
}
