//! Running the remote command: its manifest goes to a file without a name, its progress to the bars.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::outcome::{Failed, failure, version_in};
use super::place::Place;
use crate::cli::args::{RemoteArgs, ScanArgs};
use crate::cli::exit_code::CommandError;
use crate::cli::progress::{SideProgress, relayed};
use crate::manifest::{FileError, ManifestFile};
use crate::scan::Cancel;

/// The longest line of standard error that is looked at, in bytes; the rest of a longer one is left out.
const LINE_BYTES: u64 = 4096;

/// How often a command is looked at that says nothing.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How long one that did not bring a manifest has to end by itself, and to say why.
const GRACE: Duration = Duration::from_secs(2);

/// How long one has to end that brought its manifest.
const END: Duration = Duration::from_secs(30);

/// How long one that has ended is listened to, for others may hold its output open.
const LINGER: Duration = Duration::from_millis(200);

/// A remote command under way. It ends with this at the latest.
pub(in crate::cli) struct Fetching<'a> {
    place: &'a Place,
    program: String,
    child: Mutex<Child>,
    events: Mutex<mpsc::Receiver<Event>>,
}

/// What comes of a remote command.
enum Event {
    Line(String),
    Manifest(Box<Result<ManifestFile, FileError>>),
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
    let failed = |error| CommandError::Failed(format!("{}: {}: {error}", place.host, line[0].display()));
    let mut child = command.spawn().map_err(failed)?;
    let (tell, events) = mpsc::channel();
    if let Some((stdout, stderr)) = child.stdout.take().zip(child.stderr.take()) {
        listen(&place.host, stdout, stderr, &tell);
    }
    let program = how.remote_program.display().to_string();
    Ok(Fetching { place, program, child: Mutex::new(child), events: Mutex::new(events) })
}

/// On threads that nobody waits for: whoever else holds the other ends open may never close them.
fn listen(host: &str, mut stdout: ChildStdout, stderr: ChildStderr, tell: &mpsc::Sender<Event>) {
    let (name, of_output, of_errors) = (format!("the manifest from {host}"), tell.clone(), tell.clone());
    std::thread::spawn(move || {
        let received = ManifestFile::receive(&name, &mut stdout);
        // Nobody may want it any more.
        let _ = of_output.send(Event::Manifest(Box::new(received)));
    });
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stderr);
        // An error here is the end of what can be learned.
        while let Ok(Some(line)) = next_line(&mut lines) {
            if of_errors.send(Event::Line(line)).is_err() {
                return;
            }
        }
    });
}

impl Fetching<'_> {
    /// Waits for the manifest, until `cancel` says that nobody wants it. `remark` gets what the other side says, `show` how far it is.
    pub(in crate::cli) fn manifest(
        &self,
        cancel: &Cancel,
        show: impl Fn(SideProgress),
        remark: impl Fn(&str),
    ) -> Result<ManifestFile, CommandError> {
        let host = &self.place.host;
        let (mut said, mut manifest) = (Said::default(), None);
        let (mut closed, mut since) = (false, Instant::now());
        let events = self.events.lock();
        let code = loop {
            match events.recv_timeout(LOOK_INTERVAL) {
                Ok(Event::Line(line)) => said.take(line, &show, &remark),
                Ok(Event::Manifest(received)) => (manifest, since) = (Some(*received), Instant::now()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => closed = true,
            }
            if cancel.is_cancelled() {
                self.kill();
                return Err(CommandError::Cancelled);
            }
            let ended = self.child.lock().try_wait();
            let ended = ended.map_err(|error| CommandError::Failed(format!("{host}: the remote command: {error}")))?;
            let waited = since.elapsed();
            match (&manifest, ended) {
                (Some(_), Some(status)) if closed || waited >= LINGER => break status.code(),
                // Others hold its output open, and nothing whole can come of that.
                (None, Some(status)) if waited >= GRACE => break status.code(),
                // What brings no manifest may go on for hours.
                (Some(Err(_)), None) if waited >= GRACE => break Some(0),
                (Some(Ok(_)), None) if waited >= END => {
                    return Err(CommandError::Failed(format!("{host}: the remote command does not end")));
                }
                (None, None) => since = Instant::now(),
                (_, None) if closed => std::thread::sleep(LOOK_INTERVAL),
                _ => {}
            }
        };
        match (manifest, code) {
            // With 3 something could not be read there, which the manifest says.
            (Some(Ok(manifest)), Some(0 | 3)) => {
                said.last_line.iter().for_each(|line| remark(line));
                Ok(manifest)
            }
            (manifest, code) => {
                let manifest = manifest.and_then(Result::err).map_or_else(String::new, |error| error.to_string());
                let (version, last_line) = (said.version.as_deref(), said.last_line.as_deref());
                let program = self.program.clone();
                Err(CommandError::Failed(failure(&Failed { host, program, code, version, last_line, manifest })))
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
    fn take(&mut self, line: String, show: impl Fn(SideProgress), remark: impl Fn(&str)) {
        if let Some(progress) = relayed(&line) {
            show(progress);
        } else if let Some(version) = version_in(&line).filter(|_| self.version.is_none()) {
            self.version = Some(version.to_owned());
        } else if !line.trim().is_empty() {
            // The last one stands in the error, if there is one.
            self.last_line.replace(line).iter().for_each(|before| remark(before));
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
