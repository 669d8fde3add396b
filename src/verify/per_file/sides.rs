//! Both sides as a run by the per-file protocol lists them, at its begin and at its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use tokio_util::io::{StreamReader, SyncIoBridge};
use tokio_util::sync::CancellationToken;

use super::run::PerFileRun;
use super::second_look::{DirectoryTimes, Look, directory_times};
use crate::manifest::{BuildError, Identity, Manifest, unsteady_of};
use crate::model::{FileUrl, Problem, RootId};
use crate::peer::{ListingError, PeerError, SourceListing, read_listing};
use crate::scan::{Context, WalkedDirectory};
use crate::verify::error::RunError;
use crate::verify::kind::Passed;
use crate::work::{BuildFailure, blocking, in_readers};

impl PerFileRun<'_> {
    /// This side's own tree.
    pub(super) async fn walk(&self, context: Context) -> Result<Look, RunError> {
        let job = self.input.job.clone();
        let walked = in_readers(job.threads, move || Manifest::walk(job.identity, &job.roots, &context)).await;
        let manifest = walked.map_err(BuildFailure::from)?.map_err(BuildFailure::from)?;
        self.task.passed(Passed::Walked);
        Ok(Look { manifest, times: DirectoryTimes::new(), unsteady: BTreeMap::new(), held: None })
    }

    /// The directories of this side that do not hold any more what they did when they were listed. Call it behind the last read.
    pub(super) async fn unsteady(
        &self,
        local: &Arc<Look>,
        context: Context,
    ) -> Result<BTreeMap<FileUrl, Problem>, RunError> {
        let local = Arc::clone(local);
        let looked = in_readers(self.input.threads, move || {
            local.manifest.look_again(&context, &|_, _, _| ()).map(|()| unsteady_of(&local.manifest))
        });
        let looked = looked.await.map_err(BuildFailure::from)?;
        Ok(looked.map_err(|_| BuildFailure::Cancelled)?.into_iter().collect())
    }

    /// What the source lists of what the task is about.
    pub(super) async fn source_listing(&self) -> Result<SourceListing, RunError> {
        let stop = CancellationToken::new();
        let _stop = stop.clone().drop_guard();
        let listed = self.input.peer.listing(|chunks, held| {
            // The thread that parses must not outlive the task because a source goes on sending.
            let chunks = chunks.take_until(stop.clone().cancelled_owned());
            let reader = SyncIoBridge::new(StreamReader::new(Box::pin(chunks)));
            async {
                let parsed = blocking(move || read_listing(reader, held)).await;
                parsed.unwrap_or_else(|died| Err(ListingError::Interrupted(died.to_string())))
            }
        });
        let listed = listed.await?;
        self.task.passed(Passed::SourceWalked);
        Ok(self.selected(listed))
    }

    /// A source of this protocol lists everything, whatever the task is restricted to.
    fn selected(&self, mut listed: SourceListing) -> SourceListing {
        let Some(selection) = &self.input.selection else { return listed };
        listed.unsteady.retain(|url, _| selection.includes(url.root, &url.path, true));
        for (root, directories) in &mut listed.roots {
            directories.retain(|directory| selection.includes(*root, &directory.path, true));
            for WalkedDirectory { path, files, .. } in directories {
                // The walk of this side joins the same names.
                files.retain(|file| path.join(&file.name).is_ok_and(|path| selection.includes(*root, &path, false)));
            }
        }
        listed.roots.retain(|_, directories| !directories.is_empty());
        listed
    }

    /// The source's tree as it was listed.
    pub(super) async fn looked_at(&self, listed: SourceListing, local: &Arc<Look>) -> Result<Arc<Look>, RunError> {
        let (local, identity) = (Arc::clone(local), self.source_identity(&local.manifest));
        let peer = self.input.peer.address().clone();
        let look = in_readers(self.input.threads, move || {
            let SourceListing { roots, unsteady, held } = listed;
            let times = directory_times(&roots);
            let manifest = Manifest::of_listed(identity, with_empty_roots(roots, &local.manifest))?;
            Ok::<_, BuildError>(Look { manifest, times, unsteady, held: Some(held) })
        });
        let look = look.await.map_err(BuildFailure::from)?;
        let cause = |error| format!("its listing is of no tree: {error}");
        Ok(Arc::new(look.map_err(|error| PeerError::Broken { peer, cause: cause(error) })?))
    }

    /// Its rules are taken for ours, so that no note says they differ.
    fn source_identity(&self, local: &Manifest) -> Identity {
        let address = self.input.peer.address().to_string();
        Identity { host: address.clone(), instance: address, program: "per-file".to_owned(), ..local.identity.clone() }
    }
}

/// Roots with their directories.
type Directories = BTreeMap<RootId, Vec<WalkedDirectory>>;

/// A listing does not tell an empty root from an absent one; one that is here is taken for empty there.
fn with_empty_roots(mut listed: Directories, local: &Manifest) -> Directories {
    for root in local.roots().iter().filter(|root| root.tree.is_some()) {
        listed.entry(root.id).or_insert_with(|| vec![WalkedDirectory::empty_root()]);
    }
    listed
}
