//! A comparison that needs no service: two directories, manifests, or whatever else `diff` takes.

use std::path::Path;
use std::sync::Arc;

use super::names::resolve;
use super::pages::{self, PageFolder};
use crate::bulk::{Comparison, Conclusion, Ending, Setback, Settings};
use crate::cli::args::{ListArgs, RemoteArgs, ScanArgs};
use crate::cli::compare::{CameTo, How, compare};
use crate::cli::exit_code::CommandError;
use crate::cli::narrowing::Narrowing;
use crate::cli::side::Side;
use crate::cli::signals::Stop;
use crate::cli::stdio::is_stdio;
use crate::cli::streamed::Kept;
use crate::work::blocking;

/// One comparison of this machine.
pub(super) struct Pair(Arc<Inner>);

struct Inner {
    name: String,
    sides: [String; 2],
    settings: Settings,
    pages: Option<PageFolder>,
    stop: Stop,
}

impl Pair {
    pub(super) fn new(comparison: &Comparison, sides: [String; 2], pages: Option<PageFolder>, stop: Stop) -> Self {
        let (name, settings) = (comparison.name.clone(), comparison.settings.clone());
        Self(Arc::new(Inner { name, sides, settings, pages, stop }))
    }

    /// Makes it. What cannot be opened or read is unverified: nothing is known of the rest.
    pub(super) async fn attempt(&self) -> Result<Conclusion, Setback> {
        let inner = Arc::clone(&self.0);
        let made = blocking(move || inner.make()).await;
        match made {
            Ok(Ok(conclusion)) => Ok(conclusion),
            Ok(Err(CommandError::Cancelled)) => Err(Setback::Stopped),
            Ok(Err(error)) => Ok(Conclusion::without(Ending::Unverified, error.lines().join("; "))),
            Err(died) => Ok(Conclusion::without(Ending::Unverified, died.to_string())),
        }
    }
}

impl Inner {
    fn make(&self) -> Result<Conclusion, CommandError> {
        let [source, destination] = self.sides.each_ref().map(Path::new);
        let threads = self.settings.concurrency.and_then(|number| (number as usize).try_into().ok());
        let mut scan = ScanArgs { threads, ..ScanArgs::default() };
        if let Some(patterns) = &self.settings.keyspaces {
            scan.keyspace = resolve(patterns, [source, destination])?;
        }
        let open = |path: &Path| match is_stdio(path) {
            true => Err(CommandError::Usage("-: a comparison of a plan reads no standard input".to_owned())),
            false => Side::of_argument(path, &scan, &ListArgs::default(), &self.stop.cancel()),
        };
        let sides = [open(source)?, open(destination)?];
        if sides.iter().all(|side| matches!(side, Side::File(_))) {
            // Nothing is hashed; threads would only be started.
            scan.threads = scan.threads.or(std::num::NonZeroUsize::new(1));
        }
        let remote = RemoteArgs::default();
        let (keep_going, narrowed) = (self.settings.keep_going, Narrowing::default());
        let how = How { scan: &scan, remote: &remote, keep_going, quiet: true, narrowed };
        let CameTo { verdict, report, differences, .. } = compare(&sides, &how, &self.stop)?;
        let write = |folder: &PageFolder| pages::of_pair(folder, &self.name, &report, &Kept(&differences));
        let page = self.pages.as_ref().map(write);
        let message = report.status.headline.clone();
        let made = Conclusion { ending: verdict.into(), message, report: Some(Box::new(report)), page: None };
        Ok(match page {
            None => made,
            Some(Ok(page)) => Conclusion { page: Some(page), ..made },
            Some(Err(cause)) => made.without_page(&cause),
        })
    }
}
