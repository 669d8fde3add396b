//! A list on disk that is read page by page: packed in chunks, each with its own check.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;

use serde::{Deserialize, Serialize};

use super::record::{Fault, Place, record, unpack};
use super::scratch::Scratch;

/// A chunk is closed at so many items, or so many bytes: what one page reads is bounded.
const CHUNK_ITEMS: usize = 512;
const CHUNK_BYTES: usize = 512 << 10;

/// The most a chunk may unpack to, in bytes: its last item may be as large as an item gets.
const MAX_CHUNK_BYTES: usize = 64 << 20;

/// What the records of chunks say they are.
const CHUNK: u8 = 2;

/// Speed counts more than size here.
const COMPRESSION_LEVEL: i32 = 1;

/// Why a page cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The medium failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What stands there is not what was written.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Where the chunks of a list stand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PageTable {
    /// How many items there are.
    pub items: u64,
    /// The first item of each chunk, and the byte it begins at.
    chunks: Vec<(u64, u64)>,
    /// Bytes of all chunks.
    bytes: u64,
}

/// A list that is complete and read page by page. An item is a line of JSON.
#[derive(Debug, Default)]
pub struct Pages {
    owner: String,
    table: PageTable,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Scratch(Scratch),
    File(File),
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Scratch(Scratch::default())
    }
}

impl Pages {
    /// The list with this table that stands in a file.
    pub fn in_file(owner: String, table: PageTable, file: File) -> Self {
        Self { owner, table, bytes: Bytes::File(file) }
    }

    /// How many items there are.
    pub fn items(&self) -> u64 {
        self.table.items
    }

    /// Where the chunks stand.
    pub fn table(&self) -> &PageTable {
        &self.table
    }

    /// At most `limit` items from the position `offset` on.
    pub fn read(&self, offset: u64, limit: u64) -> Result<Vec<String>, PageError> {
        let end = offset.saturating_add(limit).min(self.table.items);
        let chunks = &self.table.chunks;
        let mut number = chunks.partition_point(|(first, _)| *first <= offset).saturating_sub(1);
        let (mut page, mut at) = (Vec::new(), offset);
        while at < end {
            let first = chunks.get(number).ok_or(Fault::Damaged)?.0;
            let until = chunks.get(number + 1).map_or(self.table.items, |(next, _)| *next);
            let lines = self.chunk(number)?;
            if lines.lines().count() as u64 != until.saturating_sub(first) {
                return Err(Fault::Damaged.into());
            }
            let (skip, take) = (at.saturating_sub(first), end.min(until).saturating_sub(at));
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX);
            let wanted = lines.lines().skip(skipped).take(usize::try_from(take).unwrap_or(usize::MAX));
            page.extend(wanted.map(str::to_owned));
            (at, number) = (until, number + 1);
        }
        Ok(page)
    }

    /// Writes all chunks to a file, in order; the table stays the same.
    pub fn copy_to(&self, file: &mut File) -> io::Result<()> {
        let mut buffer = vec![0; 256 << 10];
        let mut at = 0;
        while at < self.table.bytes {
            let length = (self.table.bytes - at).min(buffer.len() as u64);
            let part = &mut buffer[..usize::try_from(length).unwrap_or_default()];
            self.bytes.read_at(part, at)?;
            file.write_all(part)?;
            at += length;
        }
        Ok(())
    }

    fn chunk(&self, number: usize) -> Result<String, PageError> {
        let chunks = &self.table.chunks;
        let (_, from) = *chunks.get(number).ok_or(Fault::Damaged)?;
        let to = chunks.get(number + 1).map_or(self.table.bytes, |(_, next)| *next);
        let length = usize::try_from(to.saturating_sub(from)).ok().filter(|length| *length <= MAX_CHUNK_BYTES);
        let mut bytes = vec![0; length.ok_or(Fault::Damaged)?];
        self.bytes.read_at(&mut bytes, from).map_err(|error| match error.kind() {
            // A file that was cut.
            io::ErrorKind::UnexpectedEof => PageError::Fault(Fault::Damaged),
            _ => error.into(),
        })?;
        let place = Place { owner: &self.owner, kind: CHUNK, position: number as u64 };
        let (packed, rest) = unpack(place, &bytes)?;
        let plain = zstd::bulk::decompress(packed, MAX_CHUNK_BYTES).map_err(|_| Fault::Damaged)?;
        let text = String::from_utf8(plain).map_err(|_| Fault::Damaged)?;
        if rest.is_empty() { Ok(text) } else { Err(Fault::Damaged.into()) }
    }
}

impl Bytes {
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<()> {
        match self {
            Self::Scratch(scratch) => scratch.read_at(bytes, position),
            Self::File(file) => file.read_exact_at(bytes, position),
        }
    }
}

/// Items that could not be kept.
#[derive(Debug)]
pub struct Lost {
    /// How many.
    pub items: u64,
    /// Why.
    pub cause: io::Error,
}

/// A list that is being written.
#[derive(Debug)]
pub(super) struct PagesWriter {
    owner: String,
    table: PageTable,
    scratch: Scratch,
    chunk: Vec<u8>,
    in_chunk: usize,
}

impl PagesWriter {
    pub(super) fn new(owner: String, scratch: Scratch) -> Self {
        Self { owner, table: PageTable::default(), scratch, chunk: Vec::new(), in_chunk: 0 }
    }

    /// Adds a line, which must not hold a line break.
    pub(super) fn push(&mut self, line: &[u8]) -> Result<(), Lost> {
        self.chunk.extend_from_slice(line);
        self.chunk.push(b'\n');
        self.in_chunk += 1;
        if self.in_chunk >= CHUNK_ITEMS || self.chunk.len() >= CHUNK_BYTES { self.close() } else { Ok(()) }
    }

    /// The list as it is. What could not be written is not in it.
    pub(super) fn finish(mut self) -> (Pages, Result<(), Lost>) {
        let closed = self.close();
        (Pages { owner: self.owner, table: self.table, bytes: Bytes::Scratch(self.scratch) }, closed)
    }

    fn close(&mut self) -> Result<(), Lost> {
        let (chunk, items) = (std::mem::take(&mut self.chunk), std::mem::take(&mut self.in_chunk) as u64);
        if items == 0 {
            return Ok(());
        }
        let (place, at) = (self.table.chunks.len() as u64, self.scratch.len());
        let place = Place { owner: &self.owner, kind: CHUNK, position: place };
        let packed = zstd::bulk::compress(&chunk, COMPRESSION_LEVEL);
        let added = packed.and_then(|packed| self.scratch.append(&record(place, &packed)));
        added.map_err(|cause| Lost { items, cause })?;
        self.table.chunks.push((self.table.items, at));
        self.table.items += items;
        self.table.bytes = self.scratch.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Seek as _;

    fn written(items: usize) -> Pages {
        let mut writer = PagesWriter::new("owner".to_owned(), Scratch::new(None));
        (0..items).for_each(|item| writer.push(format!("item {item}").as_bytes()).unwrap());
        let (pages, all) = writer.finish();
        all.unwrap();
        pages
    }

    fn lines(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|item| format!("item {item}")).collect()
    }

    #[test]
    fn any_page_is_what_was_written_there() {
        for items in [0, 1, CHUNK_ITEMS - 1, CHUNK_ITEMS, 3 * CHUNK_ITEMS + 7] {
            let pages = written(items);
            assert_eq!(pages.items(), items as u64);
            for offset in [0, 1, CHUNK_ITEMS - 1, CHUNK_ITEMS, CHUNK_ITEMS + 1, items, items + 9] {
                for limit in [0, 1, CHUNK_ITEMS, 2 * CHUNK_ITEMS + 3, usize::MAX >> 1] {
                    let expected =
                        lines(offset.min(items)..offset.saturating_add(limit).min(items).max(offset.min(items)));
                    assert_eq!(pages.read(offset as u64, limit as u64).unwrap(), expected, "{items} {offset} {limit}");
                }
            }
        }
    }

    #[test]
    fn a_copy_is_read_as_the_original_and_a_damaged_one_never_otherwise() {
        let pages = written(2 * CHUNK_ITEMS);
        let mut file = tempfile::tempfile().unwrap();
        pages.copy_to(&mut file).unwrap();
        let length = file.stream_position().unwrap();
        let table = pages.table().clone();
        let copy = Pages::in_file("owner".to_owned(), table.clone(), file);
        assert_eq!(copy.read(0, u64::MAX).unwrap(), lines(0..2 * CHUNK_ITEMS));
        let Pages { bytes: Bytes::File(file), .. } = copy else { panic!() };
        let other = Pages::in_file("other".to_owned(), table.clone(), file.try_clone().unwrap());
        assert!(matches!(other.read(0, 1), Err(PageError::Fault(Fault::Damaged))), "of another owner");
        file.set_len(length - 1).unwrap();
        let cut = Pages::in_file("owner".to_owned(), table, file);
        assert_eq!(cut.read(0, CHUNK_ITEMS as u64).unwrap(), lines(0..CHUNK_ITEMS), "what is whole is read");
        assert!(matches!(cut.read(0, CHUNK_ITEMS as u64 + 1), Err(PageError::Fault(Fault::Damaged))));
    }
}
