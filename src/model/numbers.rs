//! Numbers as people read them.

/// A number with a comma before every three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|part| std::str::from_utf8(part).ok()).collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_have_commas() {
        let texts = [0, 999, 1000, 4_021, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "4,021", "1,234,567"]);
    }
}
