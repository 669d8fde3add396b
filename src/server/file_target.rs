//! Which file a request path means. Pure: nothing is looked up on disk.

use percent_encoding::percent_decode_str;

use crate::model::{DirectoryType, RelPath, RootId};

/// A file below a root, as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileTarget {
    pub root: RootId,
    pub path: RelPath,
}

/// Why a request path means no file; the texts are the Sidecar's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadTarget {
    #[error("Invalid directory type: {0}")]
    Type(String),
    #[error("Invalid directoryIndex: {0}")]
    Index(String),
    #[error("Tried to access file using relative path: {0}")]
    Relative(String),
    #[error("Cannot transfer directory")]
    Directory,
    /// No file can have such a name.
    #[error("File not found")]
    NoSuchName,
}

/// Reads `{dirType}/{dirIndex}/{path}` as it stands in the request, percent-encoded or not. It is decoded once; a percent
/// sign that encodes nothing stands for itself. `exists` tells the roots there are.
pub(super) fn parse(raw: &str, exists: impl Fn(RootId) -> bool) -> Result<FileTarget, BadTarget> {
    let (kind, rest) = raw.split_once('/').unwrap_or((raw, ""));
    let (index, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (kind, index) = (decoded_text(kind), decoded_text(index));
    if !DirectoryType::ALL.iter().any(|known| known.name() == kind) {
        return Err(BadTarget::Type(kind));
    }
    // Read by the same rule as everywhere, so that no second spelling means the same root, and data/1 is not data/10.
    let root = format!("{kind}/{index}").parse().ok().filter(|root| exists(*root));
    let root: RootId = root.ok_or(BadTarget::Index(index))?;
    let path: Vec<u8> = percent_decode_str(path).collect();
    if path.split(|byte| *byte == b'/').any(|name| matches!(name, b"." | b"..")) {
        return Err(BadTarget::Relative(String::from_utf8_lossy(&path).into_owned()));
    }
    match RelPath::new(&path) {
        Ok(path) if path.is_root() => Err(BadTarget::Directory),
        Ok(path) => Ok(FileTarget { root, path }),
        Err(_) => Err(BadTarget::NoSuchName),
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

    fn path(raw: &str) -> Vec<u8> {
        parse(raw).unwrap().path.as_bytes().to_vec()
    }

    #[test]
    fn encoded_and_raw_names_mean_the_same_file() {
        assert_eq!(path("data/0/ks/a b"), b"ks/a b");
        assert_eq!(path("data/0/ks/a%20b"), b"ks/a b");
        assert_eq!(path("data/0/ks%2Fa+b"), b"ks/a+b", "a plus sign is no space");
        assert_eq!(path("data/0/%C3%A9"), "é".as_bytes());
        assert_eq!(path("data/0/é"), "é".as_bytes());
        assert_eq!(path("data/0/%ff"), b"\xff");
        assert_eq!(path("data/0/100%"), b"100%");
        assert_eq!(path("data/0/%2541"), b"%41", "decoded once");
        assert_eq!(parse("%64ata/%31/x").unwrap().root, "data/1".parse().unwrap());
    }

    #[test]
    fn refusals_have_the_contracts_texts() {
        let text = |raw: &str| parse(raw).unwrap_err().to_string();
        for kind in ["dat", "DATA", "", "data%2f0"] {
            let shown = kind.replace("%2f", "/");
            assert_eq!(text(&format!("{kind}/0/x")), format!("Invalid directory type: {shown}"));
        }
        for index in ["10", "01", "-1", "x", "", "+1", "99999999999999999999", "2"] {
            assert_eq!(text(&format!("data/{index}/x")), format!("Invalid directoryIndex: {index}"));
        }
        for path in ["../x", "a/../x", "%2e%2e/x", "a/%2E%2e", "..%2fx", "./x", ".."] {
            let decoded = decoded_text(path);
            assert_eq!(text(&format!("data/0/{path}")), format!("Tried to access file using relative path: {decoded}"));
        }
        for root in ["data/0", "data/0/"] {
            assert_eq!(text(root), "Cannot transfer directory");
        }
        for name in ["a//b", "/etc/passwd", "a/", "a%00b"] {
            assert_eq!(text(&format!("data/0/{name}")), "File not found", "{name}");
        }
    }
}
