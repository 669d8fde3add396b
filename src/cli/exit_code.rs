//! The one map from results and errors to exit codes.

use crate::config::ConfigError;
use crate::exclude::PatternError;
use crate::manifest::{DiffError, FileError, FormatFault, PartError};
use crate::model::{Counters, Verdict};
use crate::protocol::TaskState;
use crate::server::SetupError;

/// The exit code of a command that was cancelled.
pub(super) const CANCELLED: u8 = 4;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExitCode {
    /// 0: equal, or done.
    Equal,
    /// 1: at least one difference.
    Different,
    /// 2: wrong usage or configuration.
    Usage,
    /// 3: something could not be checked.
    Unchecked,
    /// 4: cancelled.
    Cancelled,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(match code {
            ExitCode::Equal => 0,
            ExitCode::Different => 1,
            ExitCode::Usage => 2,
            ExitCode::Unchecked => 3,
            ExitCode::Cancelled => CANCELLED,
        })
    }
}

impl From<Verdict> for ExitCode {
    /// Nothing compared is not equal to a script: a wrong path must not look like a proof.
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Equal => Self::Equal,
            Verdict::Different => Self::Different,
            Verdict::Unverified | Verdict::NothingCompared => Self::Unchecked,
        }
    }
}

impl ExitCode {
    /// Of a task that has ended. A task that failed without a difference could not check something.
    pub(super) fn of_task(state: TaskState, counters: &Counters) -> Self {
        match (state, Verdict::of(counters)) {
            (TaskState::Cancelled, _) => Self::Cancelled,
            (TaskState::Completed, verdict) => verdict.into(),
            (_, Verdict::Different) => Self::Different,
            _ => Self::Unchecked,
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// The configuration has mistakes.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The service cannot start.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Exclusion patterns that cannot be honoured.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Patterns(Vec<PatternError>),
    /// An argument that cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// A manifest file that cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Work that could not be done.
    #[error("{0}")]
    Failed(String),
    /// A signal asked it to end, such as that of Ctrl-C.
    #[error("cancelled")]
    Cancelled,
}

impl From<DiffError> for CommandError {
    /// What contradicts itself is as unreadable as what cannot be read.
    fn from(error: DiffError) -> Self {
        match error {
            DiffError::File(error) => Self::File(error),
            error @ DiffError::Contradiction { .. } => Self::Failed(error.to_string()),
        }
    }
}

impl From<PartError> for CommandError {
    fn from(error: PartError) -> Self {
        match error {
            PartError::File(error) => Self::File(error),
            error @ PartError::Table(_) => Self::Failed(error.to_string()),
        }
    }
}

impl CommandError {
    /// What is to be said of it: a line for each mistake of a configuration and each pattern, else one.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::Config(config) | Self::Setup(SetupError::Config(config)) => config.lines(),
            Self::Patterns(patterns) => patterns.iter().map(ToString::to_string).collect(),
            error => vec![error.to_string()],
        }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Patterns(_) | Self::Usage(_) => ExitCode::Usage,
            Self::Setup(SetupError::Config(_) | SetupError::Patterns(_)) => ExitCode::Usage,
            Self::Setup(SetupError::History(_) | SetupError::Cache(_) | SetupError::Listen { .. }) => ExitCode::Usage,
            Self::File(FileError { fault: FormatFault::Io(error), .. })
                if error.kind() == std::io::ErrorKind::NotFound =>
            {
                ExitCode::Usage
            }
            Self::File(_) | Self::Failed(_) => ExitCode::Unchecked,
            Self::Cancelled => ExitCode::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_task_without_a_difference_could_not_check_something() {
        let matched = Counters { files_matched: 3, metadata_matched: 3, ..Counters::default() };
        let differing = Counters { digest_mismatches: 1, digest_verification_failures: 2, ..matched };
        let code = ExitCode::of_task;
        assert_eq!(code(TaskState::Completed, &matched), ExitCode::Equal);
        assert_eq!(code(TaskState::Completed, &Counters::default()), ExitCode::Unchecked);
        assert_eq!(code(TaskState::Failed, &matched), ExitCode::Unchecked);
        assert_eq!(code(TaskState::Failed, &differing), ExitCode::Different, "both hold: 1");
        assert_eq!(code(TaskState::Cancelled, &differing), ExitCode::Cancelled);
    }
}
