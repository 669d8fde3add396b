//! Lists of pairs: which manifests are a source and a destination of each other.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::cli::exit_code::CommandError;
use crate::model::quoted;

/// The longest list, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// A source and a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub name: String,
    pub source: PathBuf,
    pub destination: PathBuf,
}

/// Reads a list.
pub(super) fn read(path: &Path) -> Result<Vec<Pair>, CommandError> {
    let usage = |what: String| CommandError::Usage(format!("--pairs {}: {what}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| usage(error.to_string()))?;
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| usage(error.to_string()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(usage(format!("it is longer than {MAX_BYTES} bytes")));
    }
    parse(&text).map_err(usage)
}

/// The pairs of a list: name, source, destination, separated by tabs, or by blanks in a line without a tab. Empty lines and those that
/// begin with `#` say nothing. No two pairs have one name, or their differences could not be told apart.
fn parse(text: &str) -> Result<Vec<Pair>, String> {
    let (mut pairs, mut names) = (Vec::new(), BTreeSet::new());
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = match line.contains('\t') {
            true => line.split('\t').map(str::trim).collect(),
            false => line.split_whitespace().collect(),
        };
        let [name, source, destination] = fields[..] else {
            return Err(format!("line {number}: expected a name and two manifests, not {} fields", fields.len()));
        };
        if [name, source, destination].contains(&"") {
            return Err(format!("line {number}: a field is empty"));
        }
        if !names.insert(name) {
            return Err(format!("line {number}: there is another pair {}", quoted(name)));
        }
        pairs.push(Pair { name: name.to_owned(), source: source.into(), destination: destination.into() });
    }
    match pairs.is_empty() {
        true => Err("there is no pair in it".to_owned()),
        false => Ok(pairs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, source: &str, destination: &str) -> Pair {
        Pair { name: name.to_owned(), source: source.into(), destination: destination.into() }
    }

    #[test]
    fn fields_are_separated_by_tabs_or_by_blanks() {
        let text = "# the first wave\n\nnode1 a.manifest  b.manifest\r\nnode 2\tthe a\t the b \n";
        let expected = [pair("node1", "a.manifest", "b.manifest"), pair("node 2", "the a", "the b")];
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn mistakes_are_named_by_their_line() {
        for (text, error) in [
            ("", "there is no pair in it"),
            ("# nothing\n", "there is no pair in it"),
            ("a b c\na b", "line 2: expected a name and two manifests, not 2 fields"),
            ("a b c d", "line 1: expected a name and two manifests, not 4 fields"),
            ("a\t\tc", "line 1: a field is empty"),
            ("\na b c\na d e", "line 3: there is another pair \"a\""),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text:?}");
        }
    }
}
