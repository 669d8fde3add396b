//! What of a tree somebody wants to have compared: globs of what is taken in and of what is left out, and a list of names. Pure.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::limits::MAX_PATTERN_BYTES;
use crate::model::RelPath;

/// What a filter is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilterTexts {
    /// Globs of files; where there are any, no other files are taken in.
    pub include: Vec<String>,
    /// Globs of files and directories that are left out, whatever else says of them.
    pub exclude: Vec<String>,
    /// Names of files, and of directories with everything below them; where they are given, nothing else is taken in.
    pub names: Option<BTreeSet<RelPath>>,
}

/// A glob that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{glob}\": {what}")]
pub struct FilterError {
    /// The glob.
    pub glob: String,
    /// What is wrong with it.
    pub what: String,
}

/// What of a tree is taken in. Clones share it.
#[derive(Debug, Clone)]
pub struct Filter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    include: Option<Globs>,
    exclude: Globs,
    names: Option<BTreeSet<RelPath>>,
}

impl Filter {
    /// The filter of these texts; `None` where they leave nothing out.
    pub fn new(texts: &FilterTexts) -> Result<Option<Self>, FilterError> {
        let FilterTexts { include, exclude, names } = texts;
        if include.is_empty() && exclude.is_empty() && names.is_none() {
            return Ok(None);
        }
        let include = (!include.is_empty()).then(|| Globs::new(include)).transpose()?;
        Ok(Some(Self(Arc::new(Inner { include, exclude: Globs::new(exclude)?, names: names.clone() }))))
    }

    /// Whether a file is taken in.
    pub fn takes_file(&self, path: &RelPath) -> bool {
        let Inner { include, exclude, names } = &*self.0;
        include.as_ref().is_none_or(|globs| globs.match_any(path, false))
            && !exclude.match_any(path, false)
            && names.as_ref().is_none_or(|names| covers(names, path))
    }

    /// Whether a directory is. Globs of what is taken in say nothing of directories.
    pub fn takes_directory(&self, path: &RelPath) -> bool {
        let Inner { exclude, names, .. } = &*self.0;
        !exclude.match_any(path, true)
            && names.as_ref().is_none_or(|names| covers(names, path) || leads_to(names, path))
    }

    /// Whether an entry is of which nobody knows whether it is a directory, such as a link that leads nowhere. It may be one that holds what is
    /// wanted, so only globs of what is left out say anything of it.
    pub fn takes_unknown(&self, path: &RelPath) -> bool {
        let Inner { exclude, names, .. } = &*self.0;
        !exclude.match_any(path, false)
            && names.as_ref().is_none_or(|names| covers(names, path) || leads_to(names, path))
    }

    /// The names that it is restricted to; empty where it is not.
    pub fn names(&self) -> impl Iterator<Item = &RelPath> {
        self.0.names.iter().flatten()
    }
}

/// Whether a path is one of these names, or lies below one.
fn covers(names: &BTreeSet<RelPath>, path: &RelPath) -> bool {
    std::iter::successors(Some(path.clone()), RelPath::parent).any(|path| names.contains(&path))
}

/// Whether one of these names lies below a path: a directory sorts right before what is below it.
fn leads_to(names: &BTreeSet<RelPath>, path: &RelPath) -> bool {
    let next = names.range(path..).next();
    next.is_some_and(|name| {
        name.names().zip(path.names()).all(|(a, b)| a == b) && name.names().count() >= path.names().count()
    })
}

/// Globs, each as a line of a `.gitignore` is read.
#[derive(Debug)]
struct Globs {
    /// Those that any entry may match.
    any: GlobSet,
    /// These, and those that only directories may match.
    directories: GlobSet,
}

impl Globs {
    fn new(texts: &[String]) -> Result<Self, FilterError> {
        let (mut any, mut directories) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for text in texts {
            let wrong = |what: String| FilterError { glob: text.clone(), what };
            let (glob, only_directories) = glob(text).map_err(wrong)?;
            if !only_directories {
                any.add(glob.clone());
            }
            directories.add(glob);
        }
        let build = |globs: &GlobSetBuilder| {
            globs.build().map_err(|error| FilterError { glob: texts.join(" "), what: error.to_string() })
        };
        Ok(Self { any: build(&any)?, directories: build(&directories)? })
    }

    /// Whether an entry matches, or a directory that it lies in.
    fn match_any(&self, path: &RelPath, is_directory: bool) -> bool {
        let globs = if is_directory { &self.directories } else { &self.any };
        let mut above = std::iter::successors(path.parent(), RelPath::parent).filter(|path| !path.is_root());
        globs.is_match(as_path(path)) || above.any(|directory| self.directories.is_match(as_path(&directory)))
    }
}

fn as_path(path: &RelPath) -> &Path {
    Path::new(OsStr::from_bytes(path.as_bytes()))
}

/// A glob, and whether only directories may match it. One without a slash before its end matches a name wherever it stands; any other
/// one matches from the root on.
fn glob(text: &str) -> Result<(Glob, bool), String> {
    if text.len() > MAX_PATTERN_BYTES {
        return Err(format!("longer than {MAX_PATTERN_BYTES} bytes"));
    }
    if text.starts_with('!') {
        return Err("a leading ! turns nothing round here: say --include or --exclude".to_owned());
    }
    let (body, only_directories) = match text.strip_suffix('/') {
        Some(body) => (body, true),
        None => (text, false),
    };
    let pattern = match body.strip_prefix('/') {
        Some(anchored) => anchored.to_owned(),
        None if body.contains('/') => body.to_owned(),
        None => format!("**/{body}"),
    };
    if body.trim_matches('/').is_empty() {
        return Err("it names nothing".to_owned());
    }
    let glob = GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(true).build();
    glob.map(|glob| (glob, only_directories)).map_err(|error| error.kind().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn filter(include: &[&str], exclude: &[&str], names: Option<&[&str]>) -> Filter {
        let names = names.map(|names| names.iter().map(|name| path(name)).collect());
        Filter::new(&FilterTexts { include: texts(include), exclude: texts(exclude), names }).unwrap().unwrap()
    }

    #[test]
    fn a_glob_is_read_as_a_line_of_a_gitignore() {
        for (glob, matching, others) in [
            ("*.db", &["x.db", "a/b/x.db", ".db"][..], &["x.dbx", "db"][..]),
            ("/*.db", &["x.db"], &["a/x.db"]),
            ("a/*.db", &["a/x.db"], &["b/a/x.db", "a/b/x.db"]),
            ("a/**/x", &["a/x", "a/b/x", "a/b/c/x"], &["b/a/x"]),
            ("**/a/x", &["a/x", "b/a/x"], &["ax", "a/b/x"]),
            ("a/**", &["a/x", "a/b/x"], &["b"]),
            ("tmp", &["tmp", "a/tmp", "tmp/x", "a/tmp/b/x"], &["tmp2"]),
            ("tmp/", &["tmp/x", "a/tmp/b/x"], &["tmp", "a/tmp"]),
            ("x?y", &["xzy"], &["x/y", "xy"]),
            ("[ab]*.{db,txt}", &["a.db", "bb.txt"], &["c.db", "a.crc"]),
            ("\\*", &["*"], &["x"]),
            ("#x", &["#x"], &["x"]),
        ] {
            let filter = filter(&[], &[glob], None);
            matching.iter().for_each(|text| assert!(!filter.takes_file(&path(text)), "{glob} {text}"));
            others.iter().for_each(|text| assert!(filter.takes_file(&path(text)), "{glob} {text}"));
        }
    }

    #[test]
    fn what_is_left_out_outweighs_what_is_taken_in() {
        let filter = filter(&["*.db", "/keep/"], &["*-tmp*", "snapshots/"], None);
        for (text, taken) in [
            ("a/x.db", true),
            ("a/x.txt", false),
            ("keep/x.txt", true),
            ("a/keep/x.txt", false),
            ("a/x-tmp.db", false),
            ("a/snapshots/x.db", false),
        ] {
            assert_eq!(filter.takes_file(&path(text)), taken, "{text}");
        }
        assert!(filter.takes_directory(&path("a")) && filter.takes_directory(&RelPath::root()));
        assert!(!filter.takes_directory(&path("a/snapshots")) && !filter.takes_directory(&path("a/snapshots/b")));
    }

    #[test]
    fn a_name_stands_for_itself_and_what_is_below_it() {
        let filter = filter(&[], &[], Some(&["a/b", "a-b/x", "t"]));
        for (text, taken) in [
            ("t", true),
            ("a/b", true),
            ("a/b/c/d", true),
            ("a/x", false),
            ("a", false),
            ("a-b/x", true),
            ("a-b/y", false),
        ] {
            assert_eq!(filter.takes_file(&path(text)), taken, "{text}");
        }
        for (text, entered) in
            [("", true), ("a", true), ("a/b", true), ("a/b/c", true), ("a/c", false), ("a-b", true), ("b", false)]
        {
            assert_eq!(filter.takes_directory(&path(text)), entered, "{text}");
        }
        assert_eq!(filter.names().count(), 3);
    }

    #[test]
    fn what_may_be_a_directory_is_only_left_out_by_name() {
        let of = |filter: Filter, text| filter.takes_unknown(&path(text));
        let globs = || filter(&["*.db"], &["tmp", "snapshots/"], None);
        assert!(of(globs(), "a") && of(globs(), "snapshots") && !of(globs(), "tmp") && !of(globs(), "snapshots/x"));
        let names = || filter(&[], &[], Some(&["a/b"]));
        assert!(of(names(), "a") && of(names(), "a/b") && !of(names(), "c"));
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        for glob in ["", "/", "//", "!x", "[a", "{a", &"x".repeat(MAX_PATTERN_BYTES + 1)] {
            let wrong = FilterTexts { exclude: vec![glob.to_owned()], ..FilterTexts::default() };
            assert_eq!(Filter::new(&wrong).unwrap_err().glob, glob);
        }
        assert!(Filter::new(&FilterTexts::default()).unwrap().is_none());
    }
}
