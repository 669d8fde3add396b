//! Times as a person reads them.

/// Epoch milliseconds as `2024-02-06T03:14:15.406Z`; the number itself where no calendar has such a day.
pub fn time_utc(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |time| format!("{time:.3}"))
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
}
