//! Manifests of directories, and manifest files as bytes.

use std::ops::Range;
use std::path::Path;

use twintree::exclude::{RootRules, Rules};
use twintree::manifest::{Comparand, Identity, Manifest, RootSpec};
use twintree::model::{FileEntry, RelPath, RootId};
use twintree::scan::Context;

/// The directory as the root data/0, walked and hashed in a pool of that many threads.
pub fn manifest_of(home: &Path, threads: usize) -> Manifest {
    let context = Context::default();
    let identity = Identity::new("host".to_owned(), "instance".to_owned(), 7, &Rules::none());
    let roots = [RootSpec { id: RootId::DATA_0, home: home.to_owned(), rules: RootRules::none() }];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let manifest = Manifest::walk(identity, &roots, &context).unwrap();
        manifest.hash_contents(&context, &|_, _, _, _| ()).unwrap();
        manifest
    })
}

/// Every directory with the files in it.
pub fn entries(manifest: &dyn Comparand) -> Vec<(RelPath, Vec<FileEntry>)> {
    let tables = manifest.tables();
    let present = tables.iter().filter_map(|(id, table)| table.map(|table| (*id, table)));
    present
        .flat_map(|(id, table)| {
            table.indices().map(move |index| (table.path(index), manifest.open(id, index).unwrap()))
        })
        .collect()
}

/// Bytes before a section's payload: tag and length.
pub const HEAD_BYTES: usize = 12;
/// Bytes behind it.
pub const CHECKSUM_BYTES: usize = 32;

/// A section whose checksum fits.
pub fn section(tag: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut bytes = [&tag[..], &(payload.len() as u64).to_le_bytes(), payload].concat();
    let mut checksum = blake3::Hasher::new_derive_key("twintree 2026-11-23 manifest section checksum v1");
    checksum.update(&bytes);
    bytes.extend_from_slice(checksum.finalize().as_bytes());
    bytes
}

/// Where each section of a sound manifest file lies, head and checksum included.
pub fn sections(file: &[u8]) -> Vec<([u8; 4], Range<usize>)> {
    let mut sections = Vec::new();
    let mut at = 12;
    while at < file.len() {
        let length = u64::from_le_bytes(file[at + 4..at + HEAD_BYTES].try_into().unwrap());
        let end = at + HEAD_BYTES + usize::try_from(length).unwrap() + CHECKSUM_BYTES;
        sections.push((file[at..at + 4].try_into().unwrap(), at..end));
        at = end;
    }
    sections
}

/// Where the section with this tag lies.
pub fn place(file: &[u8], tag: &[u8; 4]) -> Range<usize> {
    sections(file).into_iter().find(|(found, _)| found == tag).unwrap().1
}

/// The file with one section in place of another.
pub fn with_section(file: &[u8], tag: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let place = place(file, tag);
    [&file[..place.start], &section(tag, payload), &file[place.end..]].concat()
}
