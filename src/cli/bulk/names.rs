//! The keyspaces and tables that the two sides of a pair have, for patterns to mean something.

use std::path::Path;

use crate::bulk::KeyspacePatterns;
use crate::cli::args::{ListArgs, ScanArgs};
use crate::cli::exit_code::CommandError;
use crate::cli::side::Side;
use crate::manifest::{Comparand, summed_up};
use crate::model::table_name;
use crate::scan::Cancel;

/// Keyspaces, and tables of them.
type Names = Vec<(String, Option<String>)>;

/// The names that these patterns mean on either side: what only one side has must be missed on the other.
pub(super) fn resolve(patterns: &KeyspacePatterns, sides: [&Path; 2]) -> Result<Vec<String>, CommandError> {
    let [source, destination] = sides.map(of_side);
    let (source, destination) = (source?, destination?);
    let usage = |what: &str| CommandError::Usage(format!("keyspaces: {what}"));
    match (source, destination) {
        (Held::Whole(_), Held::Whole(_)) => {
            Err(usage("they say what to scan, and both sides are manifests, which are scanned already"))
        }
        (Held::Unknown, _) | (_, Held::Unknown) if patterns.wildcard().is_none() => Ok(patterns.texts()),
        (Held::Unknown, _) | (_, Held::Unknown) => {
            Err(usage("patterns need directories of this machine or manifests; name the keyspaces instead"))
        }
        (Held::Whole(a) | Held::Directory(a), Held::Whole(b) | Held::Directory(b)) => {
            let names: Names = a.into_iter().chain(b).collect();
            patterns.resolve(&names).map_err(|error| CommandError::Failed(error.to_string()))
        }
    }
}

/// What one side has.
enum Held {
    /// A directory.
    Directory(Names),
    /// A manifest.
    Whole(Names),
    /// Something else, which is not asked.
    Unknown,
}

fn of_side(path: &Path) -> Result<Held, CommandError> {
    if path.is_dir() {
        return of_directory(path).map(Held::Directory);
    }
    if !path.is_file() {
        return Ok(Held::Unknown);
    }
    // A checksum list knows no keyspaces.
    Ok(match Side::of_argument(path, &ScanArgs::default(), &ListArgs::default(), &Cancel::default())? {
        Side::File(manifest) => Held::Whole(of_manifest(manifest.as_ref())),
        _ => Held::Unknown,
    })
}

fn of_manifest(manifest: &dyn Comparand) -> Names {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let tables = manifest.tables();
    let places = summed_up(&tables);
    let names = places.filter_map(|(keyspace, table)| {
        let table = match table {
            Some(table) => Some(table_name(table.as_bytes())?.to_owned()),
            None => None,
        };
        Some((text(keyspace.as_bytes())?, table))
    });
    names.collect()
}

/// Names that are not UTF-8 belong to no keyspace.
fn of_directory(path: &Path) -> Result<Names, CommandError> {
    let mut names = Names::new();
    for keyspace in directories(path)? {
        for table in directories(&path.join(&keyspace))? {
            names.extend(table_name(table.as_bytes()).map(|table| (keyspace.clone(), Some(table.to_owned()))));
        }
        names.push((keyspace, None));
    }
    Ok(names)
}

fn directories(path: &Path) -> Result<Vec<String>, CommandError> {
    let failed = |error: std::io::Error| CommandError::Failed(format!("{}: {error}", path.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A link is listed as a directory, and its name is one.
        if entry.path().is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_either_side_has() {
        let home = tempfile::tempdir().unwrap();
        let (s, d) = (home.path().join("s"), home.path().join("d"));
        for directory in ["s/shop1/a-0123456789abcdef0123456789abcdef", "s/audit/events", "d/shop2/b", "d/lost+found"] {
            std::fs::create_dir_all(home.path().join(directory)).unwrap();
        }
        std::fs::write(s.join("shop3"), "a file is no keyspace").unwrap();
        let patterns =
            |texts: &[&str]| KeyspacePatterns::new(texts.iter().map(|text| text.parse().unwrap()).collect()).unwrap();
        let resolve = |texts: &[&str], sides| resolve(&patterns(texts), sides).map_err(|error| error.to_string());
        assert_eq!(resolve(&["shop*"], [&s, &d]).unwrap(), ["shop1", "shop2"]);
        assert_eq!(resolve(&["shop*.?", "audit.events"], [&s, &d]).unwrap(), ["audit.events", "shop1.a", "shop2.b"]);
        assert!(resolve(&["shop3"], [&s, &d]).unwrap_err().contains("on neither side is anything that matches shop3"));
        let remote = Path::new("ssh://h/data");
        assert_eq!(resolve(&["shop3"], [&s, remote]).unwrap(), ["shop3"]);
        assert!(resolve(&["shop*"], [remote, &d]).unwrap_err().contains("patterns need directories"));
    }
}
