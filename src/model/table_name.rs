//! The names of tables, as their directories carry them.

/// The hex digits of the id in a table's directory name.
const TABLE_ID_DIGITS: usize = 32;

/// The table that a directory in a keyspace is of: its name without the id that follows it.
pub fn table_name(directory: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(directory).ok()?;
    match name.rsplit_once('-') {
        Some((table, id)) if id.len() == TABLE_ID_DIGITS && id.bytes().all(|b| b.is_ascii_hexdigit()) => Some(table),
        _ => Some(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tables_directory_may_carry_an_id() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(table_name(format!("a-b-{id}").as_bytes()), Some("a-b"));
        assert_eq!(table_name(b"t-1"), Some("t-1"));
        assert_eq!(table_name(b"\xff"), None);
    }
}
