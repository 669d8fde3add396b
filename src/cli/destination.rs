//! The destination's service as a command line names it, and what its failures mean to a command.

use super::exit_code::CommandError;
use crate::model::printable;
use crate::net::{CallError, Endpoint, TaskClient};

/// The service at a URL; `http://` may be left out.
pub(super) fn destination(text: &str) -> Result<TaskClient, CommandError> {
    let endpoint: Endpoint = text.parse().map_err(|error| {
        // What stands before an @ may be a password, whatever else is wrong with the text.
        let shown = if text.contains('@') { String::new() } else { format!(" \"{text}\"") };
        CommandError::Usage(format!("--destination{shown}: {error}; expected something like http://node4:9043"))
    })?;
    Ok(TaskClient::new(endpoint)?)
}

impl From<CallError> for CommandError {
    fn from(error: CallError) -> Self {
        let text = printable(&error.to_string()).into_owned();
        match &error {
            CallError::Status { status: 400, .. } => Self::Usage(text),
            CallError::Status { status: 409, endpoint, .. } => {
                Self::Failed(format!("{text}; see: twintree tasks --destination {}", endpoint.url("")))
            }
            CallError::Status { status: 404, message, .. } if message.is_empty() => Self::Failed(format!(
                "{text}: under this name it is no destination in its migration map (it may be a source, or be named \
                 otherwise there)"
            )),
            _ => Self::Failed(text),
        }
    }
}

/// A runtime for a command that talks to a service.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| CommandError::Failed(format!("no runtime: {error}")))
}
