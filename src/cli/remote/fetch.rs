//! Running the remote command: its manifest goes to a file without a name, its progress to the bars.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::outcome::{Failed, failure, version_in};
use super::place::Place;
use crate::cli::args::{RemoteArgs, ScanArgs};
use crate::cli::exit_code::CommandError;
use crate::cli::progress::{SideProgress, relayed};
use crate::manifest::ManifestFile;

/// The longest line of standard error that is looked at, in bytes; the rest of a longer one is left out.
const LINE_BYTES: u64 = 4096;

/// How often a command that has closed its output is looked at until it has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// How long one that did not bring a manifest has to end by itself, and to say why.
const GRACE: Duration = Duration::from_secs(2);

/// A remote command under way. It ends with this at the latest.
pub(in crate::cli) struct Fetching<'a> {
    place: &'a Place,
    program: String,
    child: Mutex<Child>,
    streams: Mutex<Option<(ChildStdout, ChildStderr)>>,
}

/// Starts to make a manifest of a place, scanned as the options say.
pub(in crate::cli) fn start<'a>(
    place: &'a Place,
    how: &RemoteArgs,
    scan: &ScanArgs,
) -> Result<Fetching<'a>, CommandError> {
    let line = place.command_line(how, scan).map_err(CommandError::Usage)?;
    let mut command = Command::new(&line[0]);
    // What it asks for, such as a password, it asks at the terminal.
    command.args(&line[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| CommandError::Failed(format!("{}: {}: {error}", place.host, line[0].display())))?;
    let streams = child.stdout.take().zip(child.stderr.take());
    let program = how.remote_program.display().to_string();
    Ok(Fetching { place, program, child: Mutex::new(child), streams: Mutex::new(streams) })
}

impl Fetching<'_> {
    /// Waits for the manifest. `remark` gets what the other side says, `show` how far it is.
    pub(in crate::cli) fn manifest(
        &self,
        show: impl Fn(SideProgress) + Sync,
        remark: impl Fn(&str) + Sync,
    ) -> Result<ManifestFile, CommandError> {
        let host = &self.place.host;
        let Some((mut stdout, stderr)) = self.streams.lock().take() else {
            return Err(CommandError::Failed(format!("{host}: its manifest was taken already")));
        };
        let mut said = Said::default();
        let (manifest, code, heard) = std::thread::scope(|scope| {
            let listening = scope.spawn(|| said.listen(stderr, &show, &remark));
            let manifest = ManifestFile::receive(&format!("the manifest from {host}"), &mut stdout);
            // Nobody reads on: whoever still writes learns that.
            drop(stdout);
            // What brought no manifest may go on for hours.
            let code = self.wait(if manifest.is_ok() { Duration::MAX } else { GRACE });
            (manifest, code, listening.join())
        });
        if let Err(panic) = heard {
            std::panic::resume_unwind(panic);
        }
        match (manifest, code?) {
            // With 3 something could not be read there, which the manifest says.
            (Ok(manifest), Some(0 | 3)) => Ok(manifest),
            (manifest, code) => {
                let manifest = manifest.err().map_or_else(String::new, |error| error.to_string());
                let (version, last_line) = (said.version.as_deref(), said.last_line.as_deref());
                let program = self.program.clone();
                Err(CommandError::Failed(failure(&Failed { host, program, code, version, last_line, manifest })))
            }
        }
    }

    /// Its exit code, `None` where a signal ended it; 0 where it did not end within the grace, and is ended here.
    fn wait(&self, grace: Duration) -> Result<Option<i32>, CommandError> {
        let begun = Instant::now();
        loop {
            // Not held while waiting: whoever ends the command needs it.
            let ended = self.child.lock().try_wait();
            let failed = |error| CommandError::Failed(format!("{}: the remote command: {error}", self.place.host));
            match ended.map_err(failed)? {
                Some(status) => return Ok(status.code()),
                None if begun.elapsed() >= grace => {
                    self.kill();
                    return Ok(Some(0));
                }
                None => std::thread::sleep(LOOK_INTERVAL),
            }
        }
    }

    /// The host, as it was named.
    pub(in crate::cli) fn host(&self) -> &str {
        &self.place.host
    }

    /// Ends it, whatever it is at.
    pub(in crate::cli) fn kill(&self) {
        // One that has ended already needs no end.
        let _ = self.child.lock().kill();
    }
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        let mut child = self.child.lock();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// What a remote command wrote to standard error.
#[derive(Default)]
struct Said {
    version: Option<String>,
    last_line: Option<String>,
}

impl Said {
    fn listen(&mut self, stderr: ChildStderr, show: impl Fn(SideProgress), remark: impl Fn(&str)) {
        let mut lines = BufReader::new(stderr);
        // An error here is the end of what can be learned.
        while let Ok(Some(line)) = next_line(&mut lines) {
            if let Some(progress) = relayed(&line) {
                show(progress);
            } else if let Some(version) = version_in(&line).filter(|_| self.version.is_none()) {
                self.version = Some(version.to_owned());
            } else if !line.trim().is_empty() {
                remark(&line);
                self.last_line = Some(line);
            }
        }
    }
}

/// The next line, cut to [`LINE_BYTES`].
fn next_line(from: &mut impl io::BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if from.take(LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        skip_line(from)?;
    }
    Ok(Some(String::from_utf8_lossy(line.trim_ascii_end()).into_owned()))
}

fn skip_line(from: &mut impl io::BufRead) -> io::Result<()> {
    loop {
        let piece = from.fill_buf()?;
        let (end, used) = match piece.iter().position(|byte| *byte == b'\n') {
            Some(at) => (true, at + 1),
            None => (piece.is_empty(), piece.len()),
        };
        from.consume(used);
        if end {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_the_next_is_whole() {
        let long = [vec![b'x'; 10_000], b"\nnext\r\n\nlast".to_vec()].concat();
        let mut from = BufReader::with_capacity(100, &long[..]);
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut from).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines[0].len(), LINE_BYTES as usize);
        assert_eq!(lines[1..], ["next", "", "last"]);
    }
}
