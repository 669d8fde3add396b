//! demo
use super::args::{Common, DemoArgs};
use super::exit_code::{CommandError, ExitCode};
pub(super) fn run(_: &DemoArgs, _: &Common) -> Result<ExitCode, CommandError> {
    Ok(ExitCode::Equal)
}
