//! A tree as a checksum list that `b3sum --check` and `sha256sum --check` read.

use std::io::{self, Write};

use super::args::ManifestFormat;
use super::exit_code::CommandError;
use super::local::Scan;
use crate::checksums::write_line;
use crate::manifest::{Comparand as _, DirectoryTable, Manifest, MatchingDirectory, all_files, unsteady_of};
use crate::model::{ContentDigest, HashAlgorithm, RelPath};
use crate::scan::Readers;
use crate::verify::{Answer, hash_files};

/// The lines of a list, and how much is not in it.
pub(super) struct ListOutput {
    /// By path, in pre-order.
    lines: Vec<(RelPath, ContentDigest)>,
    /// Entries that could not be read, and directories that could not be listed or changed meanwhile.
    pub missing: u64,
    /// Names that are not UTF-8.
    pub strange: u64,
    /// Links to directories, which are not entered, so that nothing behind them is in it.
    pub links: Vec<RelPath>,
}

impl ListOutput {
    /// Reads all files of a walked tree.
    pub(super) fn of(
        format: ManifestFormat,
        scan: &Scan<'_>,
        readers: &Readers,
        walked: &[Manifest],
    ) -> Result<Self, CommandError> {
        let Some(manifest) = walked.first().filter(|manifest| manifest.roots().len() == 1) else {
            let what = "a checksum list is of one directory, and the instance has several roots: name a directory";
            return Err(CommandError::Usage(format!("--format: {what}")));
        };
        let mut output = Self { lines: Vec::new(), missing: 0, strange: 0, links: Vec::new() };
        if format == ManifestFormat::B3sum {
            scan.hash(readers, walked)?;
            for directory in all_files(manifest) {
                let digest = |at: usize| directory.files[at].digest().map(ContentDigest::Blake3);
                output.directory(&directory, digest);
            }
        } else {
            let files = all_files(manifest);
            let answers = scan.read_otherwise(readers, |context| {
                let none = |directory: &MatchingDirectory| vec![None; directory.files.len()];
                let answers = parking_lot::Mutex::new(files.iter().map(none).collect::<Vec<_>>());
                hash_files(manifest, &files, HashAlgorithm::Sha256, context, &|(at, number), answer: Answer| {
                    answers.lock()[at][number] = answer.ok();
                })?;
                manifest.look_again(context, &|_, _, _| ())?;
                Ok(answers.into_inner())
            })?;
            files.iter().zip(answers).for_each(|(directory, digests)| output.directory(directory, |at| digests[at]));
        }
        output.missing += unsteady_of(manifest).len() as u64;
        for (_, table) in manifest.tables() {
            let unlisted = |table: &DirectoryTable| {
                table.indices().filter(|index| table.get(*index).unlisted.is_some()).count() as u64
            };
            output.missing += table.map_or(1, unlisted);
            let links = table.into_iter().flat_map(|table| {
                table.indices().filter(|index| table.get(*index).link).map(|index| table.path(index))
            });
            output.links.extend(links);
        }
        Ok(output)
    }

    fn directory(&mut self, directory: &MatchingDirectory, digest: impl Fn(usize) -> Option<ContentDigest>) {
        for (at, file) in directory.files.iter().enumerate() {
            match (digest(at), directory.path.join(&file.name)) {
                (Some(digest), Ok(path)) => {
                    self.strange += u64::from(std::str::from_utf8(path.as_bytes()).is_err());
                    self.lines.push((path, digest));
                }
                _ => self.missing += 1,
            }
        }
    }

    /// How many files are in it.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Writes all lines.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.lines.iter().try_for_each(|(path, digest)| out.write_all(&write_line(digest, path)))
    }
}
