//! What a run begins with: the plan, and what its state file knows.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::bulk::{Entry, Journal, JournalError, Only, Plan, Start, State, start};
use crate::cli::args::{BulkArgs, Common, Repeat};
use crate::cli::exit_code::CommandError;
use crate::cli::output;
use crate::config::{ConfigError, MAX_BYTES, ValueProblem, read_text};
use crate::work::now_ms;

/// The state file, as everybody who writes to it has it; `None` where none is kept.
pub(super) type SharedJournal = Option<Arc<Mutex<Journal>>>;

/// What a run begins with.
pub(super) struct Inputs {
    pub plan: Plan,
    pub start: Start,
    /// With what does not count any more left out.
    pub state: State,
    pub journal: SharedJournal,
}

impl From<JournalError> for CommandError {
    fn from(error: JournalError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Reads the state of the plan. Nothing is written where it is only to be said what would be done.
pub(super) fn read(plan: Plan, args: &BulkArgs, common: &Common) -> Result<Inputs, CommandError> {
    let place = state_place(args);
    let (journal, mut state, damaged) = match &place {
        None => (None, State::default(), 0),
        Some(path) if args.dry_run => {
            let (state, damaged) = Journal::look(path)?;
            (None, state, damaged)
        }
        Some(path) => {
            let (journal, state, damaged) = Journal::open(path)?;
            (Some(journal), state, damaged)
        }
    };
    if damaged > 0 {
        output::remark(common, &format!("{damaged} entries of the state are damaged and count for nothing"));
    }
    if place.is_none() {
        output::remark(
            common,
            "no state is kept, so an interrupted run begins from the start: --state names a file for it",
        );
    }
    if !args.only.is_empty() && state.is_empty() {
        return Err(CommandError::Usage("--only repeats what an earlier run came to, and there was none".to_owned()));
    }
    let only: Vec<Only> = args
        .only
        .iter()
        .map(|only| match only {
            Repeat::Failed => Only::Failed,
            Repeat::Different => Only::Different,
        })
        .collect();
    let start = start(&plan, &state, &only);
    if !start.fresh {
        let (kept, todo) = (start.kept.len(), start.todo.len());
        let what = match (todo, args.only.is_empty()) {
            (0, false) => format!("nothing to repeat: {kept} stay as they ended"),
            _ => format!("the run goes on: {kept} stay as they ended, {todo} to go"),
        };
        output::remark(common, &what);
    }
    let journal = journal.map(|mut journal| begin(&mut journal, &mut state, &start).map(|()| journal)).transpose()?;
    Ok(Inputs { plan, start, state, journal: journal.map(|journal| Arc::new(Mutex::new(journal))) })
}

/// Writes down how the run begins.
fn begin(journal: &mut Journal, state: &mut State, start: &Start) -> Result<(), JournalError> {
    if start.fresh {
        let began_at = now_ms();
        *state = State { began_at: Some(began_at), ..State::default() };
        return journal.begin(began_at);
    }
    let withdrawn = start.withdrawn.iter().cloned().map(|name| Entry::Withdrawn { name });
    let repeated = start.repeated.iter().cloned().map(|name| Entry::Repeated { name });
    for entry in withdrawn.chain(repeated) {
        journal.note(&entry)?;
        state.apply(entry);
    }
    Ok(())
}

/// Reads the plan, with what the command line adds to it.
pub(super) fn plan(args: &BulkArgs) -> Result<Plan, CommandError> {
    let mut plan = args.plan.as_deref().map(Plan::load).transpose()?.unwrap_or_default();
    if args.keep_going {
        plan.defaults.keep_going = true;
        plan.comparisons.iter_mut().for_each(|comparison| comparison.settings.keep_going = true);
    }
    if let Some(path) = &args.destinations {
        plan = plan.with_destinations(&list(path)?, path)?;
    }
    if plan.comparisons.is_empty() {
        return Err(CommandError::Usage("the plan has no comparison, so nothing would be proven".to_owned()));
    }
    // What was found of a relative path holds for the directory in which it was found.
    let directory = std::env::current_dir();
    let directory = directory.map_err(|error| CommandError::Usage(format!("the current directory: {error}")))?;
    Ok(plan.beginning_at(&directory))
}

fn list(path: &Path) -> Result<String, CommandError> {
    if path != Path::new("-") {
        return Ok(read_text(path).map_err(|(line, problem)| ConfigError::whole(path, line, problem))?);
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_BYTES as u64 + 1).read_to_string(&mut text);
    let problem = match read {
        Ok(_) if text.len() <= MAX_BYTES => return Ok(text),
        Ok(_) => ValueProblem::TooLarge,
        Err(error) => ValueProblem::Unreadable { kind: error.kind(), message: error.to_string() },
    };
    Err(ConfigError::whole(Path::new("standard input"), None, problem).into())
}

/// Where the state is kept: as asked, else beside what names the comparisons.
fn state_place(args: &BulkArgs) -> Option<PathBuf> {
    let beside = |path: &PathBuf| {
        let mut name = path.clone().into_os_string();
        name.push(".state");
        PathBuf::from(name)
    };
    let list = args.destinations.as_ref().filter(|path| path.as_path() != Path::new("-"));
    args.state.clone().or_else(|| args.plan.as_ref().or(list).map(beside))
}
