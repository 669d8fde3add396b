//! `twintree bulk`: many comparisons in one run.

mod books;
mod drivers;
mod inputs;
mod live;
mod names;
mod outputs;
mod pages;
mod pair;
mod service;
mod written;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::args::{BulkArgs, Common};
use super::destination::runtime;
use super::exit_code::{CommandError, ExitCode};
use super::output;
use super::signals::{Asked, Stop};
use crate::bulk::{Claims, Ending, Job, Plan, Start, Summary, rounds, run as run_jobs};
use crate::report::bulk as render;
use books::Books;
use drivers::Drivers;
use inputs::Inputs;

pub(super) fn run(args: &BulkArgs, common: &Common, stop: &Stop) -> Result<ExitCode, CommandError> {
    let plan = inputs::plan(args)?;
    // Before the state of an earlier run is given up for a new one that could say nothing.
    let outputs = (!args.dry_run).then(|| outputs::Outputs::prepare(args)).transpose()?;
    let Inputs { plan, start, state, journal } = inputs::read(plan, args, common)?;
    let claims: Vec<Claims> =
        start.todo.iter().map(|at| Claims::of(&plan.comparisons[*at], |path| Path::new(path).is_dir())).collect();
    let parallel = args.parallel.unwrap_or(plan.parallel);
    let Some(outputs) = outputs else {
        let rounds = rounds(&claims, parallel.get());
        output::print(&render::dry_run(&plan.comparisons, &claims, &start, &rounds))?;
        return Ok(ExitCode::Equal);
    };
    let drivers = Drivers::new(&plan, &start, &state, outputs.pages.clone(), journal.clone(), stop)?;
    let books = Books::open(&plan, &start, &state, journal, outputs, common)?;
    let summary = work(&plan, &start, (claims, parallel), (drivers, books), stop)?;
    Ok(exit_code(&summary))
}

/// Runs what is to be done, and prints what all of it came to.
fn work(
    plan: &Plan,
    start: &Start,
    (claims, parallel): (Vec<Claims>, NonZeroUsize),
    (drivers, mut books): (Drivers, Books),
    stop: &Stop,
) -> Result<Summary, CommandError> {
    let retries = |at: &usize| plan.comparisons[*at].settings.retries.into();
    let jobs = start.todo.iter().zip(claims).map(|(at, claims)| Job { claims, retries: retries(at) }).collect();
    let drivers = Arc::new(drivers.shown_by(books.live()));
    let clock = Instant::now();
    let finished = runtime()?.block_on(async {
        let stopped = async {
            let _: Asked = stop.asked().await;
        };
        run_jobs(jobs, parallel, drivers, stopped, |event| books.note(event)).await
    })?;
    books.close(finished, clock.elapsed())
}

/// A difference outweighs what could not be found out. A run that was interrupted is cancelled, whatever it found until then.
fn exit_code(summary: &Summary) -> ExitCode {
    let unchecked = [Ending::Unreachable, Ending::Unverified, Ending::NothingCompared];
    match () {
        () if !summary.finished => ExitCode::Cancelled,
        () if summary.has(Ending::Different) => ExitCode::Different,
        () if unchecked.into_iter().any(|ending| summary.has(ending)) => ExitCode::Unchecked,
        () if summary.has(Ending::Cancelled) => ExitCode::Cancelled,
        () => ExitCode::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::Tally;

    #[test]
    fn one_difference_outweighs_everything_but_an_interruption() {
        use Ending::{Cancelled, Different, Equal, NothingCompared, Unreachable, Unverified};
        let code = |endings: &[Ending], to_go| {
            let mut tally = Tally::default();
            endings.iter().for_each(|ending| tally.end(*ending));
            let mut summary = Summary::new(vec![], to_go, (1, 2), (1, 1));
            summary.outcomes = tally.ended;
            exit_code(&summary)
        };
        assert_eq!(code(&[Equal, Equal], 0), ExitCode::Equal);
        assert_eq!(code(&[Equal, Different, Unreachable, Cancelled], 0), ExitCode::Different);
        for unchecked in [Unreachable, Unverified, NothingCompared] {
            assert_eq!(code(&[Equal, unchecked, Cancelled], 0), ExitCode::Unchecked);
        }
        assert_eq!(code(&[Equal, Cancelled], 0), ExitCode::Cancelled);
        assert_eq!(code(&[Equal, Different], 1), ExitCode::Cancelled);
    }
}
