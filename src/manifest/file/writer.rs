//! Writing a manifest: next to its place, synced, then renamed, so that no reader ever sees half of one.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_bytes::ByteBuf;

use super::replace;
use super::section::{FileError, MAX_SECTION_BYTES, checksum_start, tag_text};
use super::{
    BLOCKS, DIRECTORIES, END, EndRecord, FormatVersion, IDENTITY, MAGIC, RootRecord, SELECTION, TreeRecord, UNSTEADY,
    UnsteadyRecord,
};
use crate::manifest::block::MAX_BLOCK_BYTES;
use crate::manifest::codec;
use crate::manifest::directory::DirectoryIndex;
use crate::manifest::hash::HashKind;
use crate::manifest::record::DirectoryRecord;
use crate::manifest::tree::Tree;
use crate::manifest::trees::{Manifest, Root};
use crate::model::Problem;
use crate::scan::Cancel;

/// Writes a manifest to `path`, replacing what stands there only once everything is on disk.
pub fn write(manifest: &Manifest, path: &Path) -> Result<(), FileError> {
    write_unless_cancelled(manifest, path, &Cancel::default())
}

/// The same; whoever asks it to stop before it is done finds everything as it was.
pub fn write_unless_cancelled(manifest: &Manifest, path: &Path, cancel: &Cancel) -> Result<(), FileError> {
    write_beside(manifest, path, cancel).map_err(|error| FileError { path: path.to_owned(), fault: error.into() })
}

/// Writes the bytes of a manifest, from the first to the last, to whatever takes them, such as a pipe. What was written before it failed
/// or was cancelled is refused by every reader: it does not end as a manifest does.
pub fn write_stream(manifest: &Manifest, out: impl Write, cancel: &Cancel) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, out);
    write_to(manifest, &mut out, cancel)?;
    out.flush()
}

fn write_beside(manifest: &Manifest, path: &Path, cancel: &Cancel) -> io::Result<()> {
    write_whole(path, cancel, |out| write_to(manifest, out, cancel))
}

/// Puts a file at `path`, with whatever `fill` writes, in place of what stands there: only once everything is on disk, and never where somebody
/// asked to stop.
pub fn write_whole(
    path: &Path,
    cancel: &Cancel,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // As any new file, unless it takes another's place: whoever may not read it is the umask's business.
    let mut file = tempfile::Builder::new()
        .prefix(".twintree-manifest-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)?;
    let mut out = BufWriter::with_capacity(1 << 20, file.as_file_mut());
    fill(&mut out)?;
    out.flush()?;
    drop(out);
    replace::take_over(path, file.as_file())?;
    file.as_file().sync_all()?;
    cancel.check().map_err(io::Error::other)?;
    file.persist(path).map_err(|error| error.error)?;
    // The rename itself is on disk only once the directory is.
    File::open(directory)?.sync_all()
}

fn write_to(manifest: &Manifest, mut out: &mut dyn Write, cancel: &Cancel) -> io::Result<()> {
    let out = &mut out;
    out.write_all(&MAGIC)?;
    let mut identity = manifest.identity.clone();
    match identity.selection.take() {
        None => {
            out.write_all(&(FormatVersion::Whole as u32).to_le_bytes())?;
            section(out, IDENTITY, &codec::encode(&identity))?;
        }
        Some(selection) => {
            out.write_all(&(FormatVersion::Restricted as u32).to_le_bytes())?;
            section(out, IDENTITY, &codec::encode(&identity))?;
            section(out, SELECTION, &codec::encode(&selection.names()))?;
        }
    }
    section(out, DIRECTORIES, &codec::encode(&root_records(manifest)?))?;
    blocks(out, manifest, cancel)?;
    let unsteady = unsteady_records(manifest);
    if !unsteady.is_empty() {
        section(out, UNSTEADY, &codec::encode(&unsteady))?;
    }
    section(out, END, &codec::encode(&end_record(manifest)))
}

fn section(out: &mut impl Write, tag: [u8; 4], payload: &[u8]) -> io::Result<()> {
    check_length(tag, payload.len())?;
    let length = payload.len() as u64;
    let mut checksum = checksum_start(tag, length);
    checksum.update(payload);
    out.write_all(&tag)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(payload)?;
    out.write_all(checksum.finalize().as_bytes())
}

/// Refuses a section that no reader would accept.
fn check_length(tag: [u8; 4], length: usize) -> io::Result<()> {
    if length <= MAX_SECTION_BYTES {
        return Ok(());
    }
    let what = format!("the section {} would have {length} bytes, more than a reader accepts", tag_text(tag));
    Err(io::Error::new(io::ErrorKind::FileTooLarge, what))
}

fn trees(manifest: &Manifest) -> impl Iterator<Item = &Tree> {
    manifest.roots().iter().filter_map(|root| root.tree.as_ref())
}

fn root_records(manifest: &Manifest) -> io::Result<Vec<RootRecord>> {
    let record = |root: &Root| {
        Ok(RootRecord {
            directory_type: root.id.directory_type.code(),
            index: root.id.index,
            tree: root.tree.as_ref().map(tree_record).transpose()?,
        })
    };
    manifest.roots().iter().map(record).collect()
}

/// Refuses a directory that no reader would accept.
fn tree_record(tree: &Tree) -> io::Result<TreeRecord> {
    let table = tree.table();
    let mut record = TreeRecord {
        directories: Vec::with_capacity(table.len()),
        content: Vec::with_capacity(table.len()),
        block_bytes: Vec::with_capacity(table.len()),
        block_hashes: ByteBuf::new(),
    };
    for index in table.indices() {
        let directory = table.get(index);
        record.directories.push(DirectoryRecord::from(directory));
        record.content.push(tree.content(index).digest().map(|digest| digest.0));
        if directory.files > 0 {
            let block = tree.block(index);
            if block.len() > MAX_BLOCK_BYTES {
                let what = format!("the directory \"{}\" holds more files than a manifest can", table.path(index));
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
            }
            record.block_bytes.push(block.len() as u64);
            record.block_hashes.extend_from_slice(blake3::hash(&block).as_bytes());
        } else {
            record.block_bytes.push(0);
        }
    }
    Ok(record)
}

fn blocks(out: &mut impl Write, manifest: &Manifest, cancel: &Cancel) -> io::Result<()> {
    let all = || {
        trees(manifest).flat_map(|tree| {
            let table = tree.table();
            table.indices().filter(|index| table.get(*index).files > 0).map(|index| tree.block(index))
        })
    };
    let length: u64 = all().map(|block| block.len() as u64).sum();
    let mut checksum = checksum_start(BLOCKS, length);
    out.write_all(&BLOCKS)?;
    out.write_all(&length.to_le_bytes())?;
    for block in all() {
        cancel.check().map_err(io::Error::other)?;
        checksum.update(&block);
        out.write_all(&block)?;
    }
    out.write_all(checksum.finalize().as_bytes())
}

fn unsteady_records(manifest: &Manifest) -> Vec<UnsteadyRecord> {
    let roots = (0..).zip(manifest.roots()).filter_map(|(number, root)| Some((number, root.tree.as_ref()?)));
    let of_root = |(root, tree): (u32, &Tree)| {
        let record = move |(index, problem): (DirectoryIndex, Problem)| UnsteadyRecord {
            root,
            directory: index.0,
            problem: (problem.reason.code(), problem.detail),
        };
        tree.unsteady().into_iter().map(record).collect::<Vec<_>>()
    };
    roots.flat_map(of_root).collect()
}

fn end_record(manifest: &Manifest) -> EndRecord {
    let totals = manifest.totals();
    let hash = |kind| manifest.instance_hash(kind).digest().map(|digest| digest.0);
    EndRecord {
        files: totals.files,
        directories: totals.directories,
        bytes: totals.bytes,
        metadata: hash(HashKind::Metadata),
        content: hash(HashKind::Content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories beyond this were once written to a file that could not be opened any more.
    #[test]
    fn a_section_that_no_reader_accepts_is_not_written() {
        assert!(check_length(DIRECTORIES, MAX_SECTION_BYTES).is_ok());
        let error = check_length(DIRECTORIES, MAX_SECTION_BYTES + 1).unwrap_err();
        assert_eq!(error.to_string(), "the section DIRS would have 2147483649 bytes, more than a reader accepts");
    }
}
