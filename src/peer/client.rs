//! HTTP to one peer: requests counted, connections kept, every failure named.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use uuid::Uuid;

use super::allowance::{Allowance, Held, TooMuch};
use super::error::PeerError;
use crate::net::{CallError, Endpoint, Patience, Retries, RetryPolicy, Timeouts, Troubles, connect, refusal};
use crate::protocol::{Frame, FrameDecoder, FrameError, routes};
use crate::work::blocking;

/// How a peer is called.
#[derive(Debug, Clone)]
pub struct PeerSettings {
    /// Which failures are borne, and how long.
    pub policy: RetryPolicy,
    /// How long it may take until a connection stands.
    pub connect_timeout: Duration,
    /// How long a peer may be silent. How long an answer may take is another matter: a hash may take hours, and progress
    /// comes all the while.
    pub idle_timeout: Duration,
    /// How long a peer may be busy that brings nothing; [`Patience::USUAL`] but for tests.
    pub patience: Duration,
    /// How much memory its answers may take.
    pub allowance: Allowance,
    /// How many connections are kept for later requests.
    pub max_idle_connections: usize,
}

/// One peer. Clones share connections and the count of requests.
#[derive(Debug, Clone)]
pub struct Peer {
    address: Endpoint,
    pub(super) http: reqwest::Client,
    /// Waits without end for an answer to begin and to go on.
    pub(super) patient: reqwest::Client,
    pub(super) idle_timeout: Duration,
    requests: Arc<AtomicU64>,
    answers: Arc<AtomicU64>,
    fetched: Arc<AtomicU64>,
    settings: PeerSettings,
    pub(super) troubles: Troubles,
}

impl Peer {
    /// A peer nobody has called yet.
    pub fn new(address: Endpoint, settings: PeerSettings) -> Result<Self, PeerError> {
        let client = |idle| {
            let timeouts = Timeouts { connect: Some(settings.connect_timeout), idle, total: None };
            connect(timeouts, settings.max_idle_connections).map_err(|error| CallError::unreachable(&address, &error))
        };
        let http = client(Some(settings.idle_timeout))?;
        let patient = client(None)?;
        Ok(Self {
            address,
            http,
            patient,
            idle_timeout: settings.idle_timeout,
            requests: Arc::default(),
            answers: Arc::default(),
            fetched: Arc::default(),
            settings,
            troubles: Troubles::default(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> &Endpoint {
        &self.address
    }

    /// How many requests were sent to it so far, repeated ones included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Why its answers do not come and how long they are tried for, in words for a person; `None` where all is well.
    pub fn trouble(&self) -> Option<String> {
        self.troubles.text(Instant::now())
    }

    /// The retries of one conversation with it.
    pub(super) fn retries(&self) -> Retries {
        Retries::new(self.settings.policy, self.troubles.clone())
    }

    /// The patience with one conversation that begins now.
    pub fn patience(&self) -> Patience {
        Patience::new(self.settings.patience, Instant::now())
    }

    /// What is held of an answer of this peer; nothing so far.
    pub(super) fn hold(&self) -> Held {
        self.settings.allowance.hold()
    }

    /// Names the peer and what it was asked for.
    pub(super) fn too_much(&self, path: &str) -> impl Fn(TooMuch) -> PeerError {
        move |cause| PeerError::TooMuch { peer: self.address.clone(), path: path.to_owned(), cause }
    }

    /// What `work` brings, where it brings it in time.
    pub async fn in_time<T, E: From<PeerError>>(
        &self,
        path: &str,
        patience: &Patience,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let idle = || PeerError::Idle { peer: self.address.clone(), path: path.to_owned(), waited: patience.lasted() };
        tokio::time::timeout_at(patience.until().into(), work).await.unwrap_or_else(|_| Err(idle().into()))
    }

    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// How many digests it has delivered.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Relaxed)
    }

    /// How many files were fetched from it, since it did not get done with their digests.
    pub fn fetched(&self) -> u64 {
        self.fetched.load(Relaxed)
    }

    pub(super) fn fetched_one(&self) {
        self.fetched.fetch_add(1, Relaxed);
    }

    pub(super) fn answered(&self) {
        self.answers.fetch_add(1, Relaxed);
    }

    /// Tells the source that nobody waits for a manifest any more. Best effort: the source finds out by itself later.
    pub async fn release(&self, manifest: Uuid) {
        let request = self.http.delete(self.address.url(&routes::manifest(manifest)));
        self.count_request();
        if let Err(error) = request.timeout(Duration::from_secs(2)).send().await {
            tracing::debug!(peer = %self.address, error = %CallError::unreachable(&self.address, &error), "the source was not asked to stop");
        }
    }

    /// Posts a body and returns the stream of the answer, if the answer is one of that media type.
    pub(super) async fn post_for_frames(
        &self,
        path: &str,
        content_type: &str,
        body: Bytes,
        media_type: &str,
    ) -> Result<Frames, PeerError> {
        self.count_request();
        let request = self.http.post(self.address.url(path)).header(CONTENT_TYPE, content_type).body(body);
        let response = request.send().await.map_err(|error| CallError::unreachable(&self.address, &error))?;
        self.troubles.clear();
        if response.status() != reqwest::StatusCode::OK {
            return Err(match refusal(&self.address, response).await {
                CallError::Status { endpoint, status: 404, message, .. } if message.is_empty() => {
                    PeerError::NotTwintree { peer: endpoint }
                }
                error => error.into(),
            });
        }
        let found = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
        if found != media_type {
            return Err(PeerError::MediaType { peer: self.address.clone(), media_type: found.to_owned() });
        }
        Ok(Frames { peer: self.address.clone(), response, decoder: FrameDecoder::default() })
    }
}

/// Frames of no more bytes are decoded where they come; larger ones on a thread that may take its time.
const DECODED_AT_ONCE: usize = 64 << 10;

/// The frames of one answer.
pub(super) struct Frames {
    peer: Endpoint,
    response: reqwest::Response,
    decoder: FrameDecoder,
}

impl Frames {
    fn broken(&self, cause: FrameError) -> PeerError {
        PeerError::Frame { peer: self.peer.clone(), cause }
    }

    /// The next frame. A stream that ends is interrupted: its last frame should have said so.
    pub(super) async fn next<T: Frame + Send + 'static>(&mut self) -> Result<T, PeerError> {
        loop {
            while let Some(packed) = self.decoder.next_packed().map_err(|cause| self.broken(cause))? {
                let read = match packed.is_at_most(DECODED_AT_ONCE) {
                    true => packed.read(),
                    false => {
                        let read = blocking(move || packed.read()).await;
                        read.map_err(|died| CallError::interrupted(&self.peer, died.to_string()))?
                    }
                };
                if let Some(frame) = read.map_err(|cause| self.broken(cause))? {
                    return Ok(frame);
                }
                // However many a peer sends that nobody knows, others have their turn in between.
                tokio::task::yield_now().await;
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.decoder.push(&bytes),
                Ok(None) => return Err(CallError::interrupted(&self.peer, "the stream stopped before its end").into()),
                Err(error) if error.is_timeout() => {
                    return Err(CallError::interrupted(&self.peer, "nothing came within the idle time-out").into());
                }
                Err(error) => return Err(CallError::broken_off(&self.peer, &error).into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Writer;
    use crate::protocol::{FrameReader, MANIFEST_MEDIA_TYPE, ManifestFrame, encode_frame};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// A kind of frame that nobody knows.
    struct Unknown(&'static [u8]);

    impl Frame for Unknown {
        fn write(&self) -> (u32, Writer) {
            (99, Writer::default().with_bytes(7, self.0))
        }

        fn read(_: u32, _: &mut FrameReader) -> Result<Option<Self>, FrameError> {
            Ok(None)
        }
    }

    /// The frames of an answer with this body.
    async fn answered(body: Vec<u8>) -> Frames {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            let _ = stream.read(&mut [0; 4096]).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {MANIFEST_MEDIA_TYPE}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        });
        let settings = PeerSettings {
            policy: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(5),
            patience: Patience::USUAL,
            allowance: Allowance::new(1 << 20),
            max_idle_connections: 1,
        };
        let peer = Peer::new(Endpoint::http("127.0.0.1", port), settings).unwrap();
        peer.post_for_frames(routes::MANIFESTS, "text/plain", Bytes::new(), MANIFEST_MEDIA_TYPE).await.unwrap()
    }

    /// On one thread, so that whoever else wants it waits for whatever does not give it away.
    #[tokio::test]
    async fn frames_that_nobody_knows_keep_nobody_else_waiting() {
        static ZEROS: [u8; 100_000] = [0; 100_000];
        let (small, large) = (encode_frame(&Unknown(b"x")), encode_frame(&Unknown(&ZEROS)));
        let last = encode_frame(&ManifestFrame::MetadataEnd);
        let mut frames = answered([small.repeat(200), large.repeat(20), last.to_vec()].concat()).await;
        let others = Arc::new(AtomicU64::new(0));
        let turns = Arc::clone(&others);
        tokio::spawn(async move {
            loop {
                turns.fetch_add(1, Relaxed);
                tokio::task::yield_now().await;
            }
        });
        assert!(matches!(frames.next().await, Ok(ManifestFrame::MetadataEnd)));
        assert!(others.load(Relaxed) > 220, "{} turns", others.load(Relaxed));
    }
}
