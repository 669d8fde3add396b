//! The state machine of a task. Pure.

use crate::model::Verdict;
use crate::protocol::TaskState;

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Work begins.
    Begin,
    /// The comparison is done.
    Compared(Verdict),
    /// It could not be done.
    Broke,
    /// Somebody cancelled it.
    Cancelled,
    /// The service stopped while it was under way.
    ServiceStopped,
}

/// The state after an event; a final state stays.
pub(super) fn next(state: TaskState, event: Event) -> TaskState {
    match (state, event) {
        (TaskState::Completed | TaskState::Failed | TaskState::Cancelled, _) => state,
        (_, Event::Begin) => TaskState::InProgress,
        // A tree without files is the same on both sides to the per-file protocol too; the notes say that nothing was
        // compared.
        (_, Event::Compared(Verdict::Equal | Verdict::NothingCompared)) => TaskState::Completed,
        (_, Event::Compared(Verdict::Different | Verdict::Unverified)) => TaskState::Failed,
        (_, Event::Broke | Event::ServiceStopped) => TaskState::Failed,
        (_, Event::Cancelled) => TaskState::Cancelled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_state_stays_whatever_happens() {
        let events = [Event::Begin, Event::Compared(Verdict::Equal), Event::Broke, Event::Cancelled];
        for state in [TaskState::Completed, TaskState::Failed, TaskState::Cancelled] {
            assert!(events.iter().all(|event| next(state, *event) == state));
        }
    }

    #[test]
    fn only_proven_equality_completes() {
        let after = |verdict| next(TaskState::InProgress, Event::Compared(verdict));
        assert_eq!(after(Verdict::Equal), TaskState::Completed);
        assert_eq!(after(Verdict::Different), TaskState::Failed);
        assert_eq!(after(Verdict::Unverified), TaskState::Failed);
        assert_eq!(next(TaskState::NotStarted, Event::Begin), TaskState::InProgress);
        assert_eq!(next(TaskState::InProgress, Event::ServiceStopped), TaskState::Failed);
    }
}
