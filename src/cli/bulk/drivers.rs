//! How each comparison of a run is made: by a service, or here.

use std::sync::Arc;

use super::inputs::SharedJournal;
use super::live::Live;
use super::pages::PageFolder;
use super::pair::Pair;
use super::service::Service;
use crate::bulk::{Conclusion, Execute, Hosts, Plan, Setback, Start, State, What};
use crate::cli::exit_code::CommandError;
use crate::cli::signals::Stop;
use crate::net::{CallError, Endpoint, TaskClient};

/// The drivers of all comparisons that are to be made, in their order.
pub(super) struct Drivers {
    drivers: Vec<Driver>,
    live: Arc<Live>,
}

enum Driver {
    Service(Box<Service>),
    Pair(Box<Pair>),
}

impl Drivers {
    pub(super) fn new(
        plan: &Plan,
        start: &Start,
        state: &State,
        pages: Option<PageFolder>,
        journal: SharedJournal,
        stop: &Stop,
    ) -> Result<Self, CommandError> {
        let mut first: Option<TaskClient> = None;
        let mut client = |endpoint: &Endpoint| -> Result<TaskClient, CommandError> {
            let client = match &first {
                Some(first) => first.of_another(endpoint.clone()),
                None => TaskClient::new(endpoint.clone())?,
            };
            Ok(first.insert(client).clone())
        };
        let driver = |at: &usize| {
            let comparison = &plan.comparisons[*at];
            Ok(match &comparison.what {
                What::Service(endpoint) => {
                    let begun = state.begun.get(&comparison.name).cloned();
                    let (pages, journal) = (pages.clone(), journal.clone());
                    let service = Service::new(comparison, client(endpoint)?, begun, (journal, pages, stop.clone()));
                    Driver::Service(Box::new(service))
                }
                What::Pair { source, destination } => {
                    let sides = [source.clone(), destination.clone()];
                    Driver::Pair(Box::new(Pair::new(comparison, sides, pages.clone(), stop.clone())))
                }
            })
        };
        let drivers = start.todo.iter().map(driver).collect::<Result<_, CommandError>>()?;
        Ok(Self { drivers, live: Arc::new(Live::hidden()) })
    }

    /// From now on progress is shown there.
    pub(super) fn shown_by(self, live: Arc<Live>) -> Self {
        Self { live, ..self }
    }
}

impl Execute for Drivers {
    fn is_remote(&self, at: usize) -> bool {
        matches!(self.drivers.get(at), Some(Driver::Service(_)))
    }

    fn runs_on(&self, at: usize) -> bool {
        matches!(self.drivers.get(at), Some(Driver::Service(service)) if service.has_begun())
    }

    async fn reach(&self, at: usize) -> Result<(), CallError> {
        match self.drivers.get(at) {
            Some(Driver::Service(service)) => service.reach().await,
            Some(Driver::Pair(_)) | None => Ok(()),
        }
    }

    async fn attempt(&self, at: usize, hosts: &Hosts) -> Result<Conclusion, Setback> {
        let claim = |host: &str| hosts.claim(at, host);
        match self.drivers.get(at) {
            Some(Driver::Service(service)) => service.attempt(claim, |status| self.live.progress(at, status)).await,
            Some(Driver::Pair(pair)) => pair.attempt().await,
            None => Err(Setback::Stopped),
        }
    }
}
