//! Names and relative paths below a root, as raw bytes.
//!
//! Invariants of [`Name`]: 1 to [`MAX_NAME_BYTES`] bytes, none of them `/` or NUL, and not `.` or `..`.
//! Invariants of [`RelPath`]: names joined by single `/`, at most [`MAX_PATH_BYTES`] bytes; the empty path is the
//! root itself. A value of either type can therefore be joined to a root without leaving it lexically; symbolic links
//! are a matter of how the path is opened, not of the path. Neither type promises valid UTF-8.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};

use super::printable::prints;

/// The longest name accepted, in bytes. Linux allows 255; the rest is room for other systems' encodings.
pub const MAX_NAME_BYTES: usize = 1024;

/// The longest relative path accepted, in bytes: `PATH_MAX` of Linux.
pub const MAX_PATH_BYTES: usize = 4096;

/// Why some bytes are not a name or a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A name has no bytes; in a path: two slashes in a row, or one at an end.
    #[error("a name is empty")]
    EmptyName,
    /// A name is `.` or `..`.
    #[error("a name is \".\" or \"..\"")]
    Dots,
    /// It begins with a slash.
    #[error("it begins with a slash")]
    Absolute,
    /// A name holds `/` or NUL.
    #[error("a name holds a slash or a NUL byte")]
    ForbiddenByte,
    /// A name is longer than [`MAX_NAME_BYTES`].
    #[error("a name is longer than {MAX_NAME_BYTES} bytes")]
    NameTooLong,
    /// A path is longer than [`MAX_PATH_BYTES`].
    #[error("the path is longer than {MAX_PATH_BYTES} bytes")]
    PathTooLong,
}

/// The name of one entry in its directory. Ordered by raw bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Checks the invariants above.
    pub fn new(bytes: &[u8]) -> Result<Self, PathError> {
        check_name(bytes)?;
        Ok(Self(bytes.into()))
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_printable(&self.0, f)
    }
}

/// A path relative to a root; see the module's invariants.
///
/// Ordered name by name, not byte by byte: a directory comes right before everything below it, so sorted paths are
/// a pre-order walk of the tree.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct RelPath(Vec<u8>);

impl RelPath {
    /// The root itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// Checks the invariants; the empty slice is the root.
    pub fn new(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.len() > MAX_PATH_BYTES {
            return Err(PathError::PathTooLong);
        }
        if !bytes.is_empty() {
            bytes.split(|b| *b == b'/').try_for_each(check_name)?;
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Whether the path of an entry `name` in this directory would be short enough.
    pub fn can_hold(&self, name: &Name) -> Result<(), PathError> {
        let separator = usize::from(!self.is_root());
        match self.0.len() + separator + name.0.len() {
            ..=MAX_PATH_BYTES => Ok(()),
            _ => Err(PathError::PathTooLong),
        }
    }

    /// Reads a path as people and other programs write it: a `.` between slashes says nothing, nor does a slash that is one too many. One that
    /// begins with a slash is not relative, and is refused.
    pub fn written(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.first() == Some(&b'/') {
            return Err(PathError::Absolute);
        }
        let names: Vec<&[u8]> = bytes.split(|b| *b == b'/').filter(|name| !matches!(*name, b"" | b".")).collect();
        Self::new(&names.join(&b'/'))
    }

    /// The entry `name` in this directory.
    pub fn join(&self, name: &Name) -> Result<Self, PathError> {
        self.can_hold(name)?;
        let separator = usize::from(!self.is_root());
        let mut bytes = Vec::with_capacity(self.0.len() + separator + name.0.len());
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(&b"/"[..separator]);
        bytes.extend_from_slice(&name.0);
        Ok(Self(bytes))
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The raw bytes, `/` between names.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The names from the root down.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|name| !name.is_empty())
    }

    /// The path without its last name; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|b| *b == b'/').unwrap_or(0);
        Some(Self(self.0[..end].to_vec()))
    }
}

impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.names().cmp(other.names())
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_printable(&self.0, f)
    }
}

/// Whether bytes are a name: the invariants of [`Name`], without making one.
pub fn check_name(bytes: &[u8]) -> Result<(), PathError> {
    match bytes {
        b"" => Err(PathError::EmptyName),
        b"." | b".." => Err(PathError::Dots),
        _ if bytes.len() > MAX_NAME_BYTES => Err(PathError::NameTooLong),
        _ if bytes.iter().any(|b| matches!(b, b'/' | 0)) => Err(PathError::ForbiddenByte),
        _ => Ok(()),
    }
}

/// Bytes on one line, as names are shown: what does not print, stray bytes and the backslash are escapes, so that two different
/// sequences of bytes never look the same.
pub fn printable_bytes(bytes: &[u8]) -> String {
    struct Shown<'a>(&'a [u8]);
    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_printable(self.0, f)
        }
    }
    Shown(bytes).to_string()
}

/// Writes bytes for a person: UTF-8 as it is, but what does not print, bytes that are no UTF-8, and the backslash as
/// escapes, so that a file name can neither move the cursor nor be mistaken for another one.
pub(super) fn write_printable(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                c if prints(c) => f.write_char(c)?,
                c => write!(f, "{}", c.escape_default())?,
            }
        }
        for b in chunk.invalid() {
            write!(f, "\\x{b:02x}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(bytes: &[u8]) -> RelPath {
        RelPath::new(bytes).unwrap()
    }

    #[test]
    fn paths_that_could_leave_the_root_are_refused() {
        assert_eq!(RelPath::new(b"../x"), Err(PathError::Dots));
        assert_eq!(RelPath::new(b"a/./b"), Err(PathError::Dots));
        assert_eq!(RelPath::new(b"/etc"), Err(PathError::EmptyName));
        assert_eq!(RelPath::new(b"a//b"), Err(PathError::EmptyName));
        assert_eq!(RelPath::new(b"a/"), Err(PathError::EmptyName));
        assert_eq!(RelPath::new(b"a\0b"), Err(PathError::ForbiddenByte));
        assert_eq!(RelPath::new(&[b'a'; MAX_PATH_BYTES + 1]), Err(PathError::PathTooLong));
        assert_eq!(Name::new(b"a/b"), Err(PathError::ForbiddenByte));
        assert_eq!(Name::new(&[b'a'; MAX_NAME_BYTES + 1]), Err(PathError::NameTooLong));
        let long = path(&[b'a'; 1000]);
        let longer = long.join(&Name::new(&[b'b'; 1000]).unwrap()).unwrap();
        assert_eq!(longer.as_bytes().len(), 2001);
    }

    #[test]
    fn paths_as_others_write_them_are_read_and_lead_nowhere_else() {
        for (written, read) in
            [("a/b", "a/b"), ("./a/b", "a/b"), ("a//b/", "a/b"), ("././a/./b/.", "a/b"), (".", ""), ("", "")]
        {
            assert_eq!(RelPath::written(written.as_bytes()), Ok(path(read.as_bytes())), "{written}");
        }
        assert_eq!(RelPath::written(b"/a"), Err(PathError::Absolute));
        assert_eq!(RelPath::written(b"a/../../b"), Err(PathError::Dots));
        assert_eq!(RelPath::written(b"./.."), Err(PathError::Dots));
        assert_eq!(RelPath::written(b"a\0"), Err(PathError::ForbiddenByte));
    }

    #[test]
    fn a_directory_sorts_right_before_what_is_below_it() {
        let mut paths = [path(b"a-b"), path(b"a/x"), path(b"a"), path(b""), path(b"b")];
        paths.sort();
        assert_eq!(paths.map(|p| p.to_string()), ["", "a", "a/x", "a-b", "b"]);
    }

    #[test]
    fn joining_and_taking_the_parent_are_inverse() {
        let child = path(b"ks/t").join(&Name::new(b"f").unwrap()).unwrap();
        assert_eq!(child, path(b"ks/t/f"));
        assert_eq!(child.parent(), Some(path(b"ks/t")));
        assert_eq!(path(b"f").parent(), Some(RelPath::root()));
        assert_eq!(RelPath::root().parent(), None);
    }

    #[test]
    fn printed_names_show_bytes_that_are_not_text() {
        assert_eq!(path(b"a\xff\x1b[2J\\").to_string(), "a\\xff\\u{1b}[2J\\\\");
    }
}
