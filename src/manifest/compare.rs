//! The verdict on the entries of one directory, from what both sides know of them. A pure function.

use itertools::{EitherOrBoth, Itertools as _};

use super::directory::DirectoryIndex;
use super::facts::{Compared, Facts};
use super::plan::{DirectoryPair, PairSide};
use super::root_hashes::Depth;
use super::table::DirectoryTable;
use crate::model::{
    Content, ContentDigest, Difference, DifferenceKind, EntryKind, Evidence, FileEntry, FileUrl, Findings, Listed,
    Name, Problem, Reason, RelPath, RootId, Side, Sink, Unverified,
};

/// One side of an opened directory: the table it is in, and its files.
#[derive(Debug, Clone, Copy)]
pub struct OpenedSide<'a> {
    /// `None` where the root is absent on this side.
    pub table: Option<&'a DirectoryTable>,
    /// The directory's files; empty where the side does not have it.
    pub files: &'a [FileEntry],
}

/// Compares the direct entries of a pair of directories of a root.
pub fn compare_directory(
    root: RootId,
    pair: DirectoryPair,
    source: OpenedSide<'_>,
    destination: OpenedSide<'_>,
    depth: Depth,
) -> Findings {
    let mut findings = Findings::default();
    compare_directory_into(root, pair, source, destination, (depth, &Compared::ALL), &mut findings);
    findings
}

/// The same, handed on piece by piece: a single directory may hold millions of entries.
pub(super) fn compare_directory_into(
    root: RootId,
    pair: DirectoryPair,
    source: OpenedSide<'_>,
    destination: OpenedSide<'_>,
    (depth, compared): (Depth, &Compared),
    sink: &mut dyn Sink,
) {
    let path = [(source.table, pair.source), (destination.table, pair.destination)]
        .into_iter()
        .find_map(|(table, side)| match side {
            PairSide::Directory(index) => table.map(|table| table.path(index)),
            PairSide::Missing | PairSide::Unlisted(_) => None,
        })
        .unwrap_or_default();
    let compared = *compared;
    let mut comparison = Comparison { root, path, depth, compared, findings: Findings::default() };
    if pair.source == PairSide::Directory(DirectoryIndex::ROOT)
        || pair.destination == PairSide::Directory(DirectoryIndex::ROOT)
    {
        comparison.root_itself(source.table, destination.table);
    }
    let (left, left_unlisted) = rows(pair.source, source);
    let (right, right_unlisted) = rows(pair.destination, destination);
    for row in left.into_iter().merge_join_by(right, |a, b| a.name().cmp(b.name())) {
        match row {
            EitherOrBoth::Both(s, d) => comparison.both(s, d),
            EitherOrBoth::Left(s) => comparison.only_at(Side::Source, s, right_unlisted.as_ref()),
            EitherOrBoth::Right(d) => comparison.only_at(Side::Destination, d, left_unlisted.as_ref()),
        }
        if comparison.findings.differences.len() >= HANDED_ON {
            sink.take(std::mem::take(&mut comparison.findings));
        }
    }
    sink.take(comparison.findings);
}

/// How many differences of one directory are held before they are handed on.
const HANDED_ON: usize = 1024;

/// An entry of a directory: a file, or a child directory with the reason why it could not be listed.
#[derive(Clone, Copy)]
enum Row<'a> {
    File(&'a FileEntry),
    Directory(&'a Name, Option<&'a Problem>),
}

impl<'a> Row<'a> {
    fn name(&self) -> &'a Name {
        match self {
            Row::File(file) => &file.name,
            Row::Directory(name, _) => name,
        }
    }

    fn evidence(&self, known: Facts) -> Evidence {
        match self {
            Row::Directory(..) => Evidence { kind: Some(EntryKind::Directory), ..Evidence::default() },
            Row::File(FileEntry { listed: Listed::Unlistable(_), .. }) => Evidence::default(),
            Row::File(FileEntry { listed: Listed::File { size, modified_ms, content }, .. }) => Evidence {
                kind: Some(EntryKind::File),
                size: known.sizes.then_some(*size),
                modified_ms: known.times.then_some(*modified_ms),
                digests: match content {
                    Content::Digest(digest) => vec![ContentDigest::Blake3(*digest)],
                    Content::NotRead | Content::Unverified(_) => Vec::new(),
                },
            },
        }
    }
}

/// A side's rows sorted by name, and why it has none where it could not look.
fn rows(side: PairSide, opened: OpenedSide<'_>) -> (Vec<Row<'_>>, Option<Problem>) {
    let Some(table) = opened.table else { return (Vec::new(), None) };
    match side {
        PairSide::Missing => (Vec::new(), None),
        PairSide::Unlisted(index) => (Vec::new(), unlisted_above(table, index)),
        PairSide::Directory(index) => {
            let mut rows: Vec<Row<'_>> = opened.files.iter().map(Row::File).collect();
            rows.extend(
                table.children(index).map(|(child, name)| Row::Directory(name, table.get(child).unlisted.as_ref())),
            );
            rows.sort_by(|a, b| a.name().cmp(b.name()));
            (rows, unlisted_above(table, index))
        }
    }
}

fn unlisted_above(table: &DirectoryTable, index: DirectoryIndex) -> Option<Problem> {
    let problem = table.get(index).hidden()?;
    let path = table.path(index);
    let directory = if path.is_root() { "the root".to_owned() } else { format!("the directory {path}") };
    Some(Problem::new(problem.reason, format!("{directory} could not be listed: {}", problem.detail)))
}

struct Comparison {
    root: RootId,
    path: RelPath,
    depth: Depth,
    compared: Compared,
    findings: Findings,
}

impl Comparison {
    /// The root is nobody's entry, so that it could not be listed is said here.
    fn root_itself(&mut self, source: Option<&DirectoryTable>, destination: Option<&DirectoryTable>) {
        let problem = |table: Option<&DirectoryTable>| table.and_then(|t| t.get(DirectoryIndex::ROOT).unlisted.clone());
        let unverified = Unverified { source: problem(source), destination: problem(destination) };
        if unverified.source.is_some() || unverified.destination.is_some() {
            let evidence = |table: Option<&DirectoryTable>| {
                table.map(|_| Evidence { kind: Some(EntryKind::Directory), ..Evidence::default() })
            };
            self.findings.counters.digest_verification_failures += 1;
            self.findings.differences.push(Difference {
                url: FileUrl::new(self.root, self.path.clone()),
                kind: DifferenceKind::Unverified,
                source: evidence(source),
                destination: evidence(destination),
                unverified: Some(unverified),
            });
        }
    }

    /// An entry that one side has: missing on the other, unless the other could not look.
    fn only_at(&mut self, side: Side, row: Row<'_>, other_unlisted: Option<&Problem>) {
        let counters = &mut self.findings.counters;
        let (source, destination) = match side {
            Side::Source => (Some(row), None),
            Side::Destination => (None, Some(row)),
        };
        match (side, other_unlisted) {
            (Side::Source, Some(problem)) => {
                let unverified = Unverified::at(Side::Destination, problem.clone());
                self.unverified(source, destination, unverified);
            }
            (Side::Destination, Some(problem)) => {
                let unverified = Unverified::at(Side::Source, problem.clone());
                self.unverified(source, destination, unverified);
            }
            (Side::Source, None) => {
                counters.files_not_found_at_destination += 1;
                self.push(DifferenceKind::MissingAtDestination, source, destination, None);
            }
            (Side::Destination, None) => {
                counters.files_not_found_at_source += 1;
                self.push(DifferenceKind::MissingAtSource, source, destination, None);
            }
        }
    }

    fn both(&mut self, source: Row<'_>, destination: Row<'_>) {
        match (source, destination) {
            (Row::Directory(_, s), Row::Directory(_, d)) => {
                self.findings.counters.metadata_matched += 1;
                if s.is_some() || d.is_some() {
                    let unverified = Unverified { source: s.cloned(), destination: d.cloned() };
                    self.unverified(Some(source), Some(destination), unverified);
                }
            }
            (Row::File(s), Row::File(d)) => self.files(s, d),
            (Row::File(FileEntry { listed: Listed::Unlistable(problem), .. }), _) => {
                let unverified = Unverified::at(Side::Source, problem.clone());
                self.unverified(Some(source), Some(destination), unverified);
            }
            (_, Row::File(FileEntry { listed: Listed::Unlistable(problem), .. })) => {
                let unverified = Unverified::at(Side::Destination, problem.clone());
                self.unverified(Some(source), Some(destination), unverified);
            }
            _ => self.metadata_mismatch(DifferenceKind::Type, source, destination),
        }
    }

    fn files(&mut self, source: &FileEntry, destination: &FileEntry) {
        let (s, d) = (Row::File(source), Row::File(destination));
        match (&source.listed, &destination.listed) {
            (
                Listed::File { size, modified_ms, content },
                Listed::File { size: other_size, modified_ms: other_modified_ms, content: other_content },
            ) => match self.compared.metadata_difference((*size, *modified_ms), (*other_size, *other_modified_ms)) {
                Some(kind) => self.metadata_mismatch(kind, s, d),
                None => {
                    self.findings.counters.metadata_matched += 1;
                    match self.depth {
                        Depth::Content => self.contents(s, d, content, other_content),
                        Depth::Metadata => self.findings.content_not_compared += 1,
                    }
                }
            },
            (a, b) => {
                let problem = |listed: &Listed| match listed {
                    Listed::Unlistable(problem) => Some(problem.clone()),
                    Listed::File { .. } => None,
                };
                self.unverified(Some(s), Some(d), Unverified { source: problem(a), destination: problem(b) });
            }
        }
    }

    fn contents(&mut self, s: Row<'_>, d: Row<'_>, source: &Content, destination: &Content) {
        match (source, destination) {
            (Content::Digest(a), Content::Digest(b)) if a == b => self.findings.counters.files_matched += 1,
            (Content::Digest(_), Content::Digest(_)) => {
                self.findings.counters.digest_mismatches += 1;
                self.push(DifferenceKind::Content, Some(s), Some(d), None);
            }
            _ => {
                let problem = |content: &Content| match content {
                    Content::Digest(_) => None,
                    Content::Unverified(problem) => Some(problem.clone()),
                    Content::NotRead => Some(Problem::new(Reason::PeerError, "it was not read")),
                };
                let unverified = Unverified { source: problem(source), destination: problem(destination) };
                self.unverified(Some(s), Some(d), unverified);
            }
        }
    }

    fn metadata_mismatch(&mut self, kind: DifferenceKind, source: Row<'_>, destination: Row<'_>) {
        self.findings.counters.metadata_mismatches += 1;
        self.push(kind, Some(source), Some(destination), None);
    }

    fn unverified(&mut self, source: Option<Row<'_>>, destination: Option<Row<'_>>, unverified: Unverified) {
        self.findings.counters.digest_verification_failures += 1;
        self.push(DifferenceKind::Unverified, source, destination, Some(unverified));
    }

    fn push(
        &mut self,
        kind: DifferenceKind,
        source: Option<Row<'_>>,
        destination: Option<Row<'_>>,
        unverified: Option<Unverified>,
    ) {
        let Some(name) = source.or(destination).map(|row| row.name()) else { return };
        // The path was accepted when the table or the listing was checked; a file's name may still make it too long.
        let path = self.path.join(name).unwrap_or_else(|_| self.path.clone());
        self.findings.differences.push(Difference {
            url: FileUrl::new(self.root, path),
            kind,
            source: source.map(|row| row.evidence(self.compared.source)),
            destination: destination.map(|row| row.evidence(self.compared.destination)),
            unverified,
        });
    }
}

/// The files of one directory whose metadata is the same on both sides and whose digests differ: positions in the two
/// lists. Both sides must come to the same answer, since each reads its own file of every pair once more.
pub fn differing_leaves(source: &[FileEntry], destination: &[FileEntry]) -> Vec<(usize, usize)> {
    let both =
        source.iter().enumerate().merge_join_by(destination.iter().enumerate(), |(_, a), (_, b)| a.name.cmp(&b.name));
    let both = both.filter_map(EitherOrBoth::both);
    let differing = both.filter(|((_, left), (_, right))| leaves_differ(&left.listed, &right.listed));
    differing.map(|((s, _), (d, _))| (s, d)).collect()
}

pub(super) fn leaves_differ(source: &Listed, destination: &Listed) -> bool {
    match (source, destination) {
        (
            Listed::File { size, modified_ms, content: Content::Digest(digest) },
            Listed::File { size: other_size, modified_ms: other_ms, content: Content::Digest(other_digest) },
        ) => size == other_size && modified_ms == other_ms && digest != other_digest,
        _ => false,
    }
}
