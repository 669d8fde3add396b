//! Frames into a manifest: a state machine over what a peer claims, which believes nothing it can check. No I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::manifest::{
    Directory, DirectoryIndex, DirectoryTable, HashKind, Identity, SubtreeHash, TableError, Totals, hash_of_roots,
    totals_of_roots,
};
use crate::model::{DirectoryType, Problem, Provenance, RootId};
use crate::protocol::{
    End, FinishedDirectory, Hello, ManifestFrame, ProgressFrame, RootFrame, SPOKEN_VERSIONS, SourceFailure,
};

/// The most roots a peer may announce.
const MAX_ROOTS: usize = 1024;

/// Why frames do not make a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// A version that was not asked for.
    #[error("it speaks protocol version {0}")]
    Version(u32),
    /// A frame where it has no place.
    #[error("a {0} frame came where it has no place")]
    OutOfPlace(&'static str),
    /// A root with an unknown type, out of order, or one too many.
    #[error("the roots are unknown, out of order or too many")]
    Roots,
    /// Another number of directories than announced.
    #[error("{0}: another number of directories than announced")]
    Count(RootId),
    /// Directories that make no tree.
    #[error("{0}: {1}")]
    Table(RootId, TableError),
    /// Sums over all roots that no disk holds.
    #[error("the sums of files or bytes over all roots are beyond 64 bits")]
    Sums,
    /// A content hash for a directory that does not exist, or a second one that withdraws nothing.
    #[error("a content hash of a directory that does not exist, or a second one of the same")]
    Content,
    /// The stream ended before every directory had its content hash.
    #[error("the stream ended without the content hash of {0} directories")]
    ContentMissing(usize),
    /// The check died, which says nothing about the source.
    #[error("internal error: the check of its answer died: {0}")]
    Died(String),
    /// The totals or root hashes do not follow from the directories.
    #[error("the totals or root hashes at the end are not those of the directories")]
    End,
}

/// The tables of a source.
#[derive(Debug, Clone)]
pub struct RemoteManifest {
    /// The name under which the source keeps it.
    pub id: Uuid,
    /// What it is of.
    pub identity: Identity,
    /// The roots, sorted by id; `None` for an absent one. The position is the root's number on the wire.
    pub roots: Vec<(RootId, Option<DirectoryTable>)>,
}

impl RemoteManifest {
    /// The roots with their tables.
    pub fn tables(&self) -> Vec<(RootId, Option<&DirectoryTable>)> {
        self.roots.iter().map(|(id, table)| (*id, table.as_ref())).collect()
    }

    /// Files and bytes in all roots, as the source says.
    pub fn files_and_bytes(&self) -> (u64, u64) {
        let totals = self.totals();
        (totals.files, totals.bytes)
    }

    /// Sums over all roots, as the source says.
    fn totals(&self) -> Totals {
        // They fit, or the tables would have been refused.
        totals_of_roots(self.roots.iter().filter_map(|(_, table)| table.as_ref())).unwrap_or_default()
    }

    /// Whether the other one says the same of the same roots, under whatever id.
    pub(super) fn has_same_roots_as(&self, other: &Self) -> bool {
        let same = |((id, table), (other_id, other)): (&(RootId, _), &(RootId, _))| match (table, other) {
            (Some(table), Some(other)) => id == other_id && DirectoryTable::is_same_claim_as(table, other),
            (None, None) => id == other_id,
            _ => false,
        };
        self.roots.len() == other.roots.len() && self.roots.iter().zip(&other.roots).all(same)
    }

    /// A root's number on the wire, and its table.
    pub fn root(&self, id: RootId) -> Option<(u32, &DirectoryTable)> {
        let at = self.roots.binary_search_by_key(&id, |(other, _)| *other).ok()?;
        self.roots[at].1.as_ref().map(|table| (at as u32, table))
    }
}

/// What a source says of the content of its directories.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// By root number and directory.
    pub hashes: Vec<Vec<SubtreeHash>>,
    /// Directories with which something was found to be wrong only when their files were read. Without a problem, no hash may be
    /// left out.
    pub problems: Problems,
}

/// The last problem of each directory that has one.
type Problems = BTreeMap<(RootId, DirectoryIndex), Problem>;

impl Contents {
    /// Whether the source said that something is wrong with this directory.
    pub fn has_problem(&self, id: RootId, index: DirectoryIndex) -> bool {
        self.problems.contains_key(&(id, index))
    }

    /// The hashes of the root with this number; empty where there is no such root.
    pub fn of_root(&self, number: usize) -> &[SubtreeHash] {
        self.hashes.get(number).map_or(&[], Vec::as_slice)
    }
}

/// What a frame led to.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing to tell.
    Taken,
    /// How far the source is.
    Progress(ProgressFrame),
    /// All tables are there.
    Metadata(Arc<RemoteManifest>),
    /// The content of these directories is known.
    Content(Vec<FinishedDirectory>),
    /// Where the content came from, as the source says.
    Provenance(Provenance),
    /// The stream is complete and everything it said adds up.
    End,
    /// The source gave up.
    Failed(SourceFailure),
}

#[derive(Default)]
pub(crate) struct Assembly {
    hello: Option<Hello>,
    announced: Vec<(RootId, Option<u32>)>,
    directories: Vec<Vec<Directory>>,
    received: usize,
    manifest: Option<Arc<RemoteManifest>>,
    contents: Vec<Vec<Option<SubtreeHash>>>,
    problems: Problems,
    provenance: Option<Provenance>,
}

impl Assembly {
    pub(crate) fn accept(&mut self, frame: ManifestFrame) -> Result<Step, AssemblyError> {
        match (frame, &self.hello, &self.manifest) {
            (ManifestFrame::Error(failure), ..) => Ok(Step::Failed(failure)),
            (ManifestFrame::Hello(hello), None, _) => self.hello(hello),
            (ManifestFrame::Progress(progress), Some(_), _) => Ok(Step::Progress(progress)),
            (ManifestFrame::Root(root), Some(_), None) => self.root(root),
            (ManifestFrame::Directories(records), Some(_), None) => {
                let Some((id, Some(count))) = self.announced.last().copied() else {
                    return Err(AssemblyError::OutOfPlace("directories"));
                };
                let Some(directories) = self.directories.last_mut() else { return Err(AssemblyError::Roots) };
                if records.len() > (count as usize).saturating_sub(directories.len()) {
                    return Err(AssemblyError::Count(id));
                }
                directories.extend(records);
                Ok(Step::Taken)
            }
            (ManifestFrame::MetadataEnd, Some(hello), None) => {
                let (id, identity) = (Uuid::from_bytes(hello.manifest_id), hello.identity.clone());
                self.metadata_end(id, identity)
            }
            (ManifestFrame::Content(finished), _, Some(manifest)) => {
                let manifest = Arc::clone(manifest);
                self.content(finished, &manifest)
            }
            (ManifestFrame::Provenance(provenance), _, Some(_)) if self.provenance.is_none() => {
                self.provenance = Some(provenance);
                Ok(Step::Provenance(provenance))
            }
            // A source that does not say what it trusted has not said everything.
            (ManifestFrame::End(end), _, Some(manifest)) if self.provenance.is_some() => {
                check_end(manifest, &self.contents, &self.problems, end)?;
                Ok(Step::End)
            }
            (frame, ..) => Err(AssemblyError::OutOfPlace(name(&frame))),
        }
    }

    /// What was received of the content so far.
    pub(super) fn into_contents(self) -> Contents {
        let known = |hash: Option<SubtreeHash>| hash.unwrap_or(SubtreeHash::Unproven);
        let hashes = self.contents.into_iter().map(|root| root.into_iter().map(known).collect()).collect();
        Contents { hashes, problems: self.problems }
    }

    fn hello(&mut self, hello: Hello) -> Result<Step, AssemblyError> {
        let (lowest, highest) = SPOKEN_VERSIONS;
        if !(lowest..=highest).contains(&hello.protocol_version) {
            return Err(AssemblyError::Version(hello.protocol_version));
        }
        self.hello = Some(hello);
        Ok(Step::Taken)
    }

    fn root(&mut self, root: RootFrame) -> Result<Step, AssemblyError> {
        let directory_type = DirectoryType::from_code(root.directory_type).ok_or(AssemblyError::Roots)?;
        let id = RootId::new(directory_type, root.index);
        let ordered = self.announced.last().is_none_or(|(before, _)| *before < id);
        if !ordered || self.announced.len() == MAX_ROOTS {
            return Err(AssemblyError::Roots);
        }
        // Bounds all that this source can make us hold, over all its roots.
        self.received = self.received.saturating_add(root.directories.unwrap_or(0) as usize);
        if self.received > DirectoryTable::MAX_DIRECTORIES {
            return Err(AssemblyError::Table(id, TableError::TooMany(self.received)));
        }
        self.announced.push((id, root.directories));
        self.directories.push(Vec::new());
        Ok(Step::Taken)
    }

    fn metadata_end(&mut self, id: Uuid, identity: Identity) -> Result<Step, AssemblyError> {
        let mut roots = Vec::with_capacity(self.announced.len());
        for ((id, count), directories) in self.announced.iter().zip(self.directories.drain(..)) {
            let table = match count {
                None => None,
                Some(count) if *count as usize != directories.len() => return Err(AssemblyError::Count(*id)),
                Some(_) => {
                    let table = DirectoryTable::new(directories).map_err(|error| AssemblyError::Table(*id, error))?;
                    table
                        .check_hashes_without_files(None, |_| false)
                        .map_err(|error| AssemblyError::Table(*id, error))?;
                    Some(table)
                }
            };
            roots.push((*id, table));
        }
        if totals_of_roots(roots.iter().filter_map(|(_, table)| table.as_ref())).is_none() {
            return Err(AssemblyError::Sums);
        }
        self.contents =
            roots.iter().map(|(_, table)| vec![None; table.as_ref().map_or(0, DirectoryTable::len)]).collect();
        let manifest = Arc::new(RemoteManifest { id, identity, roots });
        self.manifest = Some(Arc::clone(&manifest));
        Ok(Step::Metadata(manifest))
    }

    fn content(&mut self, finished: Vec<FinishedDirectory>, manifest: &RemoteManifest) -> Result<Step, AssemblyError> {
        for FinishedDirectory { root, directory, hash, problem } in &finished {
            let cell = self.contents.get_mut(*root as usize).and_then(|root| root.get_mut(directory.at()));
            let id = manifest.roots.get(*root as usize).map(|(id, _)| *id).ok_or(AssemblyError::Content)?;
            match cell {
                Some(cell @ None) => *cell = Some(*hash),
                // What was said before is withdrawn, once: the directory was proven, or there is a first problem with it.
                Some(cell @ Some(_)) if !hash.is_proven() => {
                    let was_proven = cell.replace(*hash).is_some_and(|before| before.is_proven());
                    if !was_proven && (problem.is_none() || self.problems.contains_key(&(id, *directory))) {
                        return Err(AssemblyError::Content);
                    }
                }
                _ => return Err(AssemblyError::Content),
            }
            if let Some(problem) = problem {
                self.problems.insert((id, *directory), problem.clone());
            }
        }
        Ok(Step::Content(finished))
    }
}

fn check_end(
    manifest: &RemoteManifest,
    contents: &[Vec<Option<SubtreeHash>>],
    excuses: &Problems,
    end: End,
) -> Result<(), AssemblyError> {
    let missing = contents.iter().flatten().filter(|hash| hash.is_none()).count();
    if missing > 0 {
        return Err(AssemblyError::ContentMissing(missing));
    }
    let mut roots = Vec::with_capacity(manifest.roots.len());
    for ((id, table), hashes) in manifest.roots.iter().zip(contents) {
        let hashes: Vec<SubtreeHash> = hashes.iter().map(|h| h.unwrap_or(SubtreeHash::Unproven)).collect();
        if let Some(table) = table {
            let excused = |index| excuses.contains_key(&(*id, index));
            table
                .check_hashes_without_files(Some(&hashes), excused)
                .map_err(|error| AssemblyError::Table(*id, error))?;
        }
        roots.push((*id, table.as_ref().zip(hashes.first().copied())));
    }
    let hash = |kind| hash_of_roots(kind, roots.iter().copied()).digest().map(|digest| digest.0);
    let Totals { files, directories, bytes } = manifest.totals();
    let sums = End { files, directories, bytes, metadata: hash(HashKind::Metadata), content: hash(HashKind::Content) };
    if sums == end { Ok(()) } else { Err(AssemblyError::End) }
}

fn name(frame: &ManifestFrame) -> &'static str {
    match frame {
        ManifestFrame::Hello(_) => "hello",
        ManifestFrame::Progress(_) => "progress",
        ManifestFrame::Root(_) => "root",
        ManifestFrame::Directories(_) => "directories",
        ManifestFrame::MetadataEnd => "metadata end",
        ManifestFrame::Content(_) => "content",
        ManifestFrame::End(_) => "end",
        ManifestFrame::Error(_) => "error",
        ManifestFrame::Provenance(_) => "provenance",
    }
}
