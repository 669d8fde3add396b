//! Standard input and output in the place of a file: `-`.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::exit_code::CommandError;
use super::output;
use crate::checksums::MAX_LIST_BYTES;
use crate::manifest::{MAX_STREAM_BYTES, Manifest, ManifestFile, write_stream};
use crate::scan::Cancel;
use crate::store::receive;

/// What errors call it.
pub(super) const STANDARD_INPUT: &str = "standard input";

/// So many bytes tell a manifest.
const HEAD_BYTES: u64 = 8;

/// How often a signal is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Whether a path means standard input or output. A file of that name is `./-`.
pub(super) fn is_stdio(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The manifest that comes on standard input. A signal ends the wait for it.
pub(super) fn receive_manifest(cancel: &Cancel) -> Result<ManifestFile, CommandError> {
    nobody_types()?;
    Ok(unless_cancelled(cancel, || ManifestFile::receive(STANDARD_INPUT, &mut io::stdin().lock()))??)
}

/// What comes on standard input, to be looked at: a manifest, or a checksum list, of which less is taken.
pub(super) fn receive_any(cancel: &Cancel) -> Result<File, CommandError> {
    nobody_types()?;
    let received = unless_cancelled(cancel, || {
        let mut stdin = io::stdin().lock();
        let mut head = Vec::new();
        (&mut stdin).take(HEAD_BYTES).read_to_end(&mut head)?;
        if head.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "nothing came"));
        }
        let limit = if ManifestFile::begins(&head) { MAX_STREAM_BYTES } else { MAX_LIST_BYTES };
        receive(&mut head.as_slice().chain(stdin), limit)
    })?;
    received.map_err(|error| CommandError::Failed(format!("{STANDARD_INPUT}: {error}")))
}

/// Writes a manifest to standard output. A signal ends the wait for whoever reads it; one that reads no more is an error.
pub(super) fn send_manifest(manifest: &Arc<Manifest>, cancel: &Cancel) -> Result<(), CommandError> {
    let (manifest, asked) = (Arc::clone(manifest), cancel.clone());
    let sent = unless_cancelled(cancel, move || output::stream(|out| write_stream(&manifest, out, &asked)))?;
    match cancel.is_cancelled() {
        true => Err(CommandError::Cancelled),
        false => sent,
    }
}

/// Bytes of a manifest are not for eyes.
pub(super) fn nobody_watches() -> Result<(), CommandError> {
    match io::stdout().is_terminal() {
        true => Err(CommandError::Usage("-o -: standard output is a terminal; name a file, or pipe it on".to_owned())),
        false => Ok(()),
    }
}

/// Nobody writes one by hand: what waits for that waits for ever.
pub(super) fn nobody_types() -> Result<(), CommandError> {
    match io::stdin().is_terminal() {
        true => Err(CommandError::Usage("-: standard input is a terminal; nothing comes from there".to_owned())),
        false => Ok(()),
    }
}

/// Runs work that may wait for another process, on a thread that is left behind when a signal asks to end.
pub(super) fn unless_cancelled<T: Send + 'static>(
    cancel: &Cancel,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CommandError> {
    let (done, waiting) = mpsc::channel();
    std::thread::spawn(move || drop(done.send(work())));
    loop {
        match waiting.recv_timeout(LOOK_INTERVAL) {
            Ok(result) => return Ok(result),
            Err(mpsc::RecvTimeoutError::Timeout) if cancel.is_cancelled() => return Err(CommandError::Cancelled),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(CommandError::Failed("internal error: a thread died".to_owned()));
            }
        }
    }
}
