//! The rules of an instance, and what they come to for one of its roots.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use regex::Regex;

use super::error::PatternError;
use super::filter::Filter;
use super::only::only_texts;
use super::pattern::Pattern;
use crate::model::{Blake3Digest, RelPath, RootId, Selection};

/// Separates this use of BLAKE3 from every other; a new meaning of the rules needs a new text.
const FINGERPRINT_CONTEXT: &str = "twintree 2026 exclusion rules fingerprint v1";

/// The exclusion rules of one instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(Arc<Inner>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Inner {
    files: Vec<Pattern>,
    directories: Vec<Pattern>,
    selection: Option<Selection>,
}

impl Rules {
    /// Rules that exclude nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// The rules that these patterns make.
    pub fn new(files: Vec<Pattern>, directories: Vec<Pattern>) -> Self {
        Self(Arc::new(Inner { files, directories, selection: None }))
    }

    /// Checks the patterns; all mistakes at once, those of the file patterns first.
    pub fn compile(file_patterns: &[String], directory_patterns: &[String]) -> Result<Self, Vec<PatternError>> {
        let mut errors = Vec::new();
        let mut parse = |patterns: &[String]| -> Vec<Pattern> {
            let parsed = patterns.iter().map(|text| Pattern::parse(text));
            parsed.filter_map(|result| result.map_err(|error| errors.push(error)).ok()).collect()
        };
        let (files, directories) = (parse(file_patterns), parse(directory_patterns));
        if errors.is_empty() { Ok(Self::new(files, directories)) } else { Err(errors) }
    }

    /// These patterns and those of `more`, whose selection is not looked at.
    pub fn and(&self, more: &Self) -> Self {
        let mut rules = Inner::clone(&self.0);
        rules.files.extend_from_slice(&more.0.files);
        rules.directories.extend_from_slice(&more.0.directories);
        Self(Arc::new(rules))
    }

    /// The same rules, with everything left out that is not selected.
    pub fn restricted_to(&self, selection: &Selection) -> Self {
        Self(Arc::new(Inner { selection: Some(selection.clone()), ..Inner::clone(&self.0) }))
    }

    /// What everything is restricted to; `None` for no restriction.
    pub fn selection(&self) -> Option<&Selection> {
        self.0.selection.as_ref()
    }

    /// Whether a root is left out altogether.
    pub fn leaves_out(&self, root: RootId) -> bool {
        self.0.selection.is_some() && !Selection::covers(root)
    }

    /// What the rules mean for one root that lies at the absolute path `home`, given without a trailing slash.
    ///
    /// Placeholders are filled in here, since a pattern may name a directory that only this root has. The one thing
    /// that can still fail is the size of a pattern that repeats a very long path.
    pub fn for_root(&self, root: RootId, home: &Path) -> Result<RootRules, PatternError> {
        let mut text = String::new();
        let home = home.as_os_str().as_encoded_bytes();
        // Only "/" itself cannot be named without a trailing slash; its entries are "/a", not "//a".
        push_decoded(&mut text, home.strip_suffix(b"/").unwrap_or(home));
        let compile = |patterns: &[Pattern]| {
            let applicable = patterns.iter().filter(|pattern| pattern.applies_to(root));
            applicable.map(|pattern| pattern.compile(&text)).collect::<Result<Vec<_>, _>>()
        };
        let files = compile(&self.0.files)?;
        let directories = compile(&self.0.directories)?;
        let selection = self.0.selection.clone().map(|selection| (root, selection));
        Ok(RootRules(Arc::new(Compiled { home: text, files, directories, selection, filter: None })))
    }

    /// The identity of the rules: equal where the same file patterns, the same directory patterns and the same selection
    /// are in force, in whatever order and however often each was given, and wherever the directories lie.
    pub fn fingerprint(&self) -> Blake3Digest {
        fingerprint_of(self.file_patterns(), self.directory_patterns(), self.selection())
    }

    /// The patterns asked of files, as given.
    pub fn file_patterns(&self) -> impl Iterator<Item = &str> {
        texts(&self.0.files)
    }

    /// The patterns asked of directories, as given.
    pub fn directory_patterns(&self) -> impl Iterator<Item = &str> {
        texts(&self.0.directories)
    }
}

/// The fingerprint of rules that are known by their texts alone: see [`Rules::fingerprint`].
pub fn fingerprint_of<'a>(
    file_patterns: impl Iterator<Item = &'a str>,
    directory_patterns: impl Iterator<Item = &'a str>,
    selection: Option<&Selection>,
) -> Blake3Digest {
    let only: Vec<String> = selection.into_iter().flat_map(only_texts).collect();
    let files: BTreeSet<&str> = file_patterns.collect();
    let mut directories: BTreeSet<&str> = directory_patterns.collect();
    directories.extend(only.iter().map(String::as_str));
    let mut hasher = blake3::Hasher::new_derive_key(FINGERPRINT_CONTEXT);
    for texts in [files, directories] {
        hasher.update(&(texts.len() as u64).to_le_bytes());
        for text in texts {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    }
    hasher.finalize().into()
}

fn texts(patterns: &[Pattern]) -> impl Iterator<Item = &str> {
    patterns.iter().map(Pattern::text)
}

/// The rules that apply below one root.
#[derive(Debug, Clone, Default)]
pub struct RootRules(Arc<Compiled>);

#[derive(Debug, Default)]
struct Compiled {
    home: String,
    files: Vec<Regex>,
    directories: Vec<Regex>,
    selection: Option<(RootId, Selection)>,
    filter: Option<Filter>,
}

impl Compiled {
    fn copy(&self) -> Self {
        let Self { home, files, directories, selection, filter } = self;
        let (home, files, directories) = (home.clone(), files.clone(), directories.clone());
        Self { home, files, directories, selection: selection.clone(), filter: filter.clone() }
    }
}

impl RootRules {
    /// Rules that exclude nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether no rule can match, so that nobody needs to ask.
    pub fn is_empty(&self) -> bool {
        !self.ask_about_files() && self.0.directories.is_empty()
    }

    /// Whether any rule looks at the path of a file; where none does, no path need be made.
    pub fn ask_about_files(&self) -> bool {
        !self.0.files.is_empty() || self.0.selection.is_some() || self.0.filter.is_some()
    }

    /// The same rules of this root, with everything left out that is not selected.
    pub fn restricted_to(&self, root: RootId, selection: &Selection) -> Self {
        Self(Arc::new(Compiled { selection: Some((root, selection.clone())), ..self.0.copy() }))
    }

    /// The same rules, with everything left out that the filter does not take in.
    pub fn filtered_by(&self, filter: &Filter) -> Self {
        Self(Arc::new(Compiled { filter: Some(filter.clone()), ..self.0.copy() }))
    }

    /// Whether an entry belongs to what the comparison is restricted to; everything does where it is not restricted.
    pub fn selects(&self, path: &RelPath, is_directory: bool) -> bool {
        let Compiled { selection, filter, .. } = &*self.0;
        let taken = |filter: &Filter| match is_directory {
            true => filter.takes_directory(path),
            false => filter.takes_file(path),
        };
        selection.as_ref().is_none_or(|(root, selection)| selection.includes(*root, path, is_directory))
            && filter.as_ref().is_none_or(taken)
    }

    /// The same for an entry of which nobody knows whether it is a directory.
    pub fn selects_unknown(&self, path: &RelPath) -> bool {
        let Compiled { selection, filter, .. } = &*self.0;
        selection.as_ref().is_none_or(|(root, selection)| selection.includes(*root, path, false))
            && filter.as_ref().is_none_or(|filter| filter.takes_unknown(path))
    }

    /// Whether a file is left out. A file below an excluded directory is too, which the walk sees to.
    pub fn excludes_file(&self, path: &RelPath) -> bool {
        self.any(&self.0.files, path)
    }

    /// Whether a directory is left out, and with it all that is below it; the root's path asks about the root itself.
    pub fn excludes_directory(&self, path: &RelPath) -> bool {
        self.any(&self.0.directories, path)
    }

    /// Whether a file is left out by a rule of its own, or with one of the directories it lies in.
    pub fn excludes_with_ancestors(&self, path: &RelPath) -> bool {
        let mut ancestors = std::iter::successors(path.parent(), RelPath::parent);
        self.excludes_file(path) || ancestors.any(|directory| self.excludes_directory(&directory))
    }

    fn any(&self, patterns: &[Regex], path: &RelPath) -> bool {
        if patterns.is_empty() {
            return false;
        }
        let mut text = String::with_capacity(self.0.home.len() + 1 + path.as_bytes().len());
        text.push_str(&self.0.home);
        if !path.is_root() {
            text.push('/');
            push_decoded(&mut text, path.as_bytes());
        }
        patterns.iter().any(|pattern| pattern.is_match(&text))
    }
}

/// Appends a name's characters; each byte that is no UTF-8 is one replacement character, as a wildcard should see it.
/// Two names may then read the same, but rules only ask what a name looks like, never which one it is.
fn push_decoded(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::MAX_PATTERN_BYTES;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn texts(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(|p| (*p).to_owned()).collect()
    }

    fn rules(files: &[&str], directories: &[&str]) -> Rules {
        Rules::compile(&texts(files), &texts(directories)).unwrap()
    }

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    fn excludes(pattern: &str, root: &str, home: &[u8], file: &[u8]) -> bool {
        let home = Path::new(OsStr::from_bytes(home));
        let rules = rules(&[pattern], &[]).for_root(root.parse().unwrap(), home).unwrap();
        rules.excludes_file(&RelPath::new(file).unwrap())
    }

    #[test]
    fn file_and_directory_patterns_are_asked_apart() {
        let rules = rules(&["glob:**/*.log"], &["glob:${DATA_FILE_DIR}/*/*/snapshots", "glob:${HINTS_DIR}"]);
        let data = rules.for_root(RootId::DATA_0, Path::new("/data")).unwrap();
        assert!(data.excludes_file(&path("ks/x.log")));
        assert!(!data.excludes_directory(&path("ks/x.log")));
        assert!(data.excludes_directory(&path("ks/t/snapshots")));
        assert!(!data.excludes_directory(&path("ks/snapshots")));
        assert!(!data.excludes_directory(&RelPath::root()));
        let hints = rules.for_root("hints/0".parse().unwrap(), Path::new("/hints")).unwrap();
        assert!(hints.excludes_directory(&RelPath::root()));
        assert!(!hints.excludes_directory(&path("ks/t/snapshots")));
    }

    #[test]
    fn rules_about_other_roots_leave_nothing_to_ask() {
        let rules = rules(&["glob:${DATA_FILE_DIR_1}/*"], &["regex:${HINTS_DIR}/x"]);
        let for_root = |root: &str| rules.for_root(root.parse().unwrap(), Path::new("/d")).unwrap();
        assert!(for_root("data/0").is_empty());
        assert!(for_root("data/10").is_empty());
        assert!(!for_root("data/1").is_empty());
        assert!(RootRules::none().is_empty());
        assert!(!RootRules::none().excludes_directory(&RelPath::root()));
    }

    #[test]
    fn a_file_is_left_out_with_every_directory_above_it() {
        let of_root = |files: &[&str], directories: &[&str]| {
            rules(files, directories).for_root(RootId::DATA_0, Path::new("/d")).unwrap()
        };
        let deep = of_root(&["glob:**/*.tmp"], &["glob:/d/*/*/snapshots"]);
        for out in ["x.tmp", "ks/t/a.tmp", "ks/t/snapshots/f", "ks/t/snapshots/a/b/c"] {
            assert!(deep.excludes_with_ancestors(&path(out)), "{out}");
        }
        for kept in ["ks/t/f", "ks/snapshots/f", "ks/t/u/snapshots/f", "ks/t/snapshots"] {
            assert!(
                !deep.excludes_with_ancestors(&path(kept)),
                "{kept}: a directory pattern is not asked of the file itself"
            );
        }
        assert!(of_root(&[], &["glob:/d"]).excludes_with_ancestors(&path("f")), "the root itself is left out");
    }

    #[test]
    fn characters_of_the_home_path_are_never_syntax() {
        for home in ["/a[b]", "/a{b,c}", "/a*", "/a?", "/a\\b", "/a.b+", "/a(b|c)$", "/a\\Eb", "/é 1"] {
            for pattern in
                ["glob:${DATA_FILE_DIR}/{x,y}", "regex:${DATA_FILE_DIR}/[xy]", "regex:\\Q${DATA_FILE_DIR}/x\\E"]
            {
                assert!(excludes(pattern, "data/0", home.as_bytes(), b"x"), "{pattern} {home}");
                assert!(!excludes(pattern, "data/0", home.as_bytes(), b"z"), "{pattern} {home}");
            }
        }
        assert!(excludes("glob:${DATA_FILE_DIR}/x", "data/0", b"/a\xff\xe2\x82", b"x"));
        assert!(excludes("glob:${DATA_FILE_DIR}/x", "data/0", b"/", b"x"));
        assert!(excludes("glob:{/other,${DATA_FILE_DIR}}/x", "data/0", b"/a}b", b"x"));
    }

    #[test]
    fn a_quantifier_repeats_the_last_character_of_the_home_path() {
        assert!(excludes("regex:${DATA_FILE_DIR}+/x", "data/0", b"/ab", b"x"));
        assert!(excludes("regex:/${DATA_FILE_DIR}?/x|${DATA_FILE_DIR}/x", "data/0", b"/a", b"x"));
    }

    #[test]
    fn further_placeholders_stay_text() {
        assert!(excludes("glob:${DATA_FILE_DIR}/${HINTS_DIR}", "data/0", b"/d", b"$HINTS_DIR"));
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let long = format!("glob:{}", "a".repeat(MAX_PATTERN_BYTES));
        let files = texts(&["*.log", ":x", "glob:ok", "ant:x", "glob:${DATA}/x", "GLOB:["]);
        let directories = vec!["Regex:ok".to_owned(), "regex:a*+".to_owned(), long];
        let errors = Rules::compile(&files, &directories).unwrap_err();
        let pattern = |i: usize| files[i].clone();
        assert_eq!(
            errors[..4],
            [
                PatternError::NoSyntax { pattern: pattern(0) },
                PatternError::NoSyntax { pattern: pattern(1) },
                PatternError::UnknownSyntax { pattern: pattern(3), syntax: "ant".to_owned() },
                PatternError::UnknownPlaceholder { pattern: pattern(4), placeholder: "${DATA}".to_owned() },
            ]
        );
        assert!(matches!(errors[4], PatternError::Malformed { .. }));
        assert!(matches!(errors[5], PatternError::Unsupported { .. }));
        assert!(matches!(errors[6], PatternError::TooLong { length: 4101, .. }));
        assert_eq!(errors.len(), 7);
    }

    #[test]
    fn the_fingerprint_is_that_of_two_sets_of_texts() {
        let fingerprint = |files: &[&str], directories: &[&str]| rules(files, directories).fingerprint();
        let (a, b) = ("glob:a", "glob:b");
        assert_eq!(fingerprint(&[a, b], &[]), fingerprint(&[b, a, b], &[]));
        assert_ne!(fingerprint(&[a, b], &[]), fingerprint(&[a], &[b]));
        assert_ne!(fingerprint(&[a], &[]), fingerprint(&[], &[a]));
        assert_ne!(fingerprint(&[a, b], &[]), fingerprint(&["glob:aglob:b"], &[]));
        assert_eq!(fingerprint(&[], &[]), Rules::none().fingerprint());
    }

    #[test]
    fn a_long_pattern_of_wildcards_still_compiles() {
        let glob = format!("glob:{}", "?".repeat(MAX_PATTERN_BYTES - 5));
        assert!(Rules::compile(&[glob], &[]).is_ok());
    }
}
