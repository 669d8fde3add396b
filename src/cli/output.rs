//! The only place that writes to standard output and standard error.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use tracing_subscriber::EnvFilter;

use super::args::{Cli, Command, Common, LogFormat};
use super::exit_code::CommandError;

/// A log that nobody reads any more, as after a pipe to a dead process, stops no service: what goes wrong while logging is
/// not told, least of all in the log.
///
/// Logs go to standard error; `RUST_LOG` decides how much unless it is to be quiet, else the service tells what it does and the rest is quiet.
pub(super) fn start_logging(cli: &Cli) {
    let default = match cli.command {
        _ if cli.common.quiet => "error",
        Command::Serve(_) => "twintree=info,warn",
        _ => "warn",
    };
    let filter = match EnvFilter::try_from_default_env() {
        Ok(asked) if !cli.common.quiet => asked,
        _ => EnvFilter::new(default),
    };
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false)
        .log_internal_errors(false);
    // Fails only where a logger is installed already, and then there is one.
    let _ = match cli.common.log_format {
        LogFormat::Text => logs.with_ansi(coloured()).try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
}

/// Colours are for terminals, and for those who have not set `NO_COLOR` to anything.
fn coloured() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !unwanted
}

/// A result.
pub(super) fn print(text: &str) -> Result<(), CommandError> {
    write(|out| out.write_all(text.as_bytes()))
}

/// A result as one JSON object, written as it is put together.
pub(super) fn print_json<T: Serialize>(value: &T) -> Result<(), CommandError> {
    write(|mut out| {
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

/// How much of a result is written at once, in bytes.
const OUTPUT_BYTES: usize = 64 << 10;

/// A remark for the person at the terminal, who may have asked for none.
pub(super) fn remark(common: &Common, text: &str) {
    if !common.quiet {
        say(text);
    }
}

/// Why a command failed.
pub(super) fn complain(error: &CommandError) {
    say(&format!("twintree: {error}"));
}

fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
