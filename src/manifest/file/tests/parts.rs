//! A manifest file in parts, each of which can be made a lie before the file is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_bytes::ByteBuf;

use crate::exclude::Rules;
use crate::manifest::block::encode_records;
use crate::manifest::block_view::decode_block;
use crate::manifest::codec;
use crate::manifest::directory::{Directory, DirectoryIndex};
use crate::manifest::file::section::{CHECKSUM_BYTES, checksum_start};
use crate::manifest::file::{
    BLOCKS, DIRECTORIES, END, EndRecord, IDENTITY, MAGIC, ManifestFile, RootRecord, SELECTION, TreeRecord,
};
use crate::manifest::file::{FileError, FormatVersion};
use crate::manifest::hash::{HashKind, SubtreeHash, instance_hash, subtree_hash};
use crate::manifest::identity::Identity;
use crate::manifest::record::{DirectoryRecord, FileRecords};
use crate::model::{Blake3Digest, Content, FileEntry, Listed, Name, Problem, Reason, RootId};

/// What stands at a name of an honest tree.
#[derive(Debug, Clone)]
pub(in crate::manifest) enum Node {
    Directory(BTreeMap<String, Node>),
    Link,
    Unlisted,
    /// Its size; time and digest follow from it.
    File(u64),
    NotRead(u64),
    Unreadable(u64),
    Unlistable,
}

/// A directory with these entries.
pub(in crate::manifest) fn directory<const N: usize>(entries: [(&str, Node); N]) -> Node {
    Node::Directory(entries.into_iter().map(|(name, node)| (name.to_owned(), node)).collect())
}

#[derive(Debug, Clone)]
pub(in crate::manifest) struct Parts {
    pub identity: Identity,
    pub roots: Vec<Root>,
    /// What the last section says, where it is not what follows.
    pub(in crate::manifest::file) end: fn(&mut EndRecord),
}

#[derive(Debug, Clone)]
pub(in crate::manifest) struct Root {
    pub id: RootId,
    pub directories: Vec<Directory>,
    pub content: Vec<SubtreeHash>,
    pub files: Vec<FileRecords>,
}

impl Parts {
    /// The file that a careful writer makes of these roots.
    pub(in crate::manifest) fn honest<const N: usize>(roots: [(&str, Node); N]) -> Self {
        let identity = Identity::new("host".to_owned(), "instance".to_owned(), 7, &Rules::none());
        let mut parts = Self { identity, roots: roots.map(|(id, node)| Root::of(id, &node)).to_vec(), end: |_| () };
        parts.roots.iter_mut().for_each(Root::seal);
        parts
    }

    pub(in crate::manifest) fn bytes(&self) -> Vec<u8> {
        let mut identity = self.identity.clone();
        let selection = identity.selection.take();
        let version = if selection.is_some() { FormatVersion::Restricted } else { FormatVersion::Whole };
        let mut out =
            [&MAGIC[..], &(version as u32).to_le_bytes(), &section(IDENTITY, &codec::encode(&identity))].concat();
        if let Some(selection) = selection {
            out.extend(section(SELECTION, &codec::encode(&selection.names())));
        }
        let records: Vec<RootRecord> = self.roots.iter().map(Root::record).collect();
        let blocks: Vec<u8> = self.roots.iter().flat_map(|root| root.blocks().concat()).collect();
        let mut end = self.end_record();
        (self.end)(&mut end);
        out.extend(section(DIRECTORIES, &codec::encode(&records)));
        out.extend(section(BLOCKS, &blocks));
        out.extend(section(END, &codec::encode(&end)));
        out
    }

    fn end_record(&self) -> EndRecord {
        let all = || self.roots.iter().flat_map(|root| &root.directories);
        let hash = |kind| {
            let of_root = |root: &Root| (root.id, Some(root.hash(kind, 0)));
            instance_hash(kind, &self.roots.iter().map(of_root).collect::<Vec<_>>()).digest().map(|digest| digest.0)
        };
        EndRecord {
            files: all().map(|d| d.files).fold(0, u64::wrapping_add),
            directories: all().filter(|d| d.name.is_some()).count() as u64,
            bytes: all().map(|d| d.bytes).fold(0, u64::wrapping_add),
            metadata: hash(HashKind::Metadata),
            content: hash(HashKind::Content),
        }
    }

    /// Writes it to a file of its own, and opens that.
    pub(in crate::manifest) fn open(
        &self,
        name: &str,
    ) -> (tempfile::TempDir, PathBuf, Result<ManifestFile, FileError>) {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join(name);
        std::fs::write(&path, self.bytes()).unwrap();
        let opened = ManifestFile::open(&path);
        (tmp, path, opened)
    }
}

impl Root {
    fn of(id: &str, node: &Node) -> Self {
        let mut root =
            Self { id: id.parse().unwrap(), directories: Vec::new(), content: Vec::new(), files: Vec::new() };
        root.add(0, None, node);
        root
    }

    fn add(&mut self, parent: u32, name: Option<&str>, node: &Node) {
        let index = self.directories.len() as u32;
        let none = BTreeMap::new();
        let entries = if let Node::Directory(entries) = node { entries } else { &none };
        let files: Vec<FileEntry> = entries.iter().filter_map(|(name, node)| file(name, node)).collect();
        self.directories.push(Directory {
            parent: DirectoryIndex(parent),
            name: name.map(|name| Name::new(name.as_bytes()).unwrap()),
            link: matches!(node, Node::Link),
            files: files.len() as u64,
            bytes: files.iter().map(FileEntry::size).sum(),
            metadata: SubtreeHash::Unproven,
            unlisted: matches!(node, Node::Unlisted).then(|| Problem::new(Reason::Unreadable, "no")),
        });
        self.content.push(SubtreeHash::Unproven);
        self.files.push(FileRecords::of(&files));
        for (name, node) in entries.iter().filter(|(name, node)| file(name, node).is_none()) {
            self.add(index, Some(name), node);
        }
    }

    /// Computes all hashes from what there is. Columns that are no files give none.
    pub(in crate::manifest) fn seal(&mut self) {
        for at in (0..self.directories.len()).rev() {
            let files = decode_block(&encode_records(self.files[at].clone())).ok();
            let children: Vec<usize> = self.children(at).collect();
            let hash = |kind| match (&files, &self.directories[at].unlisted) {
                (Some(files), None) => {
                    let children = children
                        .iter()
                        .map(|child| (self.directories[*child].name.as_ref().unwrap(), self.hash(kind, *child)));
                    subtree_hash(kind, files, children)
                }
                _ => SubtreeHash::Unproven,
            };
            let (metadata, content) = (hash(HashKind::Metadata), hash(HashKind::Content));
            (self.directories[at].metadata, self.content[at]) = (metadata, content);
        }
    }

    pub(in crate::manifest) fn hash(&self, kind: HashKind, at: usize) -> SubtreeHash {
        match kind {
            HashKind::Metadata => self.directories[at].metadata,
            HashKind::Content => self.content[at],
        }
    }

    pub(in crate::manifest) fn children(&self, at: usize) -> impl Iterator<Item = usize> {
        (1..self.directories.len()).filter(move |child| self.directories[*child].parent.at() == at)
    }

    /// Takes out a directory with everything below it.
    pub(in crate::manifest) fn remove(&mut self, at: usize) {
        let mut gone = vec![at];
        gone.extend((at + 1..self.directories.len()).filter(|later| self.is_below(*later, at)));
        for later in gone.iter().rev() {
            self.directories.remove(*later);
            self.content.remove(*later);
            self.files.remove(*later);
        }
        let shift = gone.len() as u32;
        for directory in &mut self.directories[at..] {
            if directory.parent.at() > at {
                directory.parent.0 -= shift;
            }
        }
    }

    fn is_below(&self, mut at: usize, above: usize) -> bool {
        while at > above {
            at = self.directories[at].parent.at();
        }
        at == above
    }

    fn blocks(&self) -> Vec<Vec<u8>> {
        let block = |(directory, files): (&Directory, &FileRecords)| match directory.files {
            0 => Vec::new(),
            _ => encode_records(files.clone()),
        };
        self.directories.iter().zip(&self.files).map(block).collect()
    }

    fn record(&self) -> RootRecord {
        let blocks = self.blocks();
        let hashes = blocks.iter().filter(|block| !block.is_empty()).flat_map(|block| *blake3::hash(block).as_bytes());
        let tree = TreeRecord {
            directories: self.directories.iter().map(DirectoryRecord::from).collect(),
            content: self.content.iter().map(|hash| hash.digest().map(|digest| digest.0)).collect(),
            block_bytes: blocks.iter().map(|block| block.len() as u64).collect(),
            block_hashes: ByteBuf::from(hashes.collect::<Vec<u8>>()),
        };
        RootRecord { directory_type: self.id.directory_type.code(), index: self.id.index, tree: Some(tree) }
    }
}

fn file(name: &str, node: &Node) -> Option<FileEntry> {
    let known = |size: u64, content| Listed::File { size, modified_ms: size as i64 - 3, content };
    let listed = match node {
        Node::Directory(_) | Node::Link | Node::Unlisted => return None,
        Node::File(size) => known(*size, Content::Digest(Blake3Digest([*size as u8; 32]))),
        Node::NotRead(size) => known(*size, Content::NotRead),
        Node::Unreadable(size) => known(*size, Content::Unverified(Problem::new(Reason::Unreadable, "no"))),
        Node::Unlistable => Listed::Unlistable(Problem::new(Reason::Vanished, "gone")),
    };
    Some(FileEntry { name: Name::new(name.as_bytes()).unwrap(), listed })
}

fn section(tag: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut checksum = checksum_start(tag, payload.len() as u64);
    checksum.update(payload);
    let checksum: [u8; CHECKSUM_BYTES as usize] = *checksum.finalize().as_bytes();
    [&tag[..], &(payload.len() as u64).to_le_bytes(), payload, &checksum].concat()
}
