//! The `manifest.json` of cassandra-medusa: tables, and the objects that a backup has of each. Pure.

use serde::Deserialize;

use super::error::{ListError, ListFault};
use super::line::decoded;
use super::list::{ChecksumList, ListKind, ListedFile};
use crate::model::{ChecksumAlgorithm, ContentDigest, RelPath};

#[derive(Deserialize)]
struct Table {
    keyspace: String,
    columnfamily: String,
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    path: String,
    #[serde(rename = "MD5", default)]
    md5: Option<String>,
    size: u64,
}

pub(super) fn read(bytes: &[u8]) -> Result<ChecksumList, ListError> {
    let tables: Vec<Table> =
        serde_json::from_slice(bytes).map_err(|error| ListFault::Json(error.to_string()).of_all())?;
    let mut files = Vec::new();
    for table in &tables {
        for object in &table.objects {
            files.push(file(table, object).map_err(ListFault::of_all)?);
        }
    }
    ChecksumList::new(ListKind::Medusa, files)
}

fn file(table: &Table, object: &Object) -> Result<ListedFile, ListFault> {
    let path = path(table, &object.path)?;
    let value = object.md5.as_deref().unwrap_or_default().trim().trim_matches('"');
    let digests = match value {
        "" => Vec::new(),
        value => vec![digest(value).ok_or(ListFault::Value(ChecksumAlgorithm::Md5))?],
    };
    Ok(ListedFile { path, size: Some(object.size), digests })
}

/// Where the file lies in a data directory: what stands before keyspace and table is the backup's business.
fn path(table: &Table, object: &str) -> Result<RelPath, ListFault> {
    let place = format!("{}/{}/", table.keyspace, table.columnfamily);
    let below = object.rfind(&format!("/{place}")).map(|at| &object[at + 1..]);
    let path = below
        .or_else(|| object.starts_with(&place).then_some(object))
        .ok_or_else(|| ListFault::Json(format!("the object \"{object}\" does not lie in its table, {place}")))?;
    RelPath::new(path.as_bytes()).map_err(ListFault::Name)
}

/// An MD5 in hexadecimal digits or Base64, or one of parts with their number.
fn digest(value: &str) -> Option<ContentDigest> {
    match value.split_once('-') {
        Some((md5, parts)) => {
            let parts = parts.parse().ok().filter(|parts| *parts > 0)?;
            Some(ContentDigest::Md5OfParts(hex::decode(md5).ok()?.try_into().ok()?, parts))
        }
        None => ChecksumAlgorithm::Md5.digest(&decoded(value.as_bytes())?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksums::{Reading, read};

    const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

    fn manifest(objects: &[(&str, &str)]) -> String {
        let objects: Vec<String> =
            objects.iter().map(|(path, md5)| format!(r#"{{"path":"{path}","MD5":"{md5}","size":7}}"#)).collect();
        format!(r#" [{{"keyspace":"ks","columnfamily":"t-1","objects":[{}]}}]"#, objects.join(","))
    }

    #[test]
    fn objects_lie_where_their_tables_do() {
        let text = manifest(&[
            ("prefix/node1/data/ks/t-1/nb-1-big-Data.db", MD5),
            ("node1/backup/data/ks/t-1/.index/nb-2-big-Data.db", "1B2M2Y8AsgTpgAmY7PhCfg=="),
            ("ks/t-1/nb-3-big-Data.db", &format!("{MD5}-13")),
            ("ks/t-1/nb-4-big-Data.db", ""),
        ]);
        let list = read(text.as_bytes(), &Reading::default()).unwrap();
        let md5: [u8; 16] = hex::decode(MD5).unwrap().try_into().unwrap();
        let found: Vec<_> = list.files().iter().map(|file| (file.path.to_string(), file.digests.clone())).collect();
        let expected = [
            ("ks/t-1/.index/nb-2-big-Data.db", vec![ContentDigest::Md5(md5)]),
            ("ks/t-1/nb-1-big-Data.db", vec![ContentDigest::Md5(md5)]),
            ("ks/t-1/nb-3-big-Data.db", vec![ContentDigest::Md5OfParts(md5, 13)]),
            ("ks/t-1/nb-4-big-Data.db", vec![]),
        ];
        assert_eq!(found, expected.map(|(path, digests)| (path.to_owned(), digests)));
        assert!(list.has_sizes());
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let refused = |text: &str| read(text.as_bytes(), &Reading::default()).unwrap_err();
        for text in ["[", "[1]", r#"[{"keyspace":"ks"}]"#, &manifest(&[("elsewhere/x", MD5)])] {
            assert!(matches!(refused(text).fault, ListFault::Json(_)), "{text}");
        }
        for value in ["x", "d41d", &format!("{MD5}-0"), &format!("{MD5}-x"), &format!("{MD5}-1-2")] {
            assert_eq!(
                refused(&manifest(&[("ks/t-1/x", value)])).fault,
                ListFault::Value(ChecksumAlgorithm::Md5),
                "{value}"
            );
        }
        assert!(matches!(refused(&manifest(&[("ks/t-1/../x", MD5)])).fault, ListFault::Name(_)));
        assert_eq!(refused("[]").fault, ListFault::Empty);
    }
}
