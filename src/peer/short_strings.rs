//! JSON whose texts are short, or an error before a long one stands in memory: a parser would hold all of it.

use std::io::{self, Read};

use crate::model::MAX_PATH_BYTES;

/// The longest text a listing may have, in bytes: a path of the longest kind, each byte escaped.
pub(super) const MAX_STRING_BYTES: usize = 6 * MAX_PATH_BYTES + 1024;

/// Passes bytes on and fails at a JSON string that is longer than any of a listing, before it stands in memory.
pub(super) struct ShortStrings<R> {
    inner: R,
    /// The bytes of the string so far; `None` outside of one.
    string: Option<usize>,
    escaped: bool,
}

impl<R> ShortStrings<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, string: None, escaped: false }
    }

    fn follow(&mut self, byte: u8) -> io::Result<()> {
        match self.string {
            Some(MAX_STRING_BYTES) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a text in it is too long"));
            }
            Some(_) if self.escaped => self.escaped = false,
            Some(_) if byte == b'"' => {
                self.string = None;
                return Ok(());
            }
            Some(_) => self.escaped = byte == b'\\',
            None => {
                self.string = (byte == b'"').then_some(0);
                return Ok(());
            }
        }
        self.string = self.string.map(|length| length + 1);
        Ok(())
    }
}

impl<R: Read> Read for ShortStrings<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        buffer[..got].iter().try_for_each(|byte| self.follow(*byte))?;
        Ok(got)
    }
}
