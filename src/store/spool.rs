//! A list that is sorted without being held: sorted runs on disk, merged in the end.

use std::io;

use itertools::{Either, Itertools as _};

use super::pages::{Lost, Pages, PagesWriter};
use super::scratch::Scratch;

/// So many bytes are sorted in memory before they go to disk.
const RUN_BYTES: usize = 4 << 20;

/// So many bytes of a run are read at once while runs are merged.
const READ_BYTES: usize = 32 << 10;

/// Items as they come, each with the key it is sorted by.
#[derive(Debug)]
pub struct Spool {
    run_bytes: usize,
    buffer: Vec<Item>,
    buffered: usize,
    scratch: Scratch,
    /// Where each sorted run ends.
    runs: Vec<u64>,
    lost: Option<Lost>,
}

#[derive(Debug, PartialEq, Eq)]
struct Item {
    key: Vec<u8>,
    line: Vec<u8>,
}

impl Spool {
    /// An empty one that keeps in `scratch` what is too much for memory.
    pub fn new(scratch: Scratch) -> Self {
        Self { run_bytes: RUN_BYTES, buffer: Vec::new(), buffered: 0, scratch, runs: Vec::new(), lost: None }
    }

    /// Adds a line, which must not hold a line break. Among equal keys the order is that of adding.
    pub fn push(&mut self, key: Vec<u8>, line: Vec<u8>) {
        self.buffered += key.len() + line.len() + size_of::<Item>();
        self.buffer.push(Item { key, line });
        if self.buffered >= self.run_bytes {
            self.close_run();
        }
    }

    /// The items in order of their keys, to be read page by page, and what could not be kept.
    pub fn sorted(mut self, owner: String) -> (Pages, Option<Lost>) {
        self.buffer.sort_by(|a, b| a.key.cmp(&b.key));
        let mut writer = PagesWriter::new(owner, self.scratch.another());
        let Self { buffer, scratch, runs, mut lost, .. } = self;
        let starts = std::iter::once(0).chain(runs.iter().copied());
        let on_disk = starts.zip(&runs).map(|(from, to)| Run::new(&scratch, from, *to)).map(Either::Left);
        let merged = on_disk.chain([Either::Right(buffer.into_iter().map(Ok))]);
        let numbered = merged.enumerate().map(|(number, run)| run.map(move |item| (number, item)));
        for (_, item) in numbered.kmerge_by(comes_first) {
            // A run that cannot be read back has lost at least this item.
            let pushed = item.map_err(|cause| Lost { items: 1, cause }).and_then(|item| writer.push(&item.line));
            lose(&mut lost, pushed);
        }
        let (pages, closed) = writer.finish();
        lose(&mut lost, closed);
        (pages, lost)
    }

    fn close_run(&mut self) {
        self.buffer.sort_by(|a, b| a.key.cmp(&b.key));
        let mut run = Vec::with_capacity(self.buffered);
        for Item { key, line } in &self.buffer {
            for part in [key, line] {
                run.extend_from_slice(&(part.len() as u64).to_le_bytes());
                run.extend_from_slice(part);
            }
        }
        let items = std::mem::take(&mut self.buffer).len() as u64;
        self.buffered = 0;
        match self.scratch.append(&run) {
            Ok(()) => self.runs.push(self.scratch.len()),
            Err(cause) => lose(&mut self.lost, Err(Lost { items, cause })),
        }
    }
}

/// What cannot be read comes first, so that nothing waits behind it.
fn comes_first((a_run, a): &(usize, io::Result<Item>), (b_run, b): &(usize, io::Result<Item>)) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => (&a.key, a_run) < (&b.key, b_run),
        (a, _) => a.is_err(),
    }
}

/// The first cause is the one that is reported.
fn lose(lost: &mut Option<Lost>, kept: Result<(), Lost>) {
    if let Err(Lost { items, cause }) = kept {
        lost.get_or_insert(Lost { items: 0, cause }).items += items;
    }
}

/// A sorted run as it is read.
struct Run<'a> {
    scratch: &'a Scratch,
    at: u64,
    end: u64,
    ahead: Vec<u8>,
    used: usize,
}

impl<'a> Run<'a> {
    fn new(scratch: &'a Scratch, at: u64, end: u64) -> Self {
        Self { scratch, at, end, ahead: Vec::new(), used: 0 }
    }

    fn part(&mut self) -> io::Result<Vec<u8>> {
        let length = self.take(size_of::<u64>())?;
        let length = length.try_into().map(u64::from_le_bytes).unwrap_or(u64::MAX);
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let left = self.ahead.len() - self.used;
        if left < length {
            let more = self.end - self.at;
            if ((length - left) as u64) > more {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.ahead.drain(..self.used);
            self.used = 0;
            let wanted = READ_BYTES.max(length).min(usize::try_from(more).unwrap_or(usize::MAX).saturating_add(left));
            self.ahead.resize(wanted, 0);
            self.scratch.read_at(&mut self.ahead[left..], self.at)?;
            self.at += (wanted - left) as u64;
        }
        let taken = self.ahead[self.used..self.used + length].to_vec();
        self.used += length;
        Ok(taken)
    }
}

impl Iterator for Run<'_> {
    type Item = io::Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.end && self.used == self.ahead.len() {
            return None;
        }
        let item = self.part().and_then(|key| Ok(Item { key, line: self.part()? }));
        if item.is_err() {
            (self.at, self.ahead, self.used) = (self.end, Vec::new(), 0);
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers from 0, in an order that looks like none.
    fn shuffled(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(move |at| (at * 7919 + 13) % count)
    }

    fn spool(run_bytes: usize) -> Spool {
        Spool { run_bytes, ..Spool::new(Scratch::new(None)) }
    }

    #[test]
    fn items_come_out_in_order_of_keys_however_many_runs_there_were() {
        for run_bytes in [1, 1000, 50_000, usize::MAX] {
            let mut spool = spool(run_bytes);
            for number in shuffled(5000) {
                spool.push(format!("{number:05}").into_bytes(), format!("{{\"n\":{number}}}").into_bytes());
            }
            assert_eq!(spool.runs.is_empty(), run_bytes == usize::MAX);
            assert!(spool.buffered <= run_bytes, "what is held is bounded");
            let (pages, lost) = spool.sorted("owner".to_owned());
            assert!(lost.is_none());
            let expected: Vec<String> = (0..5000).map(|number| format!("{{\"n\":{number}}}")).collect();
            assert_eq!(pages.read(0, u64::MAX).unwrap(), expected, "{run_bytes}");
        }
    }

    #[test]
    fn equal_keys_keep_their_order() {
        for run_bytes in [1, 200, usize::MAX] {
            let mut spool = spool(run_bytes);
            (0..100).for_each(|number| spool.push(b"same".to_vec(), number.to_string().into_bytes()));
            let (pages, _) = spool.sorted(String::new());
            assert_eq!(pages.read(0, 100).unwrap(), (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_the_rest_is_there() {
        let nowhere = tempfile::tempdir().unwrap().path().join("gone");
        let mut spool = Spool::new(Scratch::new(Some(nowhere)));
        let line = vec![b'x'; 1 << 10];
        let count = 40 << 10;
        for number in 0..count {
            spool.push(format!("{number:08}").into_bytes(), line.clone());
        }
        let (pages, lost) = spool.sorted(String::new());
        let lost = lost.unwrap();
        assert_eq!(lost.cause.kind(), io::ErrorKind::NotFound);
        assert_eq!(pages.items() + lost.items, count);
        assert!(pages.items() > 8 << 10);
    }
}
