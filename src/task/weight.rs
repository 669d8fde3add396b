//! What values take in memory, told from their JSON without making it. Pure.

use std::io::{self, Write};

use serde::Serialize;

/// What a text takes besides its bytes, for each of its two quotes: a text has its own piece of memory, and stands in a list that may
/// have grown to twice its length.
const QUOTE_BYTES: u64 = 32;

/// What a byte of a record takes at most once it is read, beside the bytes themselves, and made a text again. Most is taken by lists
/// of short names.
pub(super) const BYTES_FOR_EACH: u64 = 10;

/// About how many bytes a value takes in memory.
pub(super) fn weight(value: &impl Serialize) -> u64 {
    let mut counter = Counter(0);
    // Our own values always serialise, and counting never fails.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let quotes = bytes.iter().filter(|byte| **byte == b'"').count() as u64;
        self.0 += bytes.len() as u64 + quotes * QUOTE_BYTES;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_weigh_more_than_their_letters() {
        let names = |length: usize| vec!["x".repeat(length); 1000];
        let taken = |length: u64| 1000 * (2 * size_of::<String>() as u64 + length.max(16));
        for length in [1, 4, 30, 200] {
            let weight = weight(&names(length));
            assert!(weight >= taken(length as u64) && weight < 3 * taken(length as u64), "{length}: {weight}");
        }
        assert_eq!(weight(&12_345), 5);
    }
}
