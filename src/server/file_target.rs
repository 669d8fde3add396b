//! Which file a request path means. Pure: nothing is looked up on disk.
//!
//! The Sidecar's client sends names as a listing gives them, a `%2F` in a name as it stands; others percent-encode. So a path
//! has two readings, and where both name a file the literal one is meant.

use percent_encoding::percent_decode_str;

use crate::model::{DirectoryType, RelPath, RootId};
use crate::protocol::routes;

/// A file below a root, as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileTarget {
    pub root: RootId,
    /// What the path may mean, in the order in which it is looked for; at least one.
    pub readings: Vec<Result<RelPath, BadTarget>>,
}

/// Why a request path means no file; the texts are the Sidecar's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTarget {
    #[error("Invalid directory type: {0}")]
    Type(String),
    #[error("Invalid directoryIndex: {0}")]
    Index(String),
    /// No such directory is configured.
    #[error("File url {0} is unknown.")]
    UnknownRoot(String),
    #[error("Tried to access file using relative path: {0}")]
    Relative(String),
    /// A percent sign that two hex digits do not follow.
    #[error("Malformed request path")]
    Malformed,
    #[error("Cannot transfer directory")]
    Directory,
    /// No file can have such a name.
    #[error("File not found")]
    NoSuchName,
}

/// Reads `{dirType}/{dirIndex}/{path}` as it stands in the request. `exists` tells the roots there are.
pub(crate) fn parse(raw: &str, exists: impl Fn(RootId) -> bool) -> Result<FileTarget, BadTarget> {
    let (kind, rest) = raw.split_once('/').unwrap_or((raw, ""));
    let (index, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (kind, index) = (decoded_text(kind), decoded_text(index));
    if !DirectoryType::ALL.iter().any(|known| known.name() == kind) {
        return Err(BadTarget::Type(kind));
    }
    // The Sidecar's index is Java's `int`.
    if index.parse::<i32>().map_or(true, |number| number < 0) {
        return Err(BadTarget::Index(index));
    }
    // Read by the same rule as everywhere, so that no second spelling means the same root, and data/1 is not data/10.
    let root = format!("{kind}/{index}").parse().ok().filter(|root| exists(*root));
    let root: RootId =
        root.ok_or_else(|| BadTarget::UnknownRoot(format!("{}/{}", routes::FILES, decoded_text(raw))))?;
    let mut readings = vec![reading(path.as_bytes())];
    if path.contains('%') {
        readings.push(decode(path).and_then(|path| reading(&path)));
    }
    Ok(FileTarget { root, readings })
}

/// The file of this name. Each reading is judged by itself: what one of them refuses no other can open.
fn reading(path: &[u8]) -> Result<RelPath, BadTarget> {
    if path.split(|byte| *byte == b'/').any(|name| matches!(name, b"." | b"..")) {
        return Err(BadTarget::Relative(String::from_utf8_lossy(path).into_owned()));
    }
    match RelPath::new(path) {
        Ok(path) if path.is_root() => Err(BadTarget::Directory),
        Ok(path) => Ok(path),
        Err(_) => Err(BadTarget::NoSuchName),
    }
}

/// Decodes once.
fn decode(path: &str) -> Result<Vec<u8>, BadTarget> {
    let is_escape = |rest: &str| {
        rest.as_bytes().first_chunk().is_some_and(|digits: &[u8; 2]| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if path.split('%').skip(1).all(is_escape) {
        Ok(percent_decode_str(path).collect())
    } else {
        Err(BadTarget::Malformed)
    }
}

fn decoded_text(raw: &str) -> String {
    percent_decode_str(raw).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Result<FileTarget, BadTarget> {
        super::parse(raw, |root| root.directory_type != DirectoryType::Data || root.index < 2)
    }

    /// The readings as text; refusals as theirs.
    fn readings(path: &str) -> Vec<String> {
        let target = parse(&format!("data/0/{path}")).unwrap();
        let text = |reading: Result<RelPath, BadTarget>| match reading {
            Ok(path) => path.as_bytes().escape_ascii().to_string(),
            Err(refusal) => format!("! {refusal}"),
        };
        target.readings.into_iter().map(text).collect()
    }

    #[test]
    fn a_path_is_read_literally_first_and_then_decoded() {
        for literal in ["ks/a+b;c:d@e&f=g,h$i!j(k)l'm*n", "ks/a b", "é"] {
            let escaped = literal.as_bytes().escape_ascii().to_string();
            assert_eq!(readings(literal), [escaped], "there is nothing to decode");
        }
        for (path, decoded) in [
            ("ks/a%20b", "ks/a b"),
            ("ks%2Fa+b", "ks/a+b"),
            ("%C3%A9", "\\xc3\\xa9"),
            ("%ff", "\\xff"),
            ("%2541", "%41"),
            ("100%", "! Malformed request path"),
            ("a%2", "! Malformed request path"),
            ("a%2g%20", "! Malformed request path"),
            ("%%20", "! Malformed request path"),
            ("%é1", "! Malformed request path"),
            ("%2e%2e/x", "! Tried to access file using relative path: ../x"),
            ("a%2f..", "! Tried to access file using relative path: a/.."),
            ("a%00b", "! File not found"),
            ("a%2f%2fb", "! File not found"),
        ] {
            assert_eq!(readings(path), [path.as_bytes().escape_ascii().to_string().as_str(), decoded], "{path}");
        }
        assert_eq!(parse("%64ata/%31/x").unwrap().root, "data/1".parse().unwrap());
    }

    #[test]
    fn each_reading_is_refused_by_itself() {
        for path in ["../x", "a/../x", "./x", "..", "a/."] {
            assert_eq!(readings(path), [format!("! Tried to access file using relative path: {path}")]);
        }
        assert_eq!(
            readings("../%41"),
            ["! Tried to access file using relative path: ../%41", "! Tried to access file using relative path: ../A"]
        );
        for name in ["a//b", "/etc/passwd", "a/"] {
            assert_eq!(readings(name), ["! File not found"], "{name}");
        }
        assert_eq!(readings(""), ["! Cannot transfer directory"]);
        let long = format!("{}b", "%61".repeat(500));
        assert_eq!(readings(&long), ["! File not found".to_owned(), format!("{}b", "a".repeat(500))]);
    }

    #[test]
    fn refusals_of_roots_have_the_contracts_texts() {
        let text = |raw: &str| parse(raw).unwrap_err().to_string();
        for kind in ["dat", "DATA", "", "data%2f0"] {
            let shown = kind.replace("%2f", "/");
            assert_eq!(text(&format!("{kind}/0/x")), format!("Invalid directory type: {shown}"));
        }
        for index in ["-1", "x", "", "1e1", "0x1", "2147483648", "99999999999999999999"] {
            assert_eq!(text(&format!("data/{index}/x")), format!("Invalid directoryIndex: {index}"));
        }
        // A number, and no directory's name.
        for index in ["2", "10", "01", "+1", "2147483647"] {
            let url = format!("/api/v1/live-migration/files/data/{index}/a b");
            assert_eq!(text(&format!("data/{index}/a%20b")), format!("File url {url} is unknown."));
        }
    }
}
