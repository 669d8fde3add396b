//! The command line: one file for each command.

mod args;
mod demo;
mod destination;
mod diff;
mod exit_code;
mod inspect;
mod local;
mod manifest;
mod output;
mod progress;
mod serve;
mod streamed;
mod tasks;
mod trouble;
mod verify;

pub use args::Cli;

use args::Command;
use exit_code::{CommandError, ExitCode};

/// Runs one command to its exit code. What went wrong is said on standard error.
pub fn run(cli: Cli) -> std::process::ExitCode {
    output::start_logging(&cli);
    let code = match &cli.command {
        Command::Demo(args) => demo::run(args, &cli.common),
        Command::Serve(args) => serve::run(args),
        Command::Verify(args) => verify::run(args, &cli.common),
        Command::Tasks(args) => tasks::run(args),
        Command::Manifest(args) => manifest::run(args, &cli.common),
        Command::Inspect(args) => inspect::run(args),
        Command::Diff(args) => diff::run(args, &cli.common),
    };
    let code = code.unwrap_or_else(|error: CommandError| {
        output::complain(&error);
        error.exit_code()
    });
    ExitCode::into(code)
}
