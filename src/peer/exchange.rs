//! The manifest exchange as the destination drives it: one request, attached again where the connection breaks.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::allowance::Held;
use super::assembly::{Assembly, AssemblyError, Contents, RemoteManifest, Step};
use super::client::Peer;
use super::error::PeerError;
use super::weight;
use crate::manifest::DirectoryTable;
use crate::model::Provenance;
use crate::net::{Brought, CallError, Patience, Retries};
use crate::protocol::{FinishedDirectory, MANIFEST_MEDIA_TYPE, ManifestFrame, ManifestRequest, ProgressFrame, routes};
use crate::work::blocking;

/// One exchange: driven by [`Exchange::run`], watched by everybody else.
#[derive(Debug)]
pub struct Exchange {
    peer: Peer,
    request: ManifestRequest,
    metadata: watch::Sender<Option<Arc<RemoteManifest>>>,
    state: Mutex<State>,
    unwanted: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    manifest_id: Option<Uuid>,
    /// An attempt failed that the source may have begun to work for.
    may_have_begun: bool,
    /// How often it then began under another name.
    begun_again: u32,
    progress: ProgressFrame,
    /// Content hashes nobody has taken yet.
    fresh: Vec<FinishedDirectory>,
    /// By root number and directory: whether the last hash that was fresh is proven, where there was one. A stream that is attached to
    /// again repeats all of them, and whoever counts them must not count twice.
    seen: Vec<Vec<Option<bool>>>,
    /// All content hashes, once the stream is complete.
    contents: Arc<Contents>,
    provenance: Option<Provenance>,
    /// The memory of the tables, and of what was said of their content.
    tables_held: Option<Held>,
    contents_held: Option<Held>,
}

impl Exchange {
    /// An exchange that has not begun.
    pub fn new(peer: Peer, request: ManifestRequest) -> Self {
        Self {
            peer,
            request,
            metadata: watch::Sender::new(None),
            state: Mutex::default(),
            unwanted: CancellationToken::new(),
        }
    }

    /// Runs the exchange to its end. Only then is every content hash known and checked.
    pub async fn run(&self) -> Result<(), PeerError> {
        let mut retries = self.peer.retries();
        let mut patience = self.peer.patience();
        loop {
            let delay = match self.attempt(&mut retries, &mut patience).await {
                Ok(()) => return Ok(()),
                Err(error) if self.unwanted.is_cancelled() => return Err(error),
                Err(error) => {
                    self.state().may_have_begun |= error.may_have_begun();
                    retries.after(error)?
                }
            };
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.unwanted.cancelled() => {
                    let cause = "nobody wants the stream any more".to_owned();
                    return Err(CallError::interrupted(self.peer.address(), cause).into());
                }
            }
        }
    }

    /// Cancelled by whoever tells the source that it need not go on: however the stream ends from then on, it is not asked
    /// for again.
    pub fn unwanted(&self) -> &CancellationToken {
        &self.unwanted
    }

    /// The tables, as soon as the source has walked.
    pub async fn metadata(&self) -> Arc<RemoteManifest> {
        let mut receiver = self.metadata.subscribe();
        loop {
            if let Some(manifest) = receiver.borrow_and_update().as_ref() {
                return Arc::clone(manifest);
            }
            // The sender lives in `self`, so a change always comes or the caller stops waiting.
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The tables, where they are there already.
    pub fn metadata_now(&self) -> Option<Arc<RemoteManifest>> {
        self.metadata.borrow().clone()
    }

    /// How far the source is.
    pub fn progress(&self) -> ProgressFrame {
        self.state().progress
    }

    /// Where the source's content came from, as it says at the end.
    pub fn provenance(&self) -> Option<Provenance> {
        self.state().provenance
    }

    /// How often the source began its manifest again, since it did not keep the one that was under way, or had not told its
    /// name.
    pub fn begun_again(&self) -> u32 {
        self.state().begun_again
    }

    /// The name of the manifest at the source, once known.
    pub fn manifest_id(&self) -> Option<Uuid> {
        self.state().manifest_id
    }

    /// The content hashes that came since the last call; each directory's once, and once more where it was withdrawn.
    pub fn take_fresh(&self) -> Vec<FinishedDirectory> {
        std::mem::take(&mut self.state().fresh)
    }

    /// The content of all directories; empty before [`Exchange::run`] has succeeded.
    pub fn contents(&self) -> Arc<Contents> {
        Arc::clone(&self.state().contents)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    async fn attempt(&self, retries: &mut Retries, patience: &mut Patience) -> Result<(), PeerError> {
        let request = ManifestRequest { resume: self.manifest_id(), ..self.request.clone() };
        // Our own request always serialises.
        let body = serde_json::to_vec(&request).unwrap_or_default();
        let answer = self.peer.post_for_frames(routes::MANIFESTS, "application/json", body.into(), MANIFEST_MEDIA_TYPE);
        let answer = self.peer.in_time(routes::MANIFESTS, patience, answer);
        let mut frames = answer.await.map_err(without_the_route)?;
        let (mut assembly, mut held) = (Assembly::default(), self.peer.hold());
        let (mut brought, mut progressed) = (Brought::default(), 0);
        loop {
            let frame: ManifestFrame = self.peer.in_time(routes::MANIFESTS, patience, frames.next()).await?;
            held.take(weight::of_frame(&frame)).map_err(self.peer.too_much(routes::MANIFESTS))?;
            match &frame {
                ManifestFrame::Directories(records) => brought.directories += records.len() as u64,
                ManifestFrame::Content(hashes) => brought.directories += hashes.len() as u64,
                ManifestFrame::Progress(source) => {
                    progressed = source.files_total.saturating_add(source.bytes_hashed);
                    (brought.files, brought.bytes) = self.hashed_of_listed(source);
                }
                _ => {}
            }
            retries.delivered(progressed.saturating_add(brought.directories));
            patience.brought(brought, Instant::now());
            if let ManifestFrame::Hello(hello) = &frame {
                self.state().named(Uuid::from_bytes(hello.manifest_id));
            }
            let step = accept(&mut assembly, frame).await.map_err(|cause| self.assembly_error(cause))?;
            match step {
                Step::Taken => {}
                Step::Progress(progress) => self.state().progress = progress,
                Step::Metadata(manifest) => {
                    held.take(weight::of_sums(&manifest.tables())).map_err(self.peer.too_much(routes::MANIFESTS))?;
                    self.publish(manifest)?;
                    // What an earlier attempt had published is not needed any more.
                    self.state().tables_held = Some(std::mem::replace(&mut held, self.peer.hold()));
                }
                Step::Content(hashes) => self.state().take(hashes),
                Step::Provenance(provenance) => self.state().provenance = Some(provenance),
                Step::End => {
                    let mut state = self.state();
                    (state.contents, state.contents_held) = (Arc::new(assembly.into_contents()), Some(held));
                    return Ok(());
                }
                Step::Failed(failure) => {
                    let peer = self.peer.address().clone();
                    return Err(PeerError::Source { peer, code: failure.code, message: failure.message });
                }
            }
        }
    }

    /// How many files and bytes the source says that it hashed, of those that it listed: what nobody knows of is no work.
    fn hashed_of_listed(&self, said: &ProgressFrame) -> (u64, u64) {
        let (files, bytes) = self.metadata.borrow().as_ref().map_or((0, 0), |manifest| manifest.files_and_bytes());
        (said.files_hashed.min(files), said.bytes_hashed.min(bytes))
    }

    /// After an interruption the tables must be those that decisions were already made on.
    fn publish(&self, manifest: Arc<RemoteManifest>) -> Result<(), PeerError> {
        let before = self.metadata.borrow().clone();
        if before.is_some_and(|before| !before.has_same_roots_as(&manifest)) {
            return Err(PeerError::TreeChanged { peer: self.peer.address().clone() });
        }
        let directories = |table: &Option<DirectoryTable>| table.as_ref().map_or(0, DirectoryTable::len);
        {
            let mut state = self.state();
            if self.metadata.borrow().is_none() {
                state.seen = manifest.roots.iter().map(|(_, table)| vec![None; directories(table)]).collect();
            }
            (state.progress.files_total, state.progress.bytes_total) = manifest.files_and_bytes();
        }
        self.metadata.send_replace(Some(manifest));
        Ok(())
    }

    fn assembly_error(&self, cause: AssemblyError) -> PeerError {
        let peer = self.peer.address().clone();
        match cause {
            AssemblyError::Version(theirs) => PeerError::Version { peer, theirs },
            cause => PeerError::Assembly { peer, cause },
        }
    }
}

impl State {
    /// The source works on the manifest of this name.
    fn named(&mut self, id: Uuid) {
        if self.may_have_begun && self.manifest_id != Some(id) {
            self.begun_again += 1;
            tracing::warn!(manifest = %id, "the source began its manifest again");
        }
        (self.manifest_id, self.may_have_begun) = (Some(id), false);
    }

    fn take(&mut self, finished: Vec<FinishedDirectory>) {
        for one in finished {
            let seen = self.seen.get_mut(one.root as usize).and_then(|root| root.get_mut(one.directory.at()));
            // The assembly has refused directories that do not exist.
            let proven = one.hash.is_proven();
            if let Some(seen) = seen.filter(|seen| seen.is_none_or(|before| before && !proven)) {
                *seen = Some(proven);
                self.fresh.push(one);
            }
        }
    }
}

/// Checks of whole tables are made on a thread that may take its time.
async fn accept(assembly: &mut Assembly, frame: ManifestFrame) -> Result<Step, AssemblyError> {
    if !matches!(frame, ManifestFrame::MetadataEnd | ManifestFrame::End(_)) {
        return assembly.accept(frame);
    }
    let mut own = std::mem::take(assembly);
    let accepted = blocking(move || {
        let step = own.accept(frame);
        (own, step)
    });
    let (own, step) = accepted.await.map_err(|died| AssemblyError::Died(died.to_string()))?;
    *assembly = own;
    step
}

/// A source never answers 404 to this request, so whoever does lacks the route or the role, whatever its message.
fn without_the_route(error: PeerError) -> PeerError {
    match error {
        PeerError::Call(CallError::Status { endpoint, status: 404, .. }) => PeerError::NotTwintree { peer: endpoint },
        error => error,
    }
}
