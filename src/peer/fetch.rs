//! A file's digest from its bytes, where the source cannot give it: a stock source ends every request after some minutes,
//! and a large file is not hashed by then. Its bytes come in pieces, each as long as a request may last.
//!
//! Pieces of two states of a file would make a digest of neither. So a piece is asked for only as the rest of the state
//! whose first bytes came (`If-Range` with its strong validator, never with a date: a second is too coarse), every answer is
//! compared with what came before it, and a source that names validators is asked once more behind the last byte. Where
//! a source names none, its second listing is all there is.

use std::time::Instant;

use reqwest::header::{HeaderValue, IF_NONE_MATCH, RANGE};

use super::client::Peer;
use super::error::PeerError;
use super::file_request::FileRequest;
use super::pieces::{Follows, follows, is_still, rest_of};
use crate::model::{ContentDigest, DigestAlgorithm};
use crate::net::{Brought, CallError, Patience};
use crate::scan::StreamDigest;

/// How often a file that changes while it is fetched is begun.
const ATTEMPTS: usize = 3;

/// How much of one state of a file has come.
struct Fetched {
    digest: StreamDigest,
    bytes: u64,
    /// The strong validator of that state, where the source names one.
    tag: Option<HeaderValue>,
    /// An answer ended with the last byte.
    whole: bool,
}

impl Fetched {
    fn nothing(algorithm: DigestAlgorithm) -> Self {
        Self { digest: StreamDigest::begin(algorithm), bytes: 0, tag: None, whole: false }
    }
}

/// What an attempt came to.
enum Came {
    /// All bytes of one state.
    All,
    /// Bytes of more than one state: what came is worth nothing.
    Mixed,
}

impl Peer {
    /// Fetches the `size` bytes of a file and hashes them here. What has come is kept when a connection breaks, and the rest
    /// asked for; where the rest is that of another state of the file, it is begun again from zero, three times at most.
    pub(super) async fn digest_of_bytes(
        &self,
        request: &FileRequest,
        size: u64,
        algorithm: DigestAlgorithm,
    ) -> Result<ContentDigest, PeerError> {
        let mut fetched = Fetched::nothing(algorithm);
        let mut retries = self.retries();
        let mut patience = self.patience();
        let mut begun = 1;
        loop {
            let attempt = self.fetch_on(request, size, algorithm, &mut fetched, &mut patience);
            let error = match attempt.await {
                Ok(Came::All) => return Ok(fetched.digest.finish()),
                Ok(Came::Mixed) if begun == ATTEMPTS => {
                    return Err(self.file_changed(format!("it changed each of the {ATTEMPTS} times it was fetched")));
                }
                Ok(Came::Mixed) => {
                    tracing::info!(
                        file = request.bytes().path(),
                        "it changed while it was fetched: begun again from zero"
                    );
                    begun += 1;
                    fetched = Fetched::nothing(algorithm);
                    continue;
                }
                Err(error) => error,
            };
            retries.delivered(fetched.bytes);
            tokio::time::sleep(retries.after(error)?).await;
        }
    }

    /// Fetches from where the last answer broke off, and looks whether the file is still the same then. An error leaves
    /// `fetched` as far as it came.
    async fn fetch_on(
        &self,
        request: &FileRequest,
        size: u64,
        algorithm: DigestAlgorithm,
        fetched: &mut Fetched,
        patience: &mut Patience,
    ) -> Result<Came, PeerError> {
        if !fetched.whole {
            let mut headers = request.headers();
            headers.extend(rest_of(fetched.bytes, fetched.tag.as_ref()));
            let path = request.bytes().path();
            let answer = self.get_patiently(request.bytes().clone(), headers);
            let response = self.in_time(path, patience, answer).await?;
            match follows(response.status(), response.headers(), fetched.bytes, fetched.tag.as_ref(), size) {
                Follows::Nothing => {}
                Follows::Rest => self.take_bytes(request, response, size, fetched, patience).await?,
                Follows::Beginning(tag) => {
                    *fetched = Fetched { tag, ..Fetched::nothing(algorithm) };
                    self.take_bytes(request, response, size, fetched, patience).await?;
                }
                Follows::Neither => return Ok(Came::Mixed),
                Follows::OtherSize(now) => return Err(self.file_changed(size_changed(size, now))),
            }
            fetched.whole = true;
        }
        match fetched.tag.clone() {
            None => Ok(Came::All),
            Some(tag) => self.in_time(request.bytes().path(), patience, self.look_again(request, size, tag)).await,
        }
    }

    async fn take_bytes(
        &self,
        request: &FileRequest,
        mut response: reqwest::Response,
        size: u64,
        fetched: &mut Fetched,
        patience: &mut Patience,
    ) -> Result<(), PeerError> {
        loop {
            let chunk = async {
                match tokio::time::timeout(self.idle_timeout, response.chunk()).await {
                    Ok(chunk) => chunk.map_err(|error| CallError::broken_off(self.address(), &error).into()),
                    Err(_) => Err(self.interrupted("nothing came within the idle time-out")),
                }
            };
            match self.in_time(request.bytes().path(), patience, chunk).await? {
                Some(chunk) => {
                    fetched.bytes += chunk.len() as u64;
                    if fetched.bytes > size {
                        return Err(self.file_changed(size_changed(size, format!("at least {}", fetched.bytes))));
                    }
                    fetched.digest.update(&chunk);
                    patience.brought(Brought { bytes: fetched.bytes, ..Brought::default() }, Instant::now());
                }
                None if fetched.bytes == size => return Ok(()),
                None => return Err(self.interrupted("the file stopped before its end")),
            }
        }
    }

    /// The second of the two looks around the read: bytes that came under one validator may still have changed on the way.
    async fn look_again(&self, request: &FileRequest, size: u64, tag: HeaderValue) -> Result<Came, PeerError> {
        let mut headers = request.headers();
        headers.insert(IF_NONE_MATCH, tag.clone());
        if size > 0 {
            // One that changed need not be sent again.
            headers.insert(RANGE, HeaderValue::from_static("bytes=0-0"));
        }
        let now = self.get_patiently(request.bytes().clone(), headers).await?;
        Ok(if is_still(now.status(), now.headers(), &tag, size) { Came::All } else { Came::Mixed })
    }

    fn file_changed(&self, cause: String) -> PeerError {
        PeerError::FileChanged { peer: self.address().clone(), cause }
    }
}

fn size_changed(listed: u64, now: impl std::fmt::Display) -> String {
    format!("it was listed with {listed} bytes, and has {now}")
}
