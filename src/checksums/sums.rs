//! Lists with a line for each file: of `sha256sum` and its like, of `b3sum`, and of rclone's `hashsum`. Pure.

use super::error::{ListError, ListFault};
use super::line::{self, Line};
use super::list::{ChecksumList, ListKind, ListedFile};
use super::reading::Reading;
use crate::model::ChecksumAlgorithm;

/// Reads a list. Its lines end with a line break, all of them with one of Windows, or with a zero byte.
pub(super) fn read(bytes: &[u8], reading: &Reading<'_>) -> Result<ChecksumList, ListError> {
    let verbatim = bytes.contains(&0);
    let end = if verbatim { 0 } else { b'\n' };
    let lines = || (1..).zip(bytes.strip_suffix(&[end]).unwrap_or(bytes).split(move |byte| *byte == end));
    // `b3sum` ends no line so, and has such a byte in a name as it is.
    let of_b3sum = reading.algorithm.or(reading.hinted()) == Some(ChecksumAlgorithm::Blake3);
    let of_windows = !verbatim && !of_b3sum && lines().all(|(_, line)| line.ends_with(b"\r"));
    let mut files = Vec::new();
    for (number, line) in lines() {
        let line = if of_windows { &line[..line.len() - 1] } else { line };
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let file = line::parse(line, verbatim).and_then(|line| file(line, reading));
        files.push(file.map_err(|fault| fault.in_line(number))?);
    }
    ChecksumList::new(ListKind::Sums, files)
}

fn file(line: Line, reading: &Reading<'_>) -> Result<ListedFile, ListFault> {
    let path = reading.path(&line.name)?;
    let digest = |value: Vec<u8>| {
        let algorithm = algorithm(line.tag, value.len(), reading)?;
        algorithm.digest(&value).ok_or(ListFault::Value(algorithm))
    };
    let digests = line.value.map(digest).transpose()?.into_iter().collect();
    Ok(ListedFile { path, size: None, digests })
}

/// The algorithm of a value: the one that its line names, else the only one that has values of this length.
fn algorithm(
    tag: Option<ChecksumAlgorithm>,
    length: usize,
    reading: &Reading<'_>,
) -> Result<ChecksumAlgorithm, ListFault> {
    let fitting = |algorithm: &ChecksumAlgorithm| algorithm.length() == length;
    let mut all = ChecksumAlgorithm::ALL.into_iter().filter(fitting);
    match (tag, all.next(), all.next()) {
        (Some(tag), ..) => Ok(tag),
        (None, Some(only), None) => Ok(only),
        (None, Some(_), Some(_)) => {
            reading.algorithm.filter(fitting).or_else(|| reading.hinted()).ok_or(ListFault::Ambiguous)
        }
        (None, None, _) => Err(ListFault::Form),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksums::read;

    const A: &str = "d41d8cd98f00b204e9800998ecf8427e";
    const B: &str = "900150983cd24fb0d6963f7d28e17f72";

    fn names(text: &str, reading: &Reading<'_>) -> Result<Vec<String>, ListError> {
        read(text.as_bytes(), reading).map(|list| list.files().iter().map(|file| file.path.to_string()).collect())
    }

    fn plain(text: &str) -> Result<Vec<String>, ListError> {
        names(text, &Reading::default())
    }

    #[test]
    fn lines_end_as_somebody_ends_them() {
        let both = Ok(vec!["a".to_owned(), "b/c".to_owned()]);
        for text in [
            format!("{A}  a\n{B}  ./b/c\n"),
            format!("{A}  a\n{B} *b/c"),
            format!("{A}  a\r\n{B}  b//c\r\n"),
            format!("# of today\n\n{A}  a\n{B}  b/c\n"),
            format!("{A}  a\0{B}  b/c\0"),
            format!("\u{feff}{A}  a\n{B}  b/c\n"),
        ] {
            assert_eq!(plain(&text), both, "{text:?}");
        }
        assert_eq!(
            plain(&format!("{A}  a\n{B}  b\r\n")),
            Ok(vec!["a".to_owned(), "b\\r".to_owned()]),
            "not all of them"
        );
        assert_eq!(plain(&format!("{A}  a\nb\0")), Ok(vec!["a\\nb".to_owned()]));
    }

    #[test]
    fn the_prefix_comes_off_and_nothing_else_does() {
        let under = |prefix: &'static str| Reading { prefix: Some(prefix.as_bytes()), ..Reading::default() };
        let text = format!("{A}  /data/ks/a\n{B}  /data//b\n");
        assert_eq!(plain(&text), Err(ListFault::Absolute.in_line(1)));
        assert_eq!(names(&text, &under("/data")), Ok(vec!["b".to_owned(), "ks/a".to_owned()]));
        assert_eq!(names(&text, &under("/data/")), Ok(vec!["b".to_owned(), "ks/a".to_owned()]));
        assert_eq!(names(&text, &under("/dat")), Err(ListFault::Prefix.in_line(1)));
        assert_eq!(names(&text, &under("/data/ks")), Err(ListFault::Prefix.in_line(2)));
        assert_eq!(plain(&format!("{A}  ../a\n")), Err(ListFault::Name(crate::model::PathError::Dots).in_line(1)));
        assert_eq!(plain(&format!("{A}  ./\n")), Err(ListFault::NoName.in_line(1)));
    }

    #[test]
    fn what_64_digits_are_must_be_known() {
        let text = format!("{}  a\n", "0".repeat(64));
        let of = |algorithm, file_name| {
            let reading = Reading { file_name, algorithm, prefix: None };
            read(text.as_bytes(), &reading).map(|list| list.algorithms())
        };
        let (blake3, sha256) = (ChecksumAlgorithm::Blake3, ChecksumAlgorithm::Sha256);
        assert_eq!(of(None, "list"), Err(ListFault::Ambiguous.in_line(1)));
        for (name, algorithm) in [
            ("SHA256SUMS", sha256),
            ("list.sha256", sha256),
            ("b3sums.txt", blake3),
            ("x.B3", blake3),
            ("all.blake3", blake3),
        ] {
            assert_eq!(of(None, name), Ok(vec![algorithm]), "{name}");
            assert_eq!(of(Some(blake3), name), Ok(vec![blake3]), "{name}: what is said outweighs it");
        }
        assert_eq!(of(Some(sha256), "list"), Ok(vec![sha256]));
        assert!(of(None, "sha256-of-b3sums").is_err());
        assert_eq!(
            of(Some(ChecksumAlgorithm::Md5), "SHA256SUMS"),
            Err(ListFault::NotOf(ChecksumAlgorithm::Md5).of_all())
        );
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        assert_eq!(plain(&format!("{A}  a\nwhat\n")), Err(ListFault::Form.in_line(2)));
        assert_eq!(plain("\x7fELF\x02\x01"), Err(ListFault::Form.in_line(1)));
        assert_eq!(plain(""), Err(ListFault::Empty.of_all()));
        assert_eq!(plain("# nothing\n"), Err(ListFault::Empty.of_all()));
    }
}
