//! A source's listing, entry by entry, into the directories of its roots. Believes nothing it can check. No I/O of its
//! own: it reads from whatever it is given.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::file_request::Unaskable;
use super::short_strings::ShortStrings;
use crate::model::{Content, EntryKind, FileEntry, Listed, Name, Problem, RelPath, RootId};
use crate::protocol::{ListingEntry, UnlistedEntry, routes};
use crate::scan::WalkedDirectory;

/// The most entries a listing may have; each takes some hundred bytes of memory here.
const MAX_ENTRIES: usize = 1 << 25;

/// Why bytes are no listing.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The connection broke, or the text stops before its end.
    #[error("the listing stopped before its end: {0}")]
    Interrupted(String),
    /// It is not what the protocol says.
    #[error("the listing is malformed: {0}")]
    Malformed(String),
}

/// The roots a listing has entries of, each with its directories in pre-order, the root itself first.
///
/// The protocol cannot tell an empty root from an absent one: neither stands here.
pub type ListedRoots = BTreeMap<RootId, Vec<WalkedDirectory>>;

/// Reads a listing to its end.
pub fn read_listing(reader: impl Read) -> Result<ListedRoots, ListingError> {
    let reader = io::BufReader::with_capacity(64 << 10, ShortStrings::new(reader));
    let mut json = serde_json::Deserializer::from_reader(reader);
    let mut roots = Roots::default();
    let read = Body(&mut roots).deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| match error.classify() {
        serde_json::error::Category::Io if error.io_error_kind() == Some(io::ErrorKind::InvalidData) => {
            ListingError::Malformed(error.to_string())
        }
        serde_json::error::Category::Io | serde_json::error::Category::Eof => {
            ListingError::Interrupted(error.to_string())
        }
        _ => ListingError::Malformed(error.to_string()),
    })?;
    roots.finish().map_err(ListingError::Malformed)
}

/// The object around the entries.
struct Body<'a>(&'a mut Roots);

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a listing with its files")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "files" if !found => {
                    map.next_value_seed(Each(self.0, Roots::add))?;
                    found = true;
                }
                "files" => return Err(A::Error::duplicate_field("files")),
                "unverified" => map.next_value_seed(Each(self.0, Roots::unlisted))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if found { Ok(()) } else { Err(A::Error::missing_field("files")) }
    }
}

/// A list of entries, of which only one stands in memory as text, and what is done with each.
struct Each<'a, T>(&'a mut Roots, fn(&mut Roots, T) -> Result<(), String>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Each<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Each<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(entry) = seq.next_element::<T>()? {
            self.1(self.0, entry).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// Entries as they come, in whatever order.
#[derive(Default)]
struct Roots {
    roots: BTreeMap<RootId, HashMap<RelPath, WalkedDirectory>>,
    /// Files whose directory may still come: by root and directory.
    files: BTreeMap<RootId, HashMap<RelPath, Vec<FileEntry>>>,
    entries: usize,
}

impl Roots {
    fn add(&mut self, entry: ListingEntry) -> Result<(), String> {
        let (root, path) = self.place(&entry.file_url)?;
        let lossy = || {
            let lossy = entry.file_url.contains(char::REPLACEMENT_CHARACTER);
            lossy.then(|| Problem::from(Unaskable::NotText))
        };
        match entry.file_type {
            EntryKind::Directory => {
                let unlisted = lossy();
                let modified_ms = entry.last_modified_time;
                let directory =
                    WalkedDirectory { path: path.clone(), modified_ms, unlisted, ..WalkedDirectory::empty_root() };
                match self.roots.entry(root).or_default().insert(path, directory) {
                    None => Ok(()),
                    Some(_) => Err(format!("{:?} stands in it twice", entry.file_url)),
                }
            }
            EntryKind::File => {
                let size =
                    u64::try_from(entry.size).map_err(|_| format!("{:?} has a negative size", entry.file_url))?;
                let listed = match lossy() {
                    Some(problem) => Listed::Unlistable(problem),
                    None => Listed::File { size, modified_ms: entry.last_modified_time, content: Content::NotRead },
                };
                self.file(root, &path, listed)
            }
        }
    }

    fn unlisted(&mut self, entry: UnlistedEntry) -> Result<(), String> {
        let (root, path) = self.place(&entry.file_url)?;
        self.file(root, &path, Listed::Unlistable(Problem::new(entry.reason, entry.detail)))
    }

    /// Which entry a file URL names. It is not percent-encoded. The path of a root itself is empty: a source whose configured
    /// directory ends in a slash lists it.
    fn place(&mut self, file_url: &str) -> Result<(RootId, RelPath), String> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(format!("it has more than {MAX_ENTRIES} entries"));
        }
        let named = || {
            let path = file_url.strip_prefix(routes::FILES)?.strip_prefix('/')?;
            let (kind, rest) = path.split_once('/')?;
            let (index, path) = rest.split_once('/')?;
            let root: RootId = format!("{kind}/{index}").parse().ok()?;
            Some((root, RelPath::new(path.as_bytes()).ok()?))
        };
        named().ok_or_else(|| format!("{file_url:?} is the name of no entry"))
    }

    fn file(&mut self, root: RootId, path: &RelPath, listed: Listed) -> Result<(), String> {
        let (Some(parent), Some(name)) = (path.parent(), path.names().last()) else {
            return Err("an entry without a name".to_owned());
        };
        let name = Name::new(name).map_err(|error| error.to_string())?;
        self.files.entry(root).or_default().entry(parent).or_default().push(FileEntry { name, listed });
        Ok(())
    }

    fn finish(mut self) -> Result<ListedRoots, String> {
        let mut listed = ListedRoots::new();
        let ids: Vec<RootId> = self.roots.keys().chain(self.files.keys()).copied().collect();
        for id in ids {
            if listed.contains_key(&id) {
                continue;
            }
            let mut directories = self.roots.remove(&id).unwrap_or_default();
            directories.insert(RelPath::root(), WalkedDirectory::empty_root());
            for (path, mut files) in self.files.remove(&id).unwrap_or_default() {
                files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
                let twice = files.windows(2).find(|pair| pair[0].name == pair[1].name).map(|pair| &pair[0].name);
                let is_directory =
                    |file: &&FileEntry| path.join(&file.name).is_ok_and(|path| directories.contains_key(&path));
                if let Some(name) = twice.or(files.iter().find(is_directory).map(|file| &file.name)) {
                    return Err(format!("{id}/{path}/{name} stands in it twice"));
                }
                let directory = directories.get_mut(&path);
                directory.ok_or_else(|| format!("it has files of {id}/{path} and not the directory itself"))?.files =
                    files;
            }
            let orphan = |path: &&RelPath| path.parent().is_some_and(|parent| !directories.contains_key(&parent));
            if let Some(path) = directories.keys().find(orphan) {
                return Err(format!("it has {id}/{path} and not the directory it is in"));
            }
            let mut directories: Vec<WalkedDirectory> = directories.into_values().collect();
            directories.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            listed.insert(id, directories);
        }
        Ok(listed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, size: i64, kind: &str) -> String {
        let url = format!("{}/{path}", routes::FILES);
        format!(r#"{{"fileUrl":{url:?},"size":{size},"fileType":"{kind}","lastModifiedTime":5}}"#)
    }

    fn body(entries: &[String]) -> String {
        format!(r#"{{"files":[{}],"totalSize":0}}"#, entries.join(","))
    }

    fn read(text: &str) -> Result<ListedRoots, ListingError> {
        read_listing(text.as_bytes())
    }

    #[test]
    fn entries_in_any_order_become_directories_in_pre_order() {
        let entries = [
            entry("data/10/x", 3, "FILE"),
            entry("data/1/ks/t/f", 2, "FILE"),
            entry("data/1/ks/t", -1, "DIRECTORY"),
            entry("data/1/ks-2", -1, "DIRECTORY"),
            entry("data/1/ks", -1, "DIRECTORY"),
        ];
        let roots = read(&body(&entries)).unwrap();
        let paths = |root: &str| {
            let directories = roots[&root.parse().unwrap()].iter();
            directories.map(|d| (d.path.to_string(), d.files.len())).collect::<Vec<_>>()
        };
        let expected = [("", 0), ("ks", 0), ("ks/t", 1), ("ks-2", 0)];
        assert_eq!(paths("data/1"), expected.map(|(path, files)| (path.to_owned(), files)));
        assert_eq!(paths("data/10"), [(String::new(), 1)]);
        assert!(read(r#"{"totalSize":0,"files":[],"more":[{}]}"#).unwrap().is_empty());
    }

    #[test]
    fn a_root_that_is_listed_itself_is_one_directory_as_always() {
        let with = read(&body(&[entry("data/0/", -1, "DIRECTORY"), entry("data/0/x", 1, "FILE")])).unwrap();
        assert_eq!(with, read(&body(&[entry("data/0/x", 1, "FILE")])).unwrap());
        assert_eq!(read(&body(&[entry("data/0/", -1, "DIRECTORY")])).unwrap().len(), 1, "it is there, and empty");
    }

    #[test]
    fn a_name_the_protocol_mangled_is_never_comparable() {
        let entries = [entry("data/0/\u{fffd}", 1, "FILE"), entry("data/0/d\u{fffd}", -1, "DIRECTORY")];
        let roots = read(&body(&entries)).unwrap();
        let directories = &roots[&RootId::DATA_0];
        assert!(matches!(directories[0].files[0].listed, Listed::Unlistable(_)));
        assert!(directories[1].unlisted.is_some());
    }

    #[test]
    fn whatever_is_no_listing_is_refused() {
        let file = |path: &str| body(&[entry(path, 1, "FILE")]);
        let long = "x".repeat(crate::peer::short_strings::MAX_STRING_BYTES + 1);
        for text in [
            "[]".to_owned(),
            "{}".to_owned(),
            r#"{"files":7}"#.to_owned(),
            r#"{"files":[],"files":[]}"#.to_owned(),
            r#"{"files":[]} x"#.to_owned(),
            format!("{{\"files\":[],\"{long}\":1}}"),
            file("data/0/../x"),
            file("data/0//x"),
            file("data/0"),
            file("data/0/"),
            body(&[entry("data/0/", -1, "DIRECTORY"), entry("data/0/", -1, "DIRECTORY")]),
            file("data/01/x"),
            file("nodata/0/x"),
            file("data/0/not/listed"),
            body(&[entry("data/0/x", -1, "FILE")]),
            body(&[entry("data/0/x", 1, "LINK")]),
            body(&[entry("data/0/x", 1, "FILE"), entry("data/0/x", 1, "FILE")]),
            body(&[entry("data/0/x", 1, "FILE"), entry("data/0/x", -1, "DIRECTORY")]),
            body(&[entry("data/0/x", -1, "DIRECTORY"), entry("data/0/x", -1, "DIRECTORY")]),
            body(&[entry("data/0/x/y", -1, "DIRECTORY")]),
            r#"{"files":[{"fileUrl":"/elsewhere","size":1,"fileType":"FILE","lastModifiedTime":5}]}"#.to_owned(),
        ] {
            let shown = &text[..text.len().min(200)];
            assert!(matches!(read(&text), Err(ListingError::Malformed(_))), "{shown}: {:?}", read(&text));
        }
    }

    #[test]
    fn every_cut_is_an_interruption_and_never_a_shorter_listing() {
        let text = body(&[entry("data/0/x\\\"", 1, "FILE"), entry("data/0/y", 2, "FILE")]);
        assert!(read(&text).is_ok());
        for end in 0..text.len() {
            assert!(matches!(read(&text[..end]), Err(ListingError::Interrupted(_))), "{}", &text[..end]);
        }
    }
}
