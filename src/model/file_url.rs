//! The Sidecar's name of an entry: `/api/v1/live-migration/files/{type}/{index}/{relative path}`.

use std::fmt;

use super::path::write_printable;
use super::{RelPath, RootId};

const PREFIX: &str = "/api/v1/live-migration/files";

/// An entry's name on the wire and in reports. Not percent-encoded, as in the Sidecar's listing.
///
/// Two different entries may have the same [`FileUrl::text`] where a path is not UTF-8; [`FileUrl::path`] tells them
/// apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileUrl {
    /// The root the entry is in.
    pub root: RootId,
    /// Where below that root.
    pub path: RelPath,
}

impl FileUrl {
    /// The entry at `path` below `root`.
    pub fn new(root: RootId, path: RelPath) -> Self {
        Self { root, path }
    }

    /// The text for JSON: bytes that are not UTF-8 become U+FFFD, as a Java server writes them.
    pub fn text(&self) -> String {
        format!("{PREFIX}/{}/{}", self.root, String::from_utf8_lossy(self.path.as_bytes()))
    }

    /// Reads what [`FileUrl::text`] and [`FileUrl::path_hex`] say of an entry; `None` where that names none.
    pub fn parse(text: &str, path_hex: Option<&str>) -> Option<Self> {
        let mut parts = text.strip_prefix(PREFIX)?.strip_prefix('/')?.splitn(3, '/');
        let (kind, index, path) = (parts.next()?, parts.next()?, parts.next().unwrap_or_default());
        let root = format!("{kind}/{index}").parse().ok()?;
        let path = match path_hex {
            Some(hex) => hex::decode(hex).ok()?,
            None => path.as_bytes().to_vec(),
        };
        Some(Self { root, path: RelPath::new(&path).ok()? })
    }

    /// Bytes that are ordered as the entries are.
    pub fn sort_key(&self) -> Vec<u8> {
        let mut key = vec![self.root.directory_type.code()];
        // The highest byte first, so that numbers are ordered as their bytes are.
        key.extend(self.root.index.to_le_bytes().into_iter().rev());
        // No name holds a zero byte, so a directory comes right before everything below it.
        key.extend(self.path.as_bytes().iter().map(|byte| if *byte == b'/' { 0 } else { *byte }));
        key
    }

    /// The path's bytes in hex where [`FileUrl::text`] cannot carry them; `None` where it can.
    pub fn path_hex(&self) -> Option<String> {
        std::str::from_utf8(self.path.as_bytes()).is_err().then(|| hex::encode(self.path.as_bytes()))
    }
}

/// For a person: root and path, what does not print and stray bytes escaped.
impl fmt::Display for FileUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.root)?;
        write_printable(self.path.as_bytes(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_utf8_keeps_its_bytes_beside_the_text() {
        let url = FileUrl::new(RootId::DATA_0, RelPath::new(b"ks/\xff").unwrap());
        assert_eq!(url.text(), "/api/v1/live-migration/files/data/0/ks/\u{fffd}");
        assert_eq!(url.path_hex().as_deref(), Some("6b732fff"));
        assert_eq!(url.to_string(), "data/0/ks/\\xff");
        assert_eq!(FileUrl::new(RootId::DATA_0, RelPath::new(b"a").unwrap()).path_hex(), None);
        assert_eq!(FileUrl::parse(&url.text(), url.path_hex().as_deref()), Some(url));
    }

    #[test]
    fn keys_are_ordered_as_the_entries_are() {
        let url = |root: &str, path: &[u8]| FileUrl::new(root.parse().unwrap(), RelPath::new(path).unwrap());
        let sorted = [
            url("data/0", b"a"),
            url("data/0", b"a/b"),
            url("data/0", b"a/b/\x01"),
            url("data/0", b"a\x01"),
            url("data/0", b"a.txt"),
            url("data/0", b"\xff"),
            url("data/1", b"a"),
            url("data/255", b"a"),
            url("data/256", b"a"),
            url("commitlog/0", b"a"),
            url("local_system_data/0", b"a"),
        ];
        assert!(sorted.is_sorted());
        assert!(sorted.iter().map(FileUrl::sort_key).is_sorted());
    }

    #[test]
    fn what_names_no_entry_is_not_read() {
        let parse = |text: &str| FileUrl::parse(&format!("{PREFIX}{text}"), None);
        assert_eq!(parse("/data/1/ks/a b").unwrap().to_string(), "data/1/ks/a b");
        assert_eq!(parse("/data/1").unwrap().path, RelPath::root());
        for text in ["", "/", "/data", "/data/x/a", "/other/0/a", "/data/0/../a", "data/0/a"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
