//! The per-file protocol from the destination's side: the listing, and the digest of one file.

use std::io;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use reqwest::header::{HeaderMap, IF_NONE_MATCH, RANGE};
use reqwest::{IntoUrl, StatusCode, Url};

use super::allowance::Held;
use super::client::Peer;
use super::error::PeerError;
use super::file_request::{FileRequest, Unaskable};
use super::listing::ListingError;
use crate::model::{ContentDigest, DigestAlgorithm, FileUrl, Problem};
use crate::net::{Brought, CallError, MAX_ERROR_BODY_BYTES, Patience, cause_of, refusal};
use crate::protocol::{DigestBody, routes};

/// The least that an entry takes in a listing, in bytes: its four names, the quotes and the prefix of every URL.
const ENTRY_BYTES: u64 = 100;

/// The bytes of a listing as they come.
pub type ListingBytes = std::pin::Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

impl Peer {
    /// The listing, read by `read`; tried again as the policy says. Its body may take as long as bytes keep coming.
    pub async fn listing<T, F>(&self, read: impl Fn(ListingBytes, Held) -> F) -> Result<T, PeerError>
    where
        F: Future<Output = Result<T, ListingError>>,
    {
        let mut retries = self.retries();
        let patience = self.patience();
        loop {
            let answer = self.get_patiently(self.address().url(routes::FILES), HeaderMap::new());
            let error = match self.in_time(routes::FILES, &patience, answer).await {
                Ok(response) => match read(self.bytes_of(response, patience.clone()), self.hold()).await {
                    Ok(listing) => return Ok(listing),
                    Err(ListingError::Interrupted(cause)) => self.interrupted(&cause),
                    Err(ListingError::TooMuch(cause)) => self.too_much(routes::FILES)(cause),
                    Err(error @ ListingError::Malformed(_)) => self.broken(&error.to_string()),
                },
                Err(PeerError::Call(CallError::Status { endpoint, status: 404, .. })) => {
                    PeerError::NoListing { peer: endpoint }
                }
                Err(error) => error,
            };
            tokio::time::sleep(retries.after(error)?).await;
        }
    }

    /// The body as it comes, for as long as it brings entries: the shortest of them has more than [`ENTRY_BYTES`].
    fn bytes_of(&self, response: reqwest::Response, mut patience: Patience) -> ListingBytes {
        let idle = self.idle_timeout;
        let mut bytes = 0;
        let mut chunks = response.bytes_stream();
        let bytes = async_stream::stream! {
            loop {
                match tokio::time::timeout(idle, chunks.next()).await {
                    Ok(Some(chunk)) => {
                        bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
                        let now = Instant::now();
                        patience.brought(Brought { files: bytes / ENTRY_BYTES, ..Brought::default() }, now);
                        if patience.until() <= now {
                            yield Err(io::Error::new(io::ErrorKind::InvalidData, "it comes so slowly that it never ends"));
                            return;
                        }
                        yield chunk.map_err(|error| io::Error::other(cause_of(&error)));
                    }
                    Ok(None) => return,
                    Err(_) => {
                        yield Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came within the idle time-out"));
                        return;
                    }
                }
            }
        };
        Box::pin(bytes)
    }

    /// The source's digest of a file of `size` bytes, tried again as the policy says. It may take as long as it takes to
    /// read the file: what is limited is how long the source may be silent on another request.
    ///
    /// Where the source breaks a request off that it was busy with for long, the same would happen again; the file's
    /// bytes are fetched then, and hashed here.
    pub async fn digest(
        &self,
        file: &FileUrl,
        size: u64,
        algorithm: DigestAlgorithm,
    ) -> Result<ContentDigest, DigestFailure> {
        let request = FileRequest::new(self.address(), file).map_err(DigestFailure::Name)?;
        let digest = request.digest(algorithm.name());
        let mut retries = self.retries();
        let answers = self.answers();
        // A source hashes a whole file before it says a word.
        let patience = self.patience().with(Brought { bytes: size, ..Brought::default() });
        loop {
            let begun = Instant::now();
            let once = self.digest_once(digest.clone(), request.headers(), algorithm);
            let error = match self.in_time(digest.path(), &patience, once).await {
                Ok(digest) => return Ok(digest),
                Err(error) => error,
            };
            if error.is_transient() && begun.elapsed() > self.idle_timeout && self.health().await.is_ok() {
                tracing::info!(%file, %error, "the source does not get done with a digest: the file is fetched");
                let digest = self.digest_of_bytes(&request, size, algorithm).await.map_err(DigestFailure::File)?;
                self.answered();
                self.fetched_one();
                return Ok(digest);
            }
            if error.is_idle() && self.answers() == answers {
                return Err(DigestFailure::Outage(error));
            }
            match retries.after(error) {
                Ok(delay) => tokio::time::sleep(delay).await,
                Err(error) if error.is_outage() && self.answers() == answers => {
                    return Err(DigestFailure::Outage(error));
                }
                Err(error) => return Err(DigestFailure::File(error)),
            }
        }
    }

    async fn digest_once(
        &self,
        url: Url,
        headers: HeaderMap,
        algorithm: DigestAlgorithm,
    ) -> Result<ContentDigest, PeerError> {
        let mut response = self.get_patiently(url, headers).await?;
        let mut body = Vec::new();
        while let Some(chunk) = self.while_alive(response.chunk()).await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ERROR_BODY_BYTES {
                return Err(self.broken("the answer to a digest request is too long"));
            }
        }
        let body: DigestBody = serde_json::from_slice(&body)
            .map_err(|error| self.broken(&format!("the answer to a digest request is none: {error}")))?;
        if !body.digest_algorithm.eq_ignore_ascii_case(algorithm.name()) {
            return Err(self.broken("the digest is of another algorithm than was asked for"));
        }
        let digest = ContentDigest::parse(algorithm, &body.digest);
        let digest = digest.ok_or_else(|| self.broken("the digest is not of the form its algorithm has"))?;
        self.answered();
        Ok(digest)
    }

    pub(super) fn interrupted(&self, cause: &str) -> PeerError {
        CallError::interrupted(self.address(), cause).into()
    }

    pub(super) fn broken(&self, cause: &str) -> PeerError {
        PeerError::Broken { peer: self.address().clone(), cause: Problem::cut(cause.to_owned()) }
    }

    /// A GET whose answer may take hours to begin.
    pub(super) async fn get_patiently(
        &self,
        url: impl IntoUrl,
        headers: HeaderMap,
    ) -> Result<reqwest::Response, PeerError> {
        self.count_request();
        let (in_part, if_changed) = (headers.contains_key(RANGE), headers.contains_key(IF_NONE_MATCH));
        let response = self.while_alive(self.patient.get(url).headers(headers).send()).await?;
        self.troubles.clear();
        match response.status() {
            StatusCode::OK => Ok(response),
            // Only where a part was asked for: half a listing is none.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if in_part => Ok(response),
            StatusCode::NOT_MODIFIED if if_changed => Ok(response),
            _ => {
                // The body of a refusal is short, and nobody waits for it without end.
                let refused = tokio::time::timeout(self.idle_timeout, refusal(self.address(), response)).await;
                Err(refused.map_or_else(|_| self.interrupted("a refusal stopped before its end"), PeerError::from))
            }
        }
    }

    /// Waits for an answer as long as the source answers something else in the meantime: a host that died in silence
    /// would otherwise be waited for without end, and a large file is no reason to give up.
    async fn while_alive<T>(&self, answer: impl Future<Output = reqwest::Result<T>>) -> Result<T, PeerError> {
        let mut answer = std::pin::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return answer.map_err(|error| CallError::unreachable(self.address(), &error).into()),
                alive = self.health_after_silence() => alive?,
            }
        }
    }

    async fn health_after_silence(&self) -> Result<(), PeerError> {
        tokio::time::sleep(self.idle_timeout).await;
        self.health().await
    }

    async fn health(&self) -> Result<(), PeerError> {
        self.count_request();
        let health = self.http.get(self.address().url(routes::HEALTH)).timeout(self.idle_timeout).send().await;
        // Whatever it says: it lives.
        health.map(drop).map_err(|error| CallError::unreachable(self.address(), &error).into())
    }
}

/// Why there is no digest of a file.
#[derive(Debug)]
pub enum DigestFailure {
    /// The file cannot be asked for by its name.
    Name(Unaskable),
    /// The source answers, but not with this file's digest.
    File(PeerError),
    /// The source has delivered nothing at all since this file was first asked for: it would be the same with all others.
    Outage(PeerError),
}
