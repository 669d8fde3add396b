//! `twintree inspect`: a manifest file, checked from end to end.

use serde_json::json;

use super::args::InspectArgs;
use super::exit_code::{CommandError, ExitCode};
use super::output;
use crate::manifest::{DirectoryIndex, HashKind, ManifestFile};
use crate::model::{Content, FileUrl, Listed, Problem, Selection};
use crate::report;

pub(super) fn run(args: &InspectArgs) -> Result<ExitCode, CommandError> {
    let manifest = ManifestFile::open(&args.file)?;
    manifest.check_all()?;
    let problems = problems(&manifest)?;
    if args.json {
        output::print_json(&body(&manifest, &problems))?;
    } else {
        let lines: Vec<String> = problems
            .iter()
            .map(|(url, problem)| format!("{url}: {} ({})", problem.reason, report::printable(&problem.detail)))
            .collect();
        output::print(&report::inspection(&manifest, &lines))?;
    }
    Ok(if problems.is_empty() { ExitCode::Equal } else { ExitCode::Unchecked })
}

/// Everything that was not read when the manifest was made.
fn problems(manifest: &ManifestFile) -> Result<Vec<(FileUrl, Problem)>, CommandError> {
    let mut problems = Vec::new();
    for (id, table) in manifest.tables() {
        let Some(table) = table else { continue };
        let unsteady = manifest.unsteady(id).iter();
        problems.extend(unsteady.map(|(index, problem)| (FileUrl::new(id, table.path(*index)), problem.clone())));
        for index in table.indices() {
            let path = table.path(index);
            if let Some(problem) = &table.get(index).unlisted {
                problems.push((FileUrl::new(id, path.clone()), problem.clone()));
            }
            for file in manifest.open_directory(id, index)? {
                if let Listed::Unlistable(problem) | Listed::File { content: Content::Unverified(problem), .. } =
                    file.listed
                {
                    let path = path.join(&file.name).unwrap_or_else(|_| path.clone());
                    problems.push((FileUrl::new(id, path), problem));
                }
            }
        }
    }
    Ok(problems)
}

fn body(manifest: &ManifestFile, problems: &[(FileUrl, Problem)]) -> serde_json::Value {
    let identity = manifest.identity();
    let totals = manifest.totals();
    let hash = |kind| manifest.instance_hash(kind).digest().map(|digest| digest.to_string());
    let roots: Vec<_> = manifest
        .tables()
        .into_iter()
        .map(|(id, table)| match table {
            None => json!({ "root": id.to_string(), "absent": true }),
            Some(table) => {
                let sums = table.totals(DirectoryIndex::ROOT);
                json!({
                    "root": id.to_string(),
                    "absent": false,
                    "files": sums.files,
                    "directories": sums.directories,
                    "bytes": sums.bytes,
                    "metadataHash": table.get(DirectoryIndex::ROOT).metadata.digest().map(|d| d.to_string()),
                    "contentHash": manifest.contents(id).first().and_then(|h| h.digest()).map(|d| d.to_string()),
                })
            }
        })
        .collect();
    let unverified: Vec<_> = problems
        .iter()
        .map(|(url, problem)| {
            json!({
                "fileUrl": url.text(), "pathHex": url.path_hex(), "reason": problem.reason, "detail": problem.detail,
            })
        })
        .collect();
    json!({
        "instance": identity.instance,
        "host": identity.host,
        "createdAt": identity.created_ms,
        "program": identity.program,
        "rulesFingerprint": identity.rules_fingerprint().to_string(),
        "filesExcluded": identity.file_patterns,
        "directoriesExcluded": identity.directory_patterns,
        "selection": identity.selection.as_ref().map(Selection::names),
        "files": totals.files,
        "directories": totals.directories,
        "bytes": totals.bytes,
        "metadataHash": hash(HashKind::Metadata),
        "contentHash": hash(HashKind::Content),
        "roots": roots,
        "unverified": unverified,
    })
}
