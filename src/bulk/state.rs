//! What is known of a run: the entries of its state file, and what they come to. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ending::{Ended, Ending};

/// The version of the entries. A file of another one is not read.
pub(super) const VERSION: u32 = 1;

/// One thing that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Entry {
    /// A run began; nothing before it counts.
    Run {
        /// Of the entries.
        version: u32,
        /// Epoch milliseconds.
        began_at: i64,
    },
    /// A task is about to be submitted. Where nothing follows, nobody knows whether it was.
    Submitting {
        /// The comparison.
        name: String,
        /// What is to be compared.
        fingerprint: String,
        /// The latest task of the destination at that time: any other one came later.
        before: Option<String>,
    },
    /// A task was accepted, and runs on at its destination whatever becomes of this program.
    Submitted {
        /// The comparison.
        name: String,
        /// What is compared.
        fingerprint: String,
        /// The task.
        task: String,
    },
    /// What was submitted does not count any more, and neither does what the comparison came to: it is to be made again.
    Withdrawn {
        /// The comparison.
        name: String,
    },
    /// What a comparison came to does not count any more, and the task that was submitted for it does: it is followed again.
    Repeated {
        /// The comparison.
        name: String,
    },
    /// A comparison has ended.
    Ended(Box<Ended>),
    /// All have.
    Finished {
        /// Epoch milliseconds.
        at: i64,
    },
}

/// What a comparison that has not ended began at its destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// What was to be compared.
    pub fingerprint: String,
    /// The latest task of the destination before it.
    pub before: Option<String>,
    /// The task; `None` where it is not known whether there is one.
    pub task: Option<String>,
}

/// What is known of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// When it began; `None` where there is none.
    pub began_at: Option<i64>,
    /// It came to its end.
    pub finished: bool,
    /// By the name of the comparison.
    pub begun: BTreeMap<String, Begun>,
    /// By the name of the comparison.
    pub ended: BTreeMap<String, Ended>,
}

impl State {
    /// Whether nothing is known. The entry of a run's begin may be the damaged one; that takes nothing from the others.
    pub fn is_empty(&self) -> bool {
        self.began_at.is_none() && self.begun.is_empty() && self.ended.is_empty()
    }

    /// Takes in one more entry.
    pub fn apply(&mut self, entry: Entry) {
        // Whatever happens after the end of a run is another one, which may be interrupted.
        self.finished = false;
        match entry {
            Entry::Run { began_at, .. } => *self = Self { began_at: Some(began_at), ..Self::default() },
            Entry::Submitting { name, fingerprint, before } => {
                self.begun.insert(name, Begun { fingerprint, before, task: None });
            }
            Entry::Submitted { name, fingerprint, task } => {
                self.begun.insert(name, Begun { fingerprint, before: None, task: Some(task) });
            }
            Entry::Withdrawn { name } => {
                self.begun.remove(&name);
                self.ended.remove(&name);
            }
            Entry::Repeated { name } => {
                self.ended.remove(&name);
            }
            Entry::Ended(ended) => {
                // The task of one that was not reached may run on.
                if ended.outcome != Ending::Unreachable {
                    self.begun.remove(&ended.name);
                }
                self.ended.insert(ended.name.clone(), *ended);
            }
            Entry::Finished { .. } => self.finished = true,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::bulk) fn ended(name: &str, fingerprint: &str, outcome: Ending) -> Ended {
        Ended {
            name: name.to_owned(),
            fingerprint: fingerprint.to_owned(),
            outcome,
            message: "a \"quoted\"\nmessage".to_owned(),
            began_at: 1,
            ended_at: 2,
            worked_ms: 1,
            tries: 1,
            task: None,
            page: None,
            keyspaces: BTreeMap::new(),
            rollups_left_out: 0,
            result: Some(Box::new(crate::bulk::tally::tests::report())),
        }
    }

    #[test]
    fn entries_survive_their_text_and_come_to_a_state() {
        let text = |text: &str| text.to_owned();
        let submitting =
            |name: &str| Entry::Submitting { name: text(name), fingerprint: text("f"), before: Some(text("t0")) };
        let entries = [
            Entry::Run { version: VERSION, began_at: 7 },
            submitting("a"),
            Entry::Submitted { name: text("a"), fingerprint: text("f"), task: text("t1") },
            submitting("b"),
            Entry::Ended(Box::new(ended("a", "f", Ending::Unreachable))),
            Entry::Finished { at: 9 },
        ];
        let mut state = State::default();
        for entry in entries {
            let read: Entry = serde_json::from_str(&serde_json::to_string(&entry).unwrap()).unwrap();
            assert_eq!(read, entry);
            state.apply(read);
        }
        assert_eq!((state.began_at, state.finished), (Some(7), true));
        assert_eq!(state.begun["b"], Begun { fingerprint: text("f"), before: Some(text("t0")), task: None });
        assert_eq!((state.begun.len(), state.ended["a"].outcome), (2, Ending::Unreachable));
        assert_eq!(state.begun["a"].task.as_deref(), Some("t1"), "it may run on");
        for entry in [
            submitting("c"),
            Entry::Submitted { name: text("c"), fingerprint: text("f"), task: text("t2") },
            Entry::Ended(Box::new(ended("c", "f", Ending::Equal))),
            Entry::Withdrawn { name: text("c") },
            Entry::Repeated { name: text("c") },
        ] {
            let mut further = State { finished: true, ..state.clone() };
            further.apply(entry);
            assert!(!further.finished, "a run that was finished goes on");
        }
        state.apply(Entry::Withdrawn { name: text("a") });
        assert!(!state.finished && state.ended.is_empty());
        state.apply(Entry::Run { version: VERSION, began_at: 8 });
        assert_eq!(state, State { began_at: Some(8), ..State::default() });
    }
}
