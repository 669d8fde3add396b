//! Logs on standard error. What does not print is escaped here, in every field and message, so that no line can be forgotten.

use std::fmt;
use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};

use super::args::{Cli, Command, LogFormat};
use super::output::PrintableJson;
use crate::model::printable;

/// A log that nobody reads any more, as after a pipe to a dead process, stops no service: what goes wrong while logging is
/// not told, least of all in the log.
///
/// Logs go to standard error; `RUST_LOG` decides how much unless it is to be quiet, else the service tells what it does and the rest is quiet.
pub(super) fn start(cli: &Cli) {
    let default = match cli.command {
        _ if cli.common.quiet => "error",
        Command::Serve(_) => "twintree=info,warn",
        _ => "warn",
    };
    let filter = match EnvFilter::try_from_default_env() {
        Ok(asked) if !cli.common.quiet => asked,
        _ => EnvFilter::new(default),
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).log_internal_errors(false);
    // Fails only where a logger is installed already, and then there is one.
    let _ = match cli.common.log_format {
        LogFormat::Text => {
            logs.with_writer(io::stderr).fmt_fields(PrintableFields::default()).with_ansi(coloured()).try_init()
        }
        LogFormat::Json => logs.with_writer(|| PrintableJson(io::stderr())).json().try_init(),
    };
}

/// Colours are for terminals, and for those who have not set `NO_COLOR` to anything.
fn coloured() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !unwanted
}

/// The message and the fields of an event or a span as they usually are, with what does not print escaped.
#[derive(Default)]
struct PrintableFields(DefaultFields);

impl<'writer> FormatFields<'writer> for PrintableFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut text = String::new();
        self.0.format_fields(Writer::new(&mut text), fields)?;
        writer.write_str(&printable(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::io::Write;
    use std::sync::Arc;

    const HOSTILE: &str = "x\nCOMPLETED: equal\r\u{1b}[2J\u{9b}1m\u{202e}\u{2028}\u{7f}";

    /// What is written while the closure runs.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// As a message, as a text, as shown, as debugged, and in a span, there from the begin and recorded later.
    fn log_hostile_texts() {
        let span = tracing::error_span!("task", of = HOSTILE, late = tracing::field::Empty);
        span.record("late", HOSTILE);
        let _entered = span.enter();
        tracing::error!(text = HOSTILE, shown = %HOSTILE, debugged = ?HOSTILE, "{HOSTILE}");
    }

    #[test]
    fn no_value_begins_a_line_or_reaches_a_terminal_as_it_is() {
        let written = Written::default();
        let sink = written.clone();
        let logs = tracing_subscriber::fmt().with_ansi(false).fmt_fields(PrintableFields::default());
        tracing::subscriber::with_default(logs.with_writer(move || sink.clone()).finish(), log_hostile_texts);
        let log = String::from_utf8(written.0.lock().clone()).unwrap();
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.trim_end().bytes().all(|b| (b' '..=b'~').contains(&b)), "{log:?}");
        assert_eq!(log.matches("\\nCOMPLETED").count(), 6, "{log}");
    }

    #[test]
    fn a_line_of_json_prints_and_means_the_same() {
        let written = Written::default();
        let sink = written.clone();
        let logs = tracing_subscriber::fmt().json().with_writer(move || PrintableJson(sink.clone()));
        tracing::subscriber::with_default(logs.finish(), log_hostile_texts);
        let log = String::from_utf8(written.0.lock().clone()).unwrap();
        assert!(log.trim_end().bytes().all(|b| (b' '..=b'~').contains(&b)), "{log:?}");
        let line: serde_json::Value = serde_json::from_str(&log).unwrap();
        assert_eq!((&line["fields"]["shown"], &line["span"]["late"]), (&HOSTILE.into(), &HOSTILE.into()));
    }
}
