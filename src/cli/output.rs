//! The only place that writes to standard output and, besides the logs, to standard error. What does not print is escaped here
//! whoever forgot it.

use std::io::{self, Write as _};

use serde::Serialize;

use super::args::Common;
use super::exit_code::CommandError;
use crate::model::{printable, printable_json, printable_lines};

/// A result.
pub(super) fn print(text: &str) -> Result<(), CommandError> {
    write(|out| out.write_all(printable_lines(text).as_bytes()))
}

/// A result as one JSON object, which terminals can be shown, written as it is put together.
pub(super) fn print_json<T: Serialize>(value: &T) -> Result<(), CommandError> {
    write(|out| {
        let mut out = PrintableJson(out);
        serde_json::to_writer_pretty(&mut out, value)?;
        out.write_all(b"\n")
    })
}

/// Writes a result piece by piece. A reader that has gone away, such as `head`, is no error of ours.
pub(super) fn write(pieces: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<(), CommandError> {
    let mut out = io::BufWriter::with_capacity(OUTPUT_BYTES, io::stdout().lock());
    match pieces(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::Failed(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Hands over bytes for another program, which are not escaped. A reader that has gone away did not get all of them.
pub(super) fn stream(bytes: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<(), CommandError> {
    let mut out = io::BufWriter::with_capacity(OUTPUT_BYTES, io::stdout().lock());
    let written = bytes(&mut out).and_then(|()| out.flush());
    written.map_err(|error| CommandError::Failed(format!("standard output: {error}")))
}

/// JSON that means the same and prints. Each write ends between two characters: those of a serializer are pieces of a text, and those of
/// logs are lines.
pub(super) struct PrintableJson<W>(pub(super) W);

impl<W: io::Write> io::Write for PrintableJson<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.0.write_all(printable_json(&String::from_utf8_lossy(piece)).as_bytes())?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// How much of a result is written at once, in bytes.
const OUTPUT_BYTES: usize = 64 << 10;

/// A remark for the person at the terminal, who may have asked for none.
pub(super) fn remark(common: &Common, text: &str) {
    remark_unless(common.quiet, text);
}

/// The same, apart from the other options.
pub(super) fn remark_unless(quiet: bool, text: &str) {
    if !quiet {
        say(text);
    }
}

/// A line of JSON for the program at the other end of standard error, behind a mark. Fails where nobody reads it any more.
pub(super) fn relay<T: Serialize>(mark: char, value: &T) -> io::Result<()> {
    let json = serde_json::to_string(value)?;
    writeln!(io::stderr().lock(), "{mark}{json}")
}

/// Why a command failed, in a line for each mistake.
pub(super) fn complain(error: &CommandError) {
    let lines = error.lines();
    say(&format!("twintree: {}", lines.first().map(String::as_str).unwrap_or_default()));
    lines.iter().skip(1).for_each(|line| say(line));
}

fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(line));
}
