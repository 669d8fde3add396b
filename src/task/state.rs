//! The state machine of a task. Pure.

use crate::protocol::TaskState;

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Work begins.
    Begin,
    /// It was done, and came out as hoped.
    Succeeded,
    /// It was done and did not come out as hoped, or it could not be done.
    Failed,
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
        (_, Event::Succeeded) => TaskState::Completed,
        (_, Event::Failed | Event::ServiceStopped) => TaskState::Failed,
        (_, Event::Cancelled) => TaskState::Cancelled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_state_stays_whatever_happens() {
        let events = [Event::Begin, Event::Succeeded, Event::Failed, Event::Cancelled, Event::ServiceStopped];
        for state in [TaskState::Completed, TaskState::Failed, TaskState::Cancelled] {
            assert!(events.iter().all(|event| next(state, *event) == state));
        }
    }

    #[test]
    fn only_success_completes() {
        let after = |event| next(TaskState::InProgress, event);
        assert_eq!(after(Event::Succeeded), TaskState::Completed);
        assert_eq!(after(Event::Failed), TaskState::Failed);
        assert_eq!(after(Event::ServiceStopped), TaskState::Failed);
        assert_eq!(after(Event::Cancelled), TaskState::Cancelled);
        assert_eq!(next(TaskState::NotStarted, Event::Begin), TaskState::InProgress);
    }
}
