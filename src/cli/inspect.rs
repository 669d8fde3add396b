//! `twintree inspect`: a manifest file, checked from end to end. What it says of single entries is written as it is read.

use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use super::args::InspectArgs;
use super::exit_code::{CommandError, ExitCode};
use super::output;
use super::stdio::{is_stdio, receive_manifest};
use crate::manifest::{DirectoryIndex, DirectoryTable, HashKind, ManifestFile};
use crate::model::{FileEntry, FileUrl, Problem, Reason, RootId, Selection, printable};
use crate::report::{self, MAX_PRINTED};
use crate::scan::Cancel;

pub(super) fn run(args: &InspectArgs) -> Result<ExitCode, CommandError> {
    let manifest = match is_stdio(&args.file) {
        // The signals end this command by themselves.
        true => receive_manifest(&Cancel::default())?,
        false => ManifestFile::open(&args.file)?,
    };
    let (mut unverified, mut first) = (0_usize, Vec::new());
    let tables = manifest.tables();
    let problems = Problems { manifest: &manifest, tables: &tables };
    manifest.check_each(|id, index, files| {
        problems.of_directory(id, index, &files, |url, problem| {
            unverified += 1;
            if first.len() < MAX_PRINTED && !args.json {
                first.push(format!("{url}: {} ({})", problem.reason, printable(&problem.detail)));
            }
        });
    })?;
    if args.json {
        output::print_json(&Body::of(&manifest))?;
    } else {
        output::print(&report::inspection(&manifest, &first, unverified))?;
    }
    Ok(if unverified == 0 { ExitCode::Equal } else { ExitCode::Unchecked })
}

/// Where a manifest says what was not read when it was made.
struct Problems<'a> {
    manifest: &'a ManifestFile,
    tables: &'a [(RootId, Option<&'a DirectoryTable>)],
}

impl Problems<'_> {
    /// What was not read in a directory, the directory itself first.
    fn of_directory(
        &self,
        id: RootId,
        index: DirectoryIndex,
        files: &[FileEntry],
        mut each: impl FnMut(FileUrl, &Problem),
    ) {
        let at = self.tables.binary_search_by_key(&id, |(id, _)| *id).ok();
        let Some(table) = at.and_then(|at| self.tables[at].1) else { return };
        let unsteady = self.manifest.unsteady(id);
        let unsteady = unsteady.binary_search_by_key(&index, |(index, _)| *index).ok().map(|at| &unsteady[at].1);
        for problem in unsteady.into_iter().chain(&table.get(index).unlisted) {
            each(FileUrl::new(id, table.path(index)), problem);
        }
        let mut path = None;
        for file in files {
            if let Some(problem) = file.problem() {
                let directory = path.get_or_insert_with(|| table.path(index));
                each(FileUrl::new(id, directory.join(&file.name).unwrap_or_else(|_| directory.clone())), problem);
            }
        }
    }
}

/// The object that `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    instance: &'a str,
    host: &'a str,
    created_at: i64,
    program: &'a str,
    rules_fingerprint: String,
    files_excluded: &'a [String],
    directories_excluded: &'a [String],
    selection: Option<Vec<String>>,
    files: u64,
    directories: u64,
    bytes: u64,
    metadata_hash: Option<String>,
    content_hash: Option<String>,
    roots: Vec<RootBody>,
    unverified: Unverified<'a>,
}

/// A root; of an absent one nothing else is known.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RootBody {
    root: String,
    absent: bool,
    #[serde(flatten)]
    tree: Option<TreeBody>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TreeBody {
    files: u64,
    directories: u64,
    bytes: u64,
    metadata_hash: Option<String>,
    content_hash: Option<String>,
}

/// Everything that was not read when the manifest was made; the blocks are read as it is written.
struct Unverified<'a>(&'a ManifestFile);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UnverifiedBody<'a> {
    file_url: String,
    path_hex: Option<String>,
    reason: Reason,
    detail: &'a str,
}

impl<'a> Body<'a> {
    fn of(manifest: &'a ManifestFile) -> Self {
        let (identity, totals) = (manifest.identity(), manifest.totals());
        let hash = |kind| manifest.instance_hash(kind).digest().map(|digest| digest.to_string());
        let root = |(id, table): (RootId, Option<&DirectoryTable>)| RootBody {
            root: id.to_string(),
            absent: table.is_none(),
            tree: table.map(|table| {
                let sums = table.totals(DirectoryIndex::ROOT);
                TreeBody {
                    files: sums.files,
                    directories: sums.directories,
                    bytes: sums.bytes,
                    metadata_hash: table.get(DirectoryIndex::ROOT).metadata.digest().map(|d| d.to_string()),
                    content_hash: manifest.contents(id).first().and_then(|h| h.digest()).map(|d| d.to_string()),
                }
            }),
        };
        Self {
            instance: &identity.instance,
            host: &identity.host,
            created_at: identity.created_ms,
            program: &identity.program,
            rules_fingerprint: identity.rules_fingerprint().to_string(),
            files_excluded: &identity.file_patterns,
            directories_excluded: &identity.directory_patterns,
            selection: identity.selection.as_ref().map(Selection::names),
            files: totals.files,
            directories: totals.directories,
            bytes: totals.bytes,
            metadata_hash: hash(HashKind::Metadata),
            content_hash: hash(HashKind::Content),
            roots: manifest.tables().into_iter().map(root).collect(),
            unverified: Unverified(manifest),
        }
    }
}

impl Serialize for Unverified<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let tables = self.0.tables();
        let problems = Problems { manifest: self.0, tables: &tables };
        for (id, table) in tables.iter().filter_map(|(id, table)| table.map(|table| (*id, table))) {
            for index in table.indices() {
                let files = self.0.open_directory(id, index).map_err(S::Error::custom)?;
                let mut written = Ok(());
                problems.of_directory(id, index, &files, |url, problem| {
                    if written.is_ok() {
                        written = list.serialize_element(&UnverifiedBody {
                            file_url: url.text(),
                            path_hex: url.path_hex(),
                            reason: problem.reason,
                            detail: &problem.detail,
                        });
                    }
                });
                written?;
            }
        }
        list.end()
    }
}
