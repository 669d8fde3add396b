//! The sides of a comparison that are on other hosts, at work while this host scans its own.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use super::args::{RemoteArgs, ScanArgs};
use super::exit_code::CommandError;
use super::progress::Bars;
use super::remote::{Fetching, start};
use super::side::Side;
use crate::manifest::ManifestFile;
use crate::model::printable;
use crate::scan::Cancel;

/// How often a signal is looked for while everybody else waits.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Remote commands under way, each with the number of its bar.
pub(super) struct Elsewhere<'a> {
    running: Vec<(usize, Fetching<'a>)>,
    bars: &'a Bars,
    quiet: bool,
    /// Ends what this host does when one of them fails.
    here: Cancel,
}

impl<'a> Elsewhere<'a> {
    /// Starts a command for each side that is on another host. `here` is the flag of what this host does meanwhile.
    pub(super) fn start(
        sides: &'a [Side; 2],
        (how, scan): (&RemoteArgs, &ScanArgs),
        (bars, quiet): (&'a Bars, bool),
        here: &Cancel,
    ) -> Result<Self, CommandError> {
        let scanned = sides.iter().filter(|side| side.is_scanned()).enumerate();
        let places = scanned.filter_map(|(bar, side)| Some((bar, side.place()?)));
        let running = places.map(|(bar, place)| Ok((bar, start(place, how, scan)?)));
        Ok(Self { running: running.collect::<Result<_, CommandError>>()?, bars, quiet, here: here.clone() })
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// What they are once they are fetched, and what this host's `work` came to meanwhile. Whoever fails first ends the others; `asked` is a signal's flag.
    pub(super) fn beside<T>(
        &self,
        asked: &Cancel,
        work: impl FnOnce() -> Result<T, CommandError>,
    ) -> Result<(T, Vec<Side>), CommandError> {
        let over = AtomicBool::new(false);
        let (here, fetched) = std::thread::scope(|scope| {
            scope.spawn(|| self.watch(asked, &over));
            let fetching: Vec<_> = self.running.iter().map(|(bar, one)| self.fetch(scope, *bar, one)).collect();
            let here = work();
            if here.is_err() {
                self.end();
            }
            let fetched: Vec<_> = fetching.into_iter().map(joined).collect();
            over.store(true, Relaxed);
            (here, fetched)
        });
        if asked.is_cancelled() {
            return Err(CommandError::Cancelled);
        }
        match here {
            // The cause is what ended it.
            Err(CommandError::Cancelled) => {
                fetched.into_iter().collect::<Result<Vec<_>, _>>().and(Err(CommandError::Cancelled))
            }
            Err(error) => Err(error),
            Ok(value) => {
                let sides = fetched.into_iter().map(|manifest| Ok(Side::File(Box::new(manifest?))));
                Ok((value, sides.collect::<Result<_, CommandError>>()?))
            }
        }
    }

    fn fetch<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        bar: usize,
        one: &'scope Fetching<'a>,
    ) -> ScopedJoinHandle<'scope, Result<ManifestFile, CommandError>> {
        scope.spawn(move || {
            let remark = |line: &str| {
                self.bars.remark_unless(self.quiet, &printable(&format!("{}: {line}", one.host())));
            };
            one.manifest(&self.here, |progress| self.bars.show(bar, progress), remark).inspect_err(|_| self.end())
        })
    }

    fn watch(&self, asked: &Cancel, over: &AtomicBool) {
        while !over.load(Relaxed) {
            if asked.is_cancelled() {
                return self.end();
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    fn end(&self) {
        self.here.cancel();
        self.running.iter().for_each(|(_, one)| one.kill());
    }
}

fn joined<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
