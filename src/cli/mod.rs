//! The command line: one file for each command.

mod args;
mod basis;
mod bulk;
mod compare;
mod demo;
mod destination;
mod diff;
mod elsewhere;
mod exit_code;
mod export;
mod file_names;
mod given;
mod inspect;
mod list_output;
mod list_side;
mod local;
mod logging;
mod manifest;
mod narrowing;
mod output;
mod progress;
mod remote;
mod roots;
mod serve;
mod side;
mod sides;
mod signals;
mod stdio;
mod streamed;
mod tasks;
mod trouble;
mod verify;

pub use args::Cli;

use args::Command;
use exit_code::{CommandError, ExitCode};
use signals::{Stop, exit_on_signals};

use clap::Parser as _;

use crate::model::printable;

/// The command line of this process. One that is wrong, or asks for help, ends the process with what is to be said.
pub fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        // Repeated in a message, an argument must not steer the terminal: it may be the name of a file that a shell filled in.
        let shown = std::env::args_os().map(|argument| printable(&argument.to_string_lossy()).into_owned());
        Cli::try_parse_from(shown).err().unwrap_or(error).exit()
    })
}

/// Runs one command to its exit code. What went wrong is said on standard error.
pub fn run(cli: Cli) -> std::process::ExitCode {
    logging::start(&cli);
    let code = command(&cli).unwrap_or_else(|error: CommandError| {
        output::complain(&error);
        error.exit_code()
    });
    ExitCode::into(code)
}

/// Those that leave something behind listen for signals, and end in order; the others end at once.
fn command(cli: &Cli) -> Result<ExitCode, CommandError> {
    match &cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Demo(args) => demo::run(args, &cli.common, &Stop::on_signals()?),
        Command::Verify(args) => verify::run(args, &cli.common, &Stop::on_signals()?),
        Command::Manifest(args) => manifest::run(args, &cli.common, &Stop::on_signals()?),
        Command::Diff(args) => diff::run(args, &cli.common, &Stop::on_signals()?),
        Command::Export(args) => export::run(args, &cli.common, &Stop::on_signals()?),
        Command::Bulk(args) => bulk::run(args, &cli.common, &Stop::on_signals()?),
        Command::Tasks(args) => exit_on_signals().and_then(|()| tasks::run(args)),
        Command::Inspect(args) => exit_on_signals().and_then(|()| inspect::run(args)),
        Command::Roots(args) => exit_on_signals().and_then(|()| roots::run(args, &cli.common)),
    }
}
