//! The command line of twintree: parses, runs and exits.

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    twintree::cli::run(twintree::cli::Cli::parse())
}
