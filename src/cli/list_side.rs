//! A checksum list as one side of a comparison.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::args::ListArgs;
use super::exit_code::CommandError;
use super::local::Tree;
use crate::checksums::{ChecksumList, ListFault, ListKind, MAX_LIST_BYTES, Reading, read};
use crate::exclude::{Filter, RootRules, Rules};
use crate::manifest::{Comparand, Identity, Manifest, directories_of};
use crate::model::{
    ChecksumAlgorithm, Content, ContentDigest, EntryKind, Listed, Problem, Reason, RelPath, RootId, printable,
};

/// A checksum list.
pub(super) struct ListSide {
    /// What it is called.
    pub label: String,
    pub list: ChecksumList,
}

impl ListSide {
    /// The list in an open file; errors call it so.
    pub(super) fn read(label: &str, file: &File, args: &ListArgs) -> Result<Self, CommandError> {
        let failed = |what: String| CommandError::Failed(format!("{label}: {what}"));
        let mut bytes = Vec::new();
        let read_to_end = file.take(MAX_LIST_BYTES + 1).read_to_end(&mut bytes);
        read_to_end.map_err(|error| failed(error.to_string()))?;
        if bytes.len() as u64 > MAX_LIST_BYTES {
            return Err(failed(format!("a checksum list of more than {MAX_LIST_BYTES} bytes is not read")));
        }
        let file_name = Path::new(label).file_name().unwrap_or_default().to_string_lossy();
        let prefix = args.strip_prefix.as_deref().map(|prefix| prefix.as_bytes());
        let list = read(&bytes, &Reading { file_name: &file_name, algorithm: args.algorithm, prefix });
        let list = list.map_err(|error| match &error.fault {
            fault if fault.is_usage() => CommandError::Usage(format!("{label}: {error}")),
            ListFault::Form if error.line == Some(1) => {
                failed(format!("neither a manifest nor a checksum list: {error}"))
            }
            _ => failed(error.to_string()),
        })?;
        Ok(Self { label: label.to_owned(), list })
    }

    /// What it is, for people.
    pub(super) fn what(&self) -> String {
        let kind = match self.list.kind() {
            ListKind::Sums => "a checksum list",
            ListKind::Hashdeep => "a list of hashdeep",
            ListKind::Medusa => "a manifest.json of cassandra-medusa",
        };
        format!("{kind} ({})", printable(&self.label))
    }

    /// What of the list is compared with a tree of this machine, whose rules hold for both, or with whatever else.
    pub(super) fn wanted(
        &self,
        beside: Option<&Tree>,
        filter: Option<&Filter>,
    ) -> Result<Cow<'_, ChecksumList>, CommandError> {
        let rules = beside.map(|tree| tree.rules_of(RootId::DATA_0)).transpose()?.flatten();
        let rules = rules.unwrap_or_else(RootRules::none);
        if filter.is_none() && rules.is_empty() {
            return Ok(Cow::Borrowed(&self.list));
        }
        let filtered = |path: &RelPath| filter.is_none_or(|filter| filter.takes_file(path));
        let ruled = |path: &RelPath| rules.selects(path, false) && !rules.excludes_with_ancestors(path);
        Ok(Cow::Owned(self.list.clone().retain(|path| filtered(path) && ruled(path))))
    }

    /// The wanted part of the list as a manifest that knows neither times nor directories without files.
    pub(super) fn manifest(
        &self,
        wanted: &ChecksumList,
        algorithm: ChecksumAlgorithm,
        beside: Option<&Tree>,
        other: Option<&dyn Comparand>,
    ) -> Result<Manifest, CommandError> {
        let files = wanted.files().iter().map(|file| {
            let digest = wanted.digest(&file.path, algorithm);
            let size = file.size.filter(|_| wanted.has_sizes()).unwrap_or_default();
            (file.path.clone(), Listed::File { size, modified_ms: 0, content: content(algorithm, digest) })
        });
        let unlisted = other.map(|other| unlisted(other, wanted)).unwrap_or_default();
        let identity = Identity {
            host: "checksum list".to_owned(),
            instance: self.label.clone(),
            ..beside.map_or_else(|| Identity::new(String::new(), String::new(), 0, &Rules::none()), Tree::identity)
        };
        let manifest = Manifest::of_listed(identity, [(RootId::DATA_0, directories_of(files, unlisted))]);
        manifest.map_err(|error| CommandError::Failed(format!("{}: {error}", self.label)))
    }
}

/// What the manifest says of a file's bytes: only BLAKE3 is compared there.
fn content(algorithm: ChecksumAlgorithm, digest: Option<ContentDigest>) -> Content {
    match digest {
        Some(ContentDigest::Blake3(digest)) => Content::Digest(digest),
        None if algorithm == ChecksumAlgorithm::Blake3 => {
            let what = format!("the list has no {algorithm} of it");
            Content::Unverified(Problem::new(Reason::PeerError, what))
        }
        _ => Content::NotRead,
    }
}

/// The directories of the other side that could not be listed. The list knows nothing of them, so they are taken for its own too: nobody knows
/// what is in them, and that is no difference.
fn unlisted(other: &dyn Comparand, list: &ChecksumList) -> Vec<RelPath> {
    let tables = other.tables();
    let table = tables.iter().find(|(id, _)| *id == RootId::DATA_0).and_then(|(_, table)| *table);
    let unlisted = table.into_iter().flat_map(|table| {
        let unlisted = table.indices().filter(|index| table.get(*index).unlisted.is_some());
        unlisted.map(|index| table.path(index))
    });
    // Where the list has a file under that name, or above it, that is the difference.
    let is_free = |path: &RelPath| {
        let mut above = std::iter::successors(Some(path.clone()), RelPath::parent);
        !above.any(|path| list.entry(&path) == Some(EntryKind::File))
    };
    unlisted.filter(|path| !path.is_root()).filter(is_free).collect()
}
