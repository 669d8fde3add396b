//! The names of SSTables' files: version, id, format and component, as in `nb-12-big-Data.db`.

/// What the name of an SSTable's file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SstableName<'a> {
    /// A number, or a time-based id such as `3gqv_0k6l_2d4cg2b6zzr6fkhq9h`.
    pub id: &'a str,
    /// Which of the SSTable's files it is, such as `Data.db`.
    pub component: &'a str,
}

/// Formats of SSTables, as they stand in names.
const FORMATS: [&str; 2] = ["big", "bti"];

/// Components that are written once, together with the SSTable.
const WRITTEN_ONCE: [&str; 8] =
    ["Data.db", "Index.db", "Filter.db", "CompressionInfo.db", "Digest.crc32", "CRC.db", "Partitions.db", "Rows.db"];

/// Components that are written again while the SSTable stays: its statistics (repair, level), the sample of its index, and the list of its
/// components.
const REWRITTEN: [&str; 3] = ["Statistics.db", "Summary.db", "TOC.txt"];

impl<'a> SstableName<'a> {
    /// Reads a file's name; `None` where it is not that of an SSTable's file.
    pub fn parse(name: &'a [u8]) -> Option<Self> {
        let name = std::str::from_utf8(name).ok()?;
        let mut parts = name.splitn(4, '-');
        let (version, id, format, component) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_version = version.len() == 2 && version.bytes().all(|b| b.is_ascii_lowercase());
        let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (is_version && is_id && FORMATS.contains(&format) && !component.is_empty()).then_some(Self { id, component })
    }

    /// Whether this file may be written again while its SSTable stays. `None` where the name does not say it.
    pub fn is_mutable(&self) -> Option<bool> {
        if WRITTEN_ONCE.contains(&self.component) {
            return Some(false);
        }
        REWRITTEN.contains(&self.component).then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_version_are_read() {
        for (name, id, component, mutable) in [
            ("nb-1-big-Data.db", "1", "Data.db", Some(false)),
            ("mc-123-big-Statistics.db", "123", "Statistics.db", Some(true)),
            (
                "da-3gqv_0k6l_2d4cg2b6zzr6fkhq9h-bti-Partitions.db",
                "3gqv_0k6l_2d4cg2b6zzr6fkhq9h",
                "Partitions.db",
                Some(false),
            ),
            ("nb-7-big-SAI+aa+idx+Meta.db", "7", "SAI+aa+idx+Meta.db", None),
            ("la-7-big-Digest.adler32", "7", "Digest.adler32", None),
        ] {
            let parsed = SstableName::parse(name.as_bytes()).unwrap();
            assert_eq!((parsed.id, parsed.component, parsed.is_mutable()), (id, component, mutable), "{name}");
        }
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "",
            "Data.db",
            "nb-1-big",
            "nb-1-big-",
            "nb--big-Data.db",
            "NB-1-big-Data.db",
            "nb-1-bag-Data.db",
            "nb-1/2-big-Data.db",
        ] {
            assert_eq!(SstableName::parse(name.as_bytes()), None, "{name}");
        }
        assert_eq!(SstableName::parse(b"nb-1-big-\xff"), None);
    }
}
