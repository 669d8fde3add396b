//! The names of tables, as their directories carry them.

/// The hex digits of the id in a table's directory name.
const TABLE_ID_DIGITS: usize = 32;

/// What the name of a directory in a keyspace says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableDirectory<'a> {
    /// The table.
    pub table: &'a str,
    /// The table's id, as 32 hex digits, where the directory carries one.
    pub id: Option<&'a str>,
}

impl<'a> TableDirectory<'a> {
    /// Reads a directory's name; `None` where it is not UTF-8.
    pub fn parse(directory: &'a [u8]) -> Option<Self> {
        let name = std::str::from_utf8(directory).ok()?;
        Some(match name.rsplit_once('-') {
            Some((table, id)) if id.len() == TABLE_ID_DIGITS && id.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Self { table, id: Some(id) }
            }
            _ => Self { table: name, id: None },
        })
    }
}

/// The table that a directory in a keyspace is of: its name without the id that follows it.
pub fn table_name(directory: &[u8]) -> Option<&str> {
    TableDirectory::parse(directory).map(|directory| directory.table)
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
        let name = format!("a-b-{id}");
        assert_eq!(TableDirectory::parse(name.as_bytes()), Some(TableDirectory { table: "a-b", id: Some(id) }));
        assert_eq!(TableDirectory::parse(b"t"), Some(TableDirectory { table: "t", id: None }));
    }
}
