//! The sections of a manifest file: found by their lengths, read and checked one by one.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use serde::de::DeserializeOwned;

use super::section::{
    CHECKSUM_BYTES, FormatFault, HEAD_BYTES, MAX_SECTION_BYTES, MAX_SECTION_MEMORY, checksum_start, tag_text,
};
use super::{END, FormatVersion, MAGIC};
use crate::manifest::codec;

/// All sections of a file, those this reader has no use for included.
#[derive(Debug)]
pub(super) struct Sections {
    /// The version in the file's head.
    pub version: FormatVersion,
    sections: Vec<Section>,
}

/// Where a section lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    tag: [u8; 4],
    pub offset: u64,
    pub bytes: u64,
}

impl Sections {
    /// Reads the frame of a file of this length. Every section's length is checked against it before anything is read by
    /// that.
    pub(super) fn read(file: &File, length: u64) -> Result<Self, FormatFault> {
        let mut head = [0; 12];
        if length < head.len() as u64 {
            return Err(FormatFault::Magic);
        }
        file.read_exact_at(&mut head, 0)?;
        if head[..8] != MAGIC {
            return Err(FormatFault::Magic);
        }
        let found = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        let version =
            [FormatVersion::Whole, FormatVersion::Restricted].into_iter().find(|known| *known as u32 == found);
        let version = version.ok_or(FormatFault::Version(found))?;
        let mut sections = Vec::new();
        let mut offset = head.len() as u64;
        while offset < length {
            let left = length - offset;
            if left < HEAD_BYTES {
                return Err(FormatFault::NoEnd(offset));
            }
            let mut head = [0; HEAD_BYTES as usize];
            file.read_exact_at(&mut head, offset)?;
            let (tag, bytes) = head.split_at(4);
            let tag = [tag[0], tag[1], tag[2], tag[3]];
            let bytes = bytes.try_into().map_or(u64::MAX, u64::from_le_bytes);
            let needed = bytes.saturating_add(HEAD_BYTES + CHECKSUM_BYTES);
            if needed > left {
                return Err(FormatFault::CutOff { tag: tag_text(tag), offset, needed, left });
            }
            sections.push(Section { tag, offset, bytes });
            offset += needed;
            if tag == END && offset != length {
                return Err(FormatFault::NoEnd(offset));
            }
        }
        match sections.last() {
            Some(last) if last.tag == END => Ok(Self { version, sections }),
            _ => Err(FormatFault::NoEnd(length)),
        }
    }

    /// Whether the file has such a section.
    pub(super) fn has(&self, tag: [u8; 4]) -> bool {
        self.sections.iter().any(|section| section.tag == tag)
    }

    /// The section with this tag, which must stand exactly once.
    pub(super) fn one(&self, tag: [u8; 4]) -> Result<Section, FormatFault> {
        let mut found = self.sections.iter().filter(|section| section.tag == tag);
        match (found.next(), found.next()) {
            (Some(section), None) => Ok(*section),
            _ => Err(FormatFault::Section(tag_text(tag))),
        }
    }

    /// The payload of the section with this tag as a value, once its checksum fits.
    pub(super) fn value<T: DeserializeOwned>(&self, file: &File, tag: [u8; 4]) -> Result<T, FormatFault> {
        value(file, self.one(tag)?)
    }

    /// Checks the checksum of every section.
    pub(super) fn check(&self, file: &File) -> Result<(), FormatFault> {
        self.sections.iter().try_for_each(|section| check_section(file, *section))
    }
}

/// A section's payload as a value, once its checksum fits.
fn value<T: DeserializeOwned>(file: &File, section: Section) -> Result<T, FormatFault> {
    let tag = || tag_text(section.tag);
    let bytes = usize::try_from(section.bytes).ok().filter(|bytes| *bytes <= MAX_SECTION_BYTES);
    let bytes = bytes.ok_or_else(|| FormatFault::TooLarge(tag(), section.bytes))?;
    let mut payload = vec![0; bytes];
    file.read_exact_at(&mut payload, section.offset + HEAD_BYTES)?;
    let mut checksum = checksum_start(section.tag, section.bytes);
    checksum.update(&payload);
    compare_checksum(file, section, &checksum)?;
    codec::decode::<T, MAX_SECTION_MEMORY>(&payload).map_err(|source| FormatFault::Codec { tag: tag(), source })
}

/// Reads a section for its checksum alone, in pieces.
fn check_section(file: &File, section: Section) -> Result<(), FormatFault> {
    let mut checksum = checksum_start(section.tag, section.bytes);
    let mut buffer = vec![0; 1 << 20];
    let mut done = 0;
    while done < section.bytes {
        let piece = (section.bytes - done).min(buffer.len() as u64) as usize;
        file.read_exact_at(&mut buffer[..piece], section.offset + HEAD_BYTES + done)?;
        checksum.update(&buffer[..piece]);
        done += piece as u64;
    }
    compare_checksum(file, section, &checksum)
}

fn compare_checksum(file: &File, section: Section, checksum: &blake3::Hasher) -> Result<(), FormatFault> {
    let mut stored = [0; CHECKSUM_BYTES as usize];
    file.read_exact_at(&mut stored, section.offset + HEAD_BYTES + section.bytes)?;
    if checksum.finalize().as_bytes() == &stored {
        return Ok(());
    }
    Err(FormatFault::Checksum { tag: tag_text(section.tag), offset: section.offset })
}
