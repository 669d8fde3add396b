//! How a task goes on that was under way when its service stopped. Pure.

/// Why a task ended that was under way when its service stopped.
pub(super) const SERVICE_STOPPED: &str = "the service stopped while the task was under way";

/// How often a task is taken up again after its service died: one that kills its service must not do so for ever.
pub const MAX_RESTARTS: u32 = 3;

/// What the operator wants to become of unfinished tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// They begin again by themselves.
    Resume,
    /// They end as FAILED.
    Fail,
}

/// What becomes of one unfinished task, after so many restarts and given what still stands in its way. The text says why it failed.
pub(super) fn becomes(restarts: u32, wanted: Unfinished, obstacle: Option<&str>) -> Result<(), String> {
    match (wanted, obstacle) {
        (Unfinished::Fail, _) => Err(SERVICE_STOPPED.to_owned()),
        (Unfinished::Resume, Some(obstacle)) => {
            Err(format!("{SERVICE_STOPPED}, and it cannot be taken up again: {obstacle}"))
        }
        (Unfinished::Resume, None) if restarts >= MAX_RESTARTS => Err(format!(
            "{SERVICE_STOPPED}, and did so {} times in a row: it is not taken up again",
            restarts.saturating_add(1)
        )),
        (Unfinished::Resume, None) => Ok(()),
    }
}
