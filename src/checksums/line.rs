//! One line of a list with a value and a name. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::error::ListFault;
use crate::model::ChecksumAlgorithm;

/// A line that was taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The algorithm that it names.
    pub(super) tag: Option<ChecksumAlgorithm>,
    /// The value; `None` where whoever wrote the list had none.
    pub(super) value: Option<Vec<u8>>,
    /// The name, without escapes.
    pub(super) name: Vec<u8>,
}

/// What rclone writes where it has no value.
const NO_VALUE: [&[u8]; 3] = [b"", b"ERROR", b"UNSUPPORTED"];

/// Takes a line apart. In one that ends with a zero byte, `verbatim`, names are not escaped.
pub(super) fn parse(line: &[u8], verbatim: bool) -> Result<Line, ListFault> {
    let (escaped, line) = match line.strip_prefix(b"\\") {
        Some(rest) if !verbatim => (true, rest),
        _ => (false, line),
    };
    let parsed = match tagged(line) {
        Some(parsed) => parsed?,
        None => plain(line).or_else(|| valueless(line)).ok_or(ListFault::Form)?,
    };
    let name = if escaped { unescaped(&parsed.name)? } else { parsed.name };
    Ok(Line { name, ..parsed })
}

/// `ALGORITHM (name) = value`, as BSD writes it, and OpenSSL with fewer spaces.
fn tagged(line: &[u8]) -> Option<Result<Line, ListFault>> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let tag = line[..open].strip_suffix(b" ").unwrap_or(&line[..open]);
    let is_tag = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'/');
    if tag.is_empty() || !tag.iter().all(is_tag) {
        return None;
    }
    // A name may hold what stands behind it, so the last one counts.
    let rest = &line[open + 1..];
    let mark = |at: usize| [b") = ".as_slice(), b")= "].into_iter().find(|mark| rest[at..].starts_with(mark));
    let (end, mark) = (0..rest.len()).rev().find_map(|at| Some((at, mark(at)?)))?;
    let text = std::str::from_utf8(tag).ok()?;
    let value = &rest[end + mark.len()..];
    let tag = match text.strip_prefix("SHA2-").map(|bits| format!("SHA{bits}")).unwrap_or(text.to_owned()).parse() {
        Ok(tag) => tag,
        Err(_) => return Some(Err(ListFault::Unknown(text.to_owned()))),
    };
    let value = decoded(value).filter(|value| value.len() == ChecksumAlgorithm::length(tag));
    Some(match value {
        Some(value) => Ok(Line { tag: Some(tag), value: Some(value), name: rest[..end].to_vec() }),
        None => Err(ListFault::Value(tag)),
    })
}

/// `value  name`, `value *name`, and with one space alone.
fn plain(line: &[u8]) -> Option<Line> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let value = decoded(&line[..space])?;
    let name = &line[space + 1..];
    let name = name.strip_prefix(b" ").or_else(|| name.strip_prefix(b"*")).unwrap_or(name);
    Some(Line { tag: None, value: Some(value), name: name.to_vec() })
}

/// A name with nothing, or a word, where its value should stand: filled up with spaces before, so that the names stand below each other.
fn valueless(line: &[u8]) -> Option<Line> {
    let widths = [64, 40, 32].into_iter().filter(|width| line.len() > width + 2);
    let is_one = |width: &usize| {
        line[*width..].starts_with(b"  ") && line[0] == b' ' && NO_VALUE.contains(&line[..*width].trim_ascii_start())
    };
    let width = widths.into_iter().find(is_one)?;
    Some(Line { tag: None, value: None, name: line[width + 2..].to_vec() })
}

/// A value in hexadecimal digits, or in Base64.
pub(super) fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    match text.len() {
        32 | 40 | 64 => hex::decode(text).ok(),
        24 | 28 | 44 => STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok(),
        _ => None,
    }
}

fn unescaped(name: &[u8]) -> Result<Vec<u8>, ListFault> {
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'\\') => b'\\',
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                _ => return Err(ListFault::Escape),
            },
            byte => *byte,
        });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

    fn line(text: &str) -> Result<(Option<ChecksumAlgorithm>, Option<usize>, String), ListFault> {
        let parsed = parse(text.as_bytes(), false)?;
        Ok((parsed.tag, parsed.value.map(|value| value.len()), String::from_utf8(parsed.name).unwrap()))
    }

    #[test]
    fn every_form_of_a_line_is_read() {
        let (sha1, sha256) = ("a9993e364706816aba3e25717850c26c9cd0d89d", "0".repeat(64));
        let tag = Some(ChecksumAlgorithm::Md5);
        for (text, tag, value, name) in [
            (format!("{MD5}  a/b"), None, Some(16), "a/b"),
            (format!("{MD5} *a b"), None, Some(16), "a b"),
            (format!("{MD5} a"), None, Some(16), "a"),
            (format!("{sha1}  a"), None, Some(20), "a"),
            (format!("{}  a", sha256.to_uppercase()), None, Some(32), "a"),
            (format!("\\{MD5}  a\\nb\\\\c\\rd"), None, Some(16), "a\nb\\c\rd"),
            (format!("{MD5}  a\\nb"), None, Some(16), "a\\nb"),
            (format!("MD5 (a) = {MD5}"), tag, Some(16), "a"),
            (format!("MD5 (a) = b) = {MD5}"), tag, Some(16), "a) = b"),
            (format!("\\MD5 (a\\nb) = {MD5}"), tag, Some(16), "a\nb"),
            (format!("MD5(a)= {MD5}"), tag, Some(16), "a"),
            (format!("SHA2-256(a (1))= {sha256}"), Some(ChecksumAlgorithm::Sha256), Some(32), "a (1)"),
            (format!("BLAKE3 (a) = {sha256}"), Some(ChecksumAlgorithm::Blake3), Some(32), "a"),
            ("1B2M2Y8AsgTpgAmY7PhCfg==  a".to_owned(), None, Some(16), "a"),
            (format!("{}  a", " ".repeat(32)), None, None, "a"),
            (format!("{}UNSUPPORTED   a", " ".repeat(21)), None, None, " a"),
            (format!("{}ERROR  a", " ".repeat(59)), None, None, "a"),
        ] {
            assert_eq!(line(&text), Ok((tag, value, name.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for (text, fault) in [
            ("", ListFault::Form),
            ("name", ListFault::Form),
            (MD5, ListFault::Form),
            ("d41d8cd98f00b204e9800998ecf8427  a", ListFault::Form),
            ("g41d8cd98f00b204e9800998ecf8427e  a", ListFault::Form),
            ("SHA512 (a) = 00", ListFault::Unknown("SHA512".to_owned())),
            ("MD5 (a) = 00", ListFault::Value(ChecksumAlgorithm::Md5)),
            (&format!("\\{MD5}  a\\tb"), ListFault::Escape),
            (&format!("\\{MD5}  a\\"), ListFault::Escape),
        ] {
            assert_eq!(line(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn in_lines_that_end_with_a_zero_byte_a_backslash_is_one() {
        let text = format!("{MD5}  a\\nb\nc");
        assert_eq!(parse(text.as_bytes(), true).unwrap().name, b"a\\nb\nc");
    }
}
