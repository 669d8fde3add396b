//! The columns of both tables. New ones come behind the others; none is ever taken away, renamed or given another type.

use std::borrow::Cow;

use super::facts::{DirectoryFacts, DirectoryRow, FileRow, Origin};
use super::schema::{Bytes, Column, Read, TableSchema};
use crate::manifest::SubtreeHash;
use crate::model::{Content, Listed, SstableName};

/// A row for each file.
pub static FILES: TableSchema<FileRow> = TableSchema {
    name: "files",
    columns: &[
        Column::new("run_id", Read::Text(run_id)),
        Column::new("pair_id", Read::Text(pair_id)),
        Column::new("role", Read::Text(role)),
        Column::new("cluster", Read::Text(cluster)),
        Column::new("host", Read::Text(host)),
        Column::new("instance", Read::Text(instance)),
        Column::new("root_type", Read::Text(root_type)),
        Column::new("root_index", Read::Int(root_index)),
        Column::new("keyspace", Read::Text(keyspace)),
        Column::new("table_name", Read::Text(table_name)),
        Column::new("table_id", Read::Text(table_id)),
        Column::new("sstable_id", Read::Text(sstable_id)),
        Column::new("component", Read::Text(component)),
        Column::new("is_mutable", Read::Boolean(is_mutable)),
        Column::distinct("key", Read::Text(key)),
        Column::new("size", Read::BigInt(size)),
        Column::new("last_modified_date", Read::Timestamp(last_modified_date)),
        Column::distinct("blake3", Read::Text(blake3)),
        Column::new("crc32_declared", Read::Text(nothing)),
        Column::new("crc32_computed", Read::Text(nothing)),
        Column::new("digest_source", Read::Text(digest_source)),
        Column::new("state", Read::Text(state)),
        Column::new("error", Read::Text(error)),
        Column::new("key_bytes", Read::Binary(key_bytes)),
        Column::new("directory", Read::Text(directory)),
        Column::new("last_modified_ms", Read::BigInt(last_modified_ms)),
        Column::new("created_at", Read::Timestamp(created_at)),
    ],
};

/// A row for each directory, each root included.
pub static DIRECTORIES: TableSchema<DirectoryRow> = TableSchema {
    name: "directories",
    columns: &[
        Column::new("run_id", Read::Text(run_id)),
        Column::new("pair_id", Read::Text(pair_id)),
        Column::new("role", Read::Text(role)),
        Column::new("cluster", Read::Text(cluster)),
        Column::new("host", Read::Text(host)),
        Column::new("instance", Read::Text(instance)),
        Column::new("root_type", Read::Text(root_type)),
        Column::new("root_index", Read::Int(root_index)),
        Column::new("keyspace", Read::Text(keyspace)),
        Column::new("table_name", Read::Text(table_name)),
        Column::new("table_id", Read::Text(table_id)),
        Column::distinct("path", Read::Text(|_, row| text(row.directory.path.as_bytes()))),
        Column::distinct("metadata_hash", Read::Text(|_, row| hash(row.metadata))),
        Column::distinct("content_hash", Read::Text(|_, row| hash(row.content))),
        Column::new("files", Read::BigInt(|_, row| i64::try_from(row.files).ok())),
        Column::new("bytes", Read::BigInt(|_, row| i64::try_from(row.bytes).ok())),
        Column::new("state", Read::Text(|_, row| text(row.state.name().as_bytes()))),
        Column::new("error", Read::Text(|_, row| row.state.error().map(|error| error.as_bytes().into()))),
        Column::new("path_bytes", Read::Binary(|_, row| unless_text(row.directory.path.as_bytes()))),
        Column::new("is_link", Read::Boolean(|_, row| Some(row.link))),
        Column::new("created_at", Read::Timestamp(created_at)),
        Column::new(
            "rules_fingerprint",
            Read::Text(|origin, _| owned(origin.identity.rules_fingerprint().to_string())),
        ),
        Column::new("selection", Read::Text(|origin, _| origin.selection().and_then(owned))),
    ],
};

/// A row that lies in a directory, or is one.
trait Located {
    fn place(&self) -> &DirectoryFacts;
}

impl Located for FileRow {
    fn place(&self) -> &DirectoryFacts {
        &self.directory
    }
}

impl Located for DirectoryRow {
    fn place(&self) -> &DirectoryFacts {
        &self.directory
    }
}

/// Bytes as UTF-8, with U+FFFD for those that are none.
fn text(bytes: &[u8]) -> Bytes<'_> {
    Some(match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    })
}

fn owned<'a>(text: String) -> Bytes<'a> {
    Some(Cow::Owned(text.into_bytes()))
}

fn some(text: &Option<String>) -> Bytes<'_> {
    text.as_ref().map(|text| text.as_bytes().into())
}

/// Bytes that [`text`] does not show as they are.
fn unless_text(bytes: &[u8]) -> Bytes<'_> {
    std::str::from_utf8(bytes).is_err().then_some(Cow::Borrowed(bytes))
}

fn hash<'a>(hash: SubtreeHash) -> Bytes<'a> {
    hash.digest().and_then(|digest| owned(digest.to_string()))
}

fn nothing<'a, R>(_: &'a Origin, _: &'a R) -> Bytes<'a> {
    None
}

fn run_id<'a, R>(origin: &'a Origin, _: &'a R) -> Bytes<'a> {
    some(&origin.run)
}

fn pair_id<'a, R>(origin: &'a Origin, _: &'a R) -> Bytes<'a> {
    origin.pair.as_ref().map(|(name, _)| name.as_bytes().into())
}

fn role<'a, R>(origin: &'a Origin, _: &'a R) -> Bytes<'a> {
    origin.pair.as_ref().and_then(|(_, side)| owned(side.to_string()))
}

fn cluster<'a, R>(origin: &'a Origin, _: &'a R) -> Bytes<'a> {
    some(&origin.cluster)
}

fn host<'a, R>(origin: &'a Origin, _: &'a R) -> Bytes<'a> {
    text(origin.identity.host.as_bytes())
}

fn instance<'a, R>(origin: &'a Origin, _: &'a R) -> Bytes<'a> {
    text(origin.identity.instance.as_bytes())
}

fn created_at<R>(origin: &Origin, _: &R) -> Option<i64> {
    microseconds(origin.identity.created_ms)
}

fn root_type<'a, R: Located>(_: &'a Origin, row: &'a R) -> Bytes<'a> {
    text(row.place().root.directory_type.name().as_bytes())
}

/// An index beyond 31 bits is no directory that anybody has.
fn root_index<R: Located>(_: &Origin, row: &R) -> Option<i32> {
    i32::try_from(row.place().root.index).ok()
}

fn keyspace<'a, R: Located>(_: &'a Origin, row: &'a R) -> Bytes<'a> {
    row.place().keyspace().and_then(text)
}

fn table_name<'a, R: Located>(_: &'a Origin, row: &'a R) -> Bytes<'a> {
    row.place().table_name().and_then(text)
}

fn table_id<'a, R: Located>(_: &'a Origin, row: &'a R) -> Bytes<'a> {
    row.place().table_id().map(|id| id.as_bytes().into())
}

/// What the name of a file in a table says.
fn sstable(row: &FileRow) -> Option<SstableName<'_>> {
    row.directory.table_name()?;
    SstableName::parse(row.file.name.as_bytes())
}

fn sstable_id<'a>(_: &'a Origin, row: &'a FileRow) -> Bytes<'a> {
    sstable(row).map(|name| name.id.as_bytes().into())
}

fn component<'a>(_: &'a Origin, row: &'a FileRow) -> Bytes<'a> {
    sstable(row).map(|name| name.component.as_bytes().into())
}

fn is_mutable(_: &Origin, row: &FileRow) -> Option<bool> {
    sstable(row).and_then(|name| name.is_mutable())
}

fn key<'a>(_: &'a Origin, row: &'a FileRow) -> Bytes<'a> {
    match String::from_utf8(row.key()) {
        Ok(key) => owned(key),
        Err(error) => owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

fn key_bytes<'a>(_: &'a Origin, row: &'a FileRow) -> Bytes<'a> {
    let [directory, name] = [row.directory.path.as_bytes(), row.file.name.as_bytes()];
    // No character of UTF-8 reaches across a '/'.
    [directory, name].into_iter().any(|part| std::str::from_utf8(part).is_err()).then(|| row.key().into())
}

fn directory<'a>(_: &'a Origin, row: &'a FileRow) -> Bytes<'a> {
    text(row.directory.path.as_bytes())
}

fn size(_: &Origin, row: &FileRow) -> Option<i64> {
    match row.file.listed {
        Listed::File { size, .. } => i64::try_from(size).ok(),
        Listed::Unlistable(_) => None,
    }
}

fn microseconds(milliseconds: i64) -> Option<i64> {
    milliseconds.checked_mul(1000)
}

fn modified_ms(row: &FileRow) -> Option<i64> {
    match row.file.listed {
        Listed::File { modified_ms, .. } => Some(modified_ms),
        Listed::Unlistable(_) => None,
    }
}

fn last_modified_date(_: &Origin, row: &FileRow) -> Option<i64> {
    modified_ms(row).and_then(microseconds)
}

/// The time where [`last_modified_date`] cannot say it.
fn last_modified_ms(_: &Origin, row: &FileRow) -> Option<i64> {
    modified_ms(row).filter(|ms| microseconds(*ms).is_none())
}

fn blake3<'a>(_: &'a Origin, row: &'a FileRow) -> Bytes<'a> {
    row.file.digest().and_then(|digest| owned(digest.to_string()))
}

/// What makes manifest files reads every file.
fn digest_source<'a>(_: &'a Origin, row: &'a FileRow) -> Bytes<'a> {
    row.file.digest().and_then(|_| text(b"read"))
}

fn state<'a>(_: &'a Origin, row: &'a FileRow) -> Bytes<'a> {
    text(match &row.file.listed {
        Listed::File { content: Content::Digest(_), .. } => b"digest",
        Listed::File { content: Content::NotRead, .. } => b"not-read",
        Listed::File { content: Content::Unverified(_), .. } => b"unverified",
        Listed::Unlistable(_) => b"unlistable",
    })
}

fn error<'a>(_: &'a Origin, row: &'a FileRow) -> Bytes<'a> {
    row.file.problem().and_then(|problem| owned(format!("{}: {}", problem.reason, problem.detail)))
}
