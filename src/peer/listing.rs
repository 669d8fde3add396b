//! A source's listing as text, read entry by entry. No I/O of its own: it reads from whatever it is given.

use std::io::{self, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::allowance::{Held, TooMuch};
use super::listed_roots::{Roots, SourceListing};
use super::short_strings::ShortStrings;

/// Why bytes are no listing.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The connection broke, or the text stops before its end.
    #[error("the listing stopped before its end: {0}")]
    Interrupted(String),
    /// It is not what the protocol says.
    #[error("the listing is malformed: {0}")]
    Malformed(String),
    /// It is more than may be held of a source.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
}

/// Reads a listing to its end. What it takes here is counted in `held` before it is kept.
pub fn read_listing(reader: impl Read, held: Held) -> Result<SourceListing, ListingError> {
    let reader = io::BufReader::with_capacity(64 << 10, ShortStrings::new(reader));
    let mut json = serde_json::Deserializer::from_reader(reader);
    let mut roots = Roots::new(held);
    let read = Body(&mut roots).deserialize(&mut json).and_then(|()| json.end());
    if let Some(too_much) = roots.too_much() {
        return Err(too_much.into());
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Listed, RootId};
    use crate::peer::allowance::Allowance;
    use crate::protocol::routes;

    fn entry(path: &str, size: i64, kind: &str) -> String {
        let url = format!("{}/{path}", routes::FILES);
        format!(r#"{{"fileUrl":{url:?},"size":{size},"fileType":"{kind}","lastModifiedTime":5}}"#)
    }

    fn body(entries: &[String]) -> String {
        format!(r#"{{"files":[{}],"totalSize":0}}"#, entries.join(","))
    }

    fn read(text: &str) -> Result<SourceListing, ListingError> {
        read_listing(text.as_bytes(), Allowance::new(256 << 20).hold())
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
        let roots = read(&body(&entries)).unwrap().roots;
        let paths = |root: &str| {
            let directories = roots[&root.parse().unwrap()].iter();
            directories.map(|d| (d.path.to_string(), d.files.len())).collect::<Vec<_>>()
        };
        let expected = [("", 0), ("ks", 0), ("ks/t", 1), ("ks-2", 0)];
        assert_eq!(paths("data/1"), expected.map(|(path, files)| (path.to_owned(), files)));
        assert_eq!(paths("data/10"), [(String::new(), 1)]);
        assert!(read(r#"{"totalSize":0,"files":[],"more":[{}]}"#).unwrap().roots.is_empty());
    }

    #[test]
    fn a_root_that_is_listed_itself_is_one_directory_as_always() {
        let with = read(&body(&[entry("data/0/", -1, "DIRECTORY"), entry("data/0/x", 1, "FILE")])).unwrap();
        assert_eq!(with.roots, read(&body(&[entry("data/0/x", 1, "FILE")])).unwrap().roots);
        assert_eq!(read(&body(&[entry("data/0/", -1, "DIRECTORY")])).unwrap().roots.len(), 1, "it is there, and empty");
    }

    #[test]
    fn a_name_the_protocol_mangled_is_never_comparable() {
        let entries = [entry("data/0/\u{fffd}", 1, "FILE"), entry("data/0/d\u{fffd}", -1, "DIRECTORY")];
        let roots = read(&body(&entries)).unwrap().roots;
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
