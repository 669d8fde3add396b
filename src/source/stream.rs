//! The source's manifest stream: one build's state as frames, from the start, for as many listeners as attach.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;

use super::offers::{Listener, Offer};
use crate::manifest::{HashKind, Manifest};
use crate::protocol::{End, Hello, ManifestFrame, ProgressFrame, RootFrame, SourceFailure, encode_frame};
use crate::work::{BuildFailure, Phase, Turns};

/// How many directories one frame carries at most: names of 1 KiB and problems of 512 bytes stay below the limit.
const DIRECTORIES_PER_FRAME: usize = 4096;

/// Frames of no more directories are made where the stream is: it takes some hundred microseconds.
const MADE_AT_ONCE: usize = 256;

/// What a stream takes in memory, in bytes: a page of directories with names of the usual length, its frame, and the one before
/// it on its way out.
pub const STREAM_BYTES: u64 = 2 << 20;

/// How often a listener hears of progress, and of the directories finished by then: often enough for a bar that moves, rare
/// enough to cost nothing.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// The frames of an offer, in this version of the protocol. Dropping the stream does not stop the build; see [`super::Offers`].
pub fn manifest_stream(offer: Listener, version: u32, turns: Turns) -> impl Stream<Item = Bytes> + Send {
    async_stream::stream! {
        yield encode_frame(&hello(&offer, version));
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        let manifest = loop {
            let turned = offer.build.turned();
            if let Some(manifest) = offer.build.manifest() {
                break manifest;
            }
            if let Phase::Failed(failure) = offer.build.phase() {
                if let Some(frame) = last_words(failure) {
                    yield frame;
                }
                return;
            }
            tokio::select! {
                () = turned => {}
                _ = ticks.tick() => yield encode_frame(&ManifestFrame::Progress(progress(&offer))),
            }
        };
        for part in parts(&manifest) {
            let walked = Arc::clone(&manifest);
            yield encoded(&turns, part.directories(), move || part.frame(&walked)).await;
        }
        let mut sent = 0;
        loop {
            // Created before the look at the state, so that nothing that happens in between is missed.
            let turned = offer.build.turned();
            let phase = offer.build.phase();
            // A page at a time: what a listener does not take is copied out of the build only when it does.
            loop {
                let page = offer.build.finished_after(sent, DIRECTORIES_PER_FRAME);
                sent += page.len();
                if page.is_empty() {
                    break;
                }
                yield encoded(&turns, page.len(), move || ManifestFrame::Content(page)).await;
            }
            if let Phase::Failed(failure) = phase {
                if let Some(frame) = last_words(failure) {
                    yield frame;
                }
                return;
            }
            if phase == Phase::Done {
                yield encode_frame(&ManifestFrame::Progress(progress(&offer)));
                yield encode_frame(&ManifestFrame::Provenance(offer.build.provenance()));
                yield encode_frame(&ManifestFrame::End(end(&manifest)));
                return;
            }
            tokio::select! {
                () = turned => {}
                _ = ticks.tick() => yield encode_frame(&ManifestFrame::Progress(progress(&offer))),
            }
        }
    }
}

fn hello(offer: &Offer, protocol_version: u32) -> ManifestFrame {
    ManifestFrame::Hello(Hello {
        protocol_version,
        manifest_id: offer.id.into_bytes(),
        identity: offer.build.identity().clone(),
    })
}

fn progress(offer: &Offer) -> ProgressFrame {
    let progress = offer.build.progress();
    ProgressFrame {
        files_total: progress.files_total,
        bytes_total: progress.bytes_total,
        files_hashed: progress.files_hashed,
        bytes_hashed: progress.bytes_hashed,
    }
}

/// A build that failed says why. One that was cancelled, because the service stops or nobody should be listening, is cut
/// off: to a destination that does listen, the stream was interrupted, and it asks again.
fn last_words(failure: BuildFailure) -> Option<Bytes> {
    match failure {
        BuildFailure::Cancelled => None,
        BuildFailure::Failed(message) => {
            let failure = SourceFailure { code: "build-failed".to_owned(), message };
            Some(encode_frame(&ManifestFrame::Error(failure)))
        }
    }
}

/// A frame, made at once where it is small. Many streams of large ones would keep everybody else waiting.
async fn encoded(turns: &Turns, directories: usize, frame: impl FnOnce() -> ManifestFrame + Send + 'static) -> Bytes {
    let encode = move || encode_frame(&frame());
    if directories <= MADE_AT_ONCE {
        return encode();
    }
    turns.take(encode).await.unwrap_or_else(|died| {
        let failure = SourceFailure { code: "build-failed".to_owned(), message: died.to_string() };
        encode_frame(&ManifestFrame::Error(failure))
    })
}

/// What a frame of the metadata holds; roots by their position.
enum Part {
    Root(usize),
    Directories(usize, Range<usize>),
    End,
}

/// Root by root, so that only a page of directories is encoded at a time.
fn parts(manifest: &Manifest) -> Vec<Part> {
    let roots = manifest.roots().iter().enumerate().flat_map(|(at, root)| {
        let directories = root.tree.as_ref().map_or(0, |tree| tree.table().len());
        let pages = (0..directories).step_by(DIRECTORIES_PER_FRAME);
        let pages = pages.map(move |from| from..directories.min(from + DIRECTORIES_PER_FRAME));
        std::iter::once(Part::Root(at)).chain(pages.map(move |page| Part::Directories(at, page)))
    });
    roots.chain([Part::End]).collect()
}

impl Part {
    fn directories(&self) -> usize {
        match self {
            Self::Directories(_, page) => page.len(),
            Self::Root(_) | Self::End => 0,
        }
    }

    fn frame(&self, manifest: &Manifest) -> ManifestFrame {
        let root = |at: &usize| &manifest.roots()[*at];
        let table = |at: &usize| root(at).tree.as_ref().map(|tree| tree.table());
        match self {
            Self::Root(at) => ManifestFrame::Root(RootFrame {
                directory_type: root(at).id.directory_type.code(),
                index: root(at).id.index,
                directories: table(at).map(|table| table.len() as u32),
            }),
            Self::Directories(at, page) => {
                let directories = table(at).into_iter().flat_map(|table| {
                    let indices = table.indices().skip(page.start).take(page.len());
                    indices.map(|index| table.get(index).clone())
                });
                ManifestFrame::Directories(directories.collect())
            }
            Self::End => ManifestFrame::MetadataEnd,
        }
    }
}

fn end(manifest: &Manifest) -> End {
    let totals = manifest.totals();
    End {
        files: totals.files,
        directories: totals.directories,
        bytes: totals.bytes,
        metadata: manifest.instance_hash(HashKind::Metadata).digest().map(|digest| digest.0),
        content: manifest.instance_hash(HashKind::Content).digest().map(|digest| digest.0),
    }
}
