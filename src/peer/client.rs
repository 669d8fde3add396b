//! HTTP to one peer: requests counted, connections kept, every failure named.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use uuid::Uuid;

use super::address::PeerAddress;
use super::error::PeerError;
use super::retry::RetryPolicy;
use crate::protocol::{ErrorBody, FrameDecoder, routes};

/// The longest error body that is read for its message, in bytes.
pub(super) const MAX_ERROR_BODY_BYTES: usize = 64 << 10;

/// How a peer is called.
#[derive(Debug, Clone, Copy)]
pub struct PeerSettings {
    /// Which failures are borne, and how long.
    pub policy: RetryPolicy,
    /// How long it may take until a connection stands.
    pub connect_timeout: Duration,
    /// How long a peer may be silent. There is no limit on the length of an answer: a hash may take hours, and progress
    /// comes all the while.
    pub idle_timeout: Duration,
    /// How many connections are kept for later requests.
    pub max_idle_connections: usize,
}

/// The longest wait a peer's `Retry-After` can ask for, in seconds; beyond every budget, and safe to add to a time.
const MAX_RETRY_AFTER_SECONDS: u64 = 86_400;

/// One peer. Clones share connections and the count of requests.
#[derive(Debug, Clone)]
pub struct Peer {
    address: PeerAddress,
    pub(super) http: reqwest::Client,
    /// Waits without end for an answer to begin and to go on.
    pub(super) patient: reqwest::Client,
    pub(super) idle_timeout: Duration,
    requests: Arc<AtomicU64>,
    answers: Arc<AtomicU64>,
    fetched: Arc<AtomicU64>,
    pub(super) policy: RetryPolicy,
}

impl Peer {
    /// A peer nobody has called yet.
    pub fn new(address: PeerAddress, settings: PeerSettings) -> Result<Self, PeerError> {
        let client = || {
            reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(settings.connect_timeout)
                .pool_max_idle_per_host(settings.max_idle_connections)
                .tcp_nodelay(true)
        };
        let failed = |error| unreachable_peer(&address, &error);
        let http = client().read_timeout(settings.idle_timeout).build().map_err(failed)?;
        let patient = client().build().map_err(failed)?;
        Ok(Self {
            address,
            http,
            patient,
            idle_timeout: settings.idle_timeout,
            requests: Arc::default(),
            answers: Arc::default(),
            fetched: Arc::default(),
            policy: settings.policy,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> &PeerAddress {
        &self.address
    }

    /// How many requests were sent to it so far, repeated ones included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
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
            tracing::debug!(peer = %self.address, error = %causes(&error), "the source was not told to stop");
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
        let response = request.send().await.map_err(|error| unreachable_peer(&self.address, &error))?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(match self.status_error(response).await {
                PeerError::Status { peer, status: 404, message, .. } if message.is_empty() => {
                    PeerError::NotTwintree { peer }
                }
                error => error,
            });
        }
        let found = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
        if found != media_type {
            return Err(PeerError::MediaType { peer: self.address.clone(), media_type: found.to_owned() });
        }
        Ok(Frames { peer: self.address.clone(), response, decoder: FrameDecoder::default() })
    }

    pub(super) async fn status_error(&self, mut response: reqwest::Response) -> PeerError {
        let status = response.status().as_u16();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ERROR_BODY_BYTES {
                break;
            }
        }
        let message = serde_json::from_slice(&body).ok().and_then(|body: ErrorBody| body.message).unwrap_or_default();
        PeerError::Status {
            peer: self.address.clone(),
            status,
            message,
            retry_after: seconds.map(|seconds: u64| Duration::from_secs(seconds.min(MAX_RETRY_AFTER_SECONDS))),
        }
    }
}

/// The frames of one answer.
pub(super) struct Frames {
    peer: PeerAddress,
    response: reqwest::Response,
    decoder: FrameDecoder,
}

impl Frames {
    /// The next frame. A stream that ends is interrupted: its last frame should have said so.
    pub(super) async fn next<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, PeerError> {
        loop {
            let decoded = self.decoder.decode::<T>();
            if let Some(frame) = decoded.map_err(|cause| PeerError::Frame { peer: self.peer.clone(), cause })? {
                return Ok(frame);
            }
            let interrupted = |cause| PeerError::Interrupted { peer: self.peer.clone(), cause };
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.decoder.push(&bytes),
                Ok(None) => return Err(interrupted("the stream stopped before its end".to_owned())),
                Err(error) if error.is_timeout() => {
                    return Err(interrupted("nothing came within the idle time-out".to_owned()));
                }
                Err(error) => return Err(interrupted(causes(&error))),
            }
        }
    }
}

pub(super) fn unreachable_peer(peer: &PeerAddress, error: &reqwest::Error) -> PeerError {
    PeerError::Unreachable { peer: peer.clone(), cause: causes(error) }
}

/// The innermost cause: the outer ones repeat the URL and say "error sending request".
pub(super) fn causes(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match error.is_timeout() {
        true => "it did not answer in time".to_owned(),
        false => innermost.to_string(),
    }
}
