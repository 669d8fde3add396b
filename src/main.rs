//! The command line of twintree: parses, runs and exits.

fn main() -> std::process::ExitCode {
    twintree::cli::run(twintree::cli::parse())
}
