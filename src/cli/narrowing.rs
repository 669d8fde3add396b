//! What of two sides is compared, as the command line says it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::args::NarrowArgs;
use super::exit_code::CommandError;
use super::stdio::{STANDARD_INPUT, is_stdio, nobody_types, unless_cancelled};
use crate::exclude::{Filter, FilterTexts};
use crate::model::{ChecksumAlgorithm, RelPath, printable};
use crate::scan::Cancel;

/// The longest list of names that is read, in bytes: they are held in memory.
const MAX_NAMES_BYTES: u64 = 1 << 30;

/// What of two sides is compared; everything by default.
#[derive(Debug, Clone, Default)]
pub(super) struct Narrowing {
    /// Only what it takes in. The trees that are to be scanned have it too.
    pub filter: Option<Filter>,
    /// The filter as it was given, option by option.
    pub texts: Vec<String>,
    /// Modification times are not compared.
    pub ignore_times: bool,
    /// The algorithm of a checksum list.
    pub algorithm: Option<ChecksumAlgorithm>,
}

impl Narrowing {
    /// What these options say. A signal ends the wait for names on standard input.
    pub(super) fn of(args: &NarrowArgs, cancel: &Cancel) -> Result<Self, CommandError> {
        let NarrowArgs { ignore_times, include, exclude, files_from, null } = args;
        let names = files_from.as_deref().map(|list| names(list, *null, cancel)).transpose()?;
        let mut texts: Vec<String> = Vec::new();
        texts.extend(include.iter().map(|glob| format!("--include {glob}")));
        texts.extend(exclude.iter().map(|glob| format!("--exclude {glob}")));
        if let (Some(list), Some(names)) = (files_from, &names) {
            texts.push(format!("--files-from {} ({} names)", list.display(), names.len()));
        }
        let filter = FilterTexts { include: include.clone(), exclude: exclude.clone(), names };
        let filter = Filter::new(&filter).map_err(|error| CommandError::Usage(format!("a glob: {error}")))?;
        Ok(Self { filter, texts, ignore_times: *ignore_times, algorithm: None })
    }
}

/// The names in a list, or on standard input.
fn names(list: &Path, null: bool, cancel: &Cancel) -> Result<BTreeSet<RelPath>, CommandError> {
    let (label, bytes) = match is_stdio(list) {
        true => {
            nobody_types()?;
            let bytes = unless_cancelled(cancel, || bounded(&mut io::stdin().lock()))?;
            (STANDARD_INPUT.to_owned(), bytes)
        }
        false => (list.display().to_string(), File::open(list).and_then(|mut file| bounded(&mut file))),
    };
    let usage = |what: String| CommandError::Usage(format!("--files-from {label}: {what}"));
    parse(&bytes.map_err(|error| usage(error.to_string()))?, null).map_err(usage)
}

fn bounded(stream: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(MAX_NAMES_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_NAMES_BYTES {
        true => Err(io::Error::other(format!("a list of more than {MAX_NAMES_BYTES} bytes is not read"))),
        false => Ok(bytes),
    }
}

/// Names, one a line or each with a zero byte behind it. A slash at the start of one says nothing, as for rsync.
fn parse(bytes: &[u8], null: bool) -> Result<BTreeSet<RelPath>, String> {
    let end = if null { 0 } else { b'\n' };
    let names = bytes.split(|byte| *byte == end).filter(|name| !name.is_empty());
    let path = |name: &[u8]| {
        let relative = &name[name.iter().take_while(|byte| **byte == b'/').count()..];
        let shown = || printable(&String::from_utf8_lossy(name)).into_owned();
        RelPath::written(relative).map_err(|error| format!("\"{}\": {error}", shown()))
    };
    names.map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_line_by_line_or_with_zero_bytes() {
        let names = |bytes: &[u8], null| -> Result<Vec<String>, String> {
            Ok(parse(bytes, null)?.iter().map(ToString::to_string).collect())
        };
        let expected = Ok(vec!["a".to_owned(), "b/c d".to_owned()]);
        assert_eq!(names(b"b/c d\na\n", false), expected);
        assert_eq!(names(b"/a\n\n./b//c d/", false), expected);
        assert_eq!(names(b"a\0b/c d\0", true), expected);
        assert_eq!(names(b"a\nb\0", true), Ok(vec!["a\\nb".to_owned()]));
        assert_eq!(names(b".\n", false), Ok(vec![String::new()]), "the root: everything");
        assert_eq!(names(b"a/../b", false), Err("\"a/../b\": a name is \".\" or \"..\"".to_owned()));
        assert!(names(b"a\0b", false).is_err());
        assert_eq!(names(b"", false), Ok(vec![]));
    }
}
