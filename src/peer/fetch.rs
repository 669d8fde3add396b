//! A file's digest from its bytes, where the source cannot give it: a stock source ends every request after some minutes,
//! and a large file is not hashed by then. Its bytes come in pieces, each as long as a request may last.
//!
//! Pieces of two states of a file would make a digest of neither. So a piece is asked for only as the rest of the state
//! whose first bytes came (`If-Range` with its strong validator, never with a date: a second is too coarse), every answer is
//! compared with what came before it, and a source that names validators is asked once more behind the last byte. Where
//! a source names none, its second listing is all there is.

use std::time::Instant;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE};

use super::client::Peer;
use super::error::PeerError;
use super::file_request::FileRequest;
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
            let response = match self
                .in_time(request.bytes().path(), patience, self.get_patiently(request.bytes().clone(), headers))
                .await
            {
                // The file is shorter than what came of it.
                Err(PeerError::Call(CallError::Status { status: 416, .. })) if fetched.bytes > 0 => {
                    return Ok(Came::Mixed);
                }
                response => response?,
            };
            match follows(response.status(), response.headers(), fetched, size) {
                Follows::Rest => {}
                Follows::Beginning(tag) => *fetched = Fetched { tag, ..Fetched::nothing(algorithm) },
                Follows::Neither => return Ok(Came::Mixed),
                Follows::OtherSize(now) => return Err(self.file_changed(size_changed(size, now))),
            }
            self.take_bytes(request, response, size, fetched, patience).await?;
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
        match self.get_patiently(request.bytes().clone(), headers).await {
            Ok(now) if now.status() == StatusCode::NOT_MODIFIED => Ok(Came::All),
            // A source that knows no conditions says what it is.
            Ok(now) if strong_tag(now.headers()).as_ref() == Some(&tag) => Ok(Came::All),
            Ok(_) | Err(PeerError::Call(CallError::Status { status: 416, .. })) => Ok(Came::Mixed),
            Err(error) => Err(error),
        }
    }

    fn file_changed(&self, cause: String) -> PeerError {
        PeerError::FileChanged { peer: self.address().clone(), cause }
    }
}

fn size_changed(listed: u64, now: impl std::fmt::Display) -> String {
    format!("it was listed with {listed} bytes, and {now} came")
}

/// The headers that ask for the rest of a file; none where nothing came yet. Without a strong validator the range stands
/// alone: a date or a weak validator would promise what it cannot hold.
fn rest_of(bytes: u64, tag: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // Digits are a header's value.
    if bytes > 0
        && let Ok(range) = HeaderValue::try_from(format!("bytes={bytes}-"))
    {
        headers.insert(RANGE, range);
        headers.extend(tag.map(|tag| (IF_RANGE, tag.clone())));
    }
    headers
}

/// An `ETag` that changes with every byte; a weak one may stay.
fn strong_tag(headers: &HeaderMap) -> Option<HeaderValue> {
    let tag = headers.get(ETAG)?;
    let quoted = |text: &[u8]| text.len() >= 2 && text.starts_with(b"\"") && text.ends_with(b"\"");
    quoted(tag.as_bytes()).then(|| tag.clone())
}

/// What the bytes of an answer are.
#[derive(Debug, PartialEq, Eq)]
enum Follows {
    /// The rest of what came so far.
    Rest,
    /// The file from its first byte on, and its validator.
    Beginning(Option<HeaderValue>),
    /// A part of something else.
    Neither,
    /// A file of another size than was listed.
    OtherSize(String),
}

/// What an answer of this head brings, asked for the rest of what was fetched. Pure.
fn follows(status: StatusCode, headers: &HeaderMap, fetched: &Fetched, size: u64) -> Follows {
    if status == StatusCode::PARTIAL_CONTENT {
        let expected = format!("bytes {}-{}/{size}", fetched.bytes, size.saturating_sub(1));
        let same_range = headers.get(CONTENT_RANGE).is_some_and(|found| found == expected.as_str());
        return match fetched.bytes > 0 && same_range && strong_tag(headers) == fetched.tag {
            true => Follows::Rest,
            false => Follows::Neither,
        };
    }
    match headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()) {
        Some(length) if length != size.to_string() => Follows::OtherSize(length.to_owned()),
        _ => Follows::Beginning(strong_tag(headers)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(bytes: u64, tag: Option<&'static str>) -> Fetched {
        let tag = tag.map(HeaderValue::from_static);
        Fetched { bytes, tag, ..Fetched::nothing(DigestAlgorithm::Md5) }
    }

    fn after(status: u16, headers: &[(&'static str, &'static str)], fetched: &Fetched) -> Follows {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        follows(StatusCode::from_u16(status).unwrap(), &headers.collect(), fetched, 100)
    }

    #[test]
    fn only_the_rest_of_the_same_state_is_the_rest() {
        let half = fetched(50, Some("\"a\""));
        let range = ("content-range", "bytes 50-99/100");
        assert_eq!(after(206, &[range, ("etag", "\"a\"")], &half), Follows::Rest);
        for other in [
            &[range, ("etag", "\"b\"")][..],
            &[range, ("etag", "W/\"a\"")],
            &[range],
            &[("etag", "\"a\"")],
            &[("content-range", "bytes 0-99/100"), ("etag", "\"a\"")],
            &[("content-range", "bytes 50-100/101"), ("etag", "\"a\"")],
            &[("content-range", "bytes 50-99/*"), ("etag", "\"a\"")],
        ] {
            assert_eq!(after(206, other, &half), Follows::Neither, "{other:?}");
        }
        // A source that names no validator: its listing decides in the end.
        assert_eq!(after(206, &[range], &fetched(50, None)), Follows::Rest);
        assert_eq!(after(206, &[range, ("etag", "\"a\"")], &fetched(50, None)), Follows::Neither);
        let whole = ("content-range", "bytes 0-99/100");
        assert_eq!(after(206, &[whole], &fetched(0, None)), Follows::Neither, "nobody asked for a part");
    }

    #[test]
    fn the_whole_file_begins_again_with_its_own_validator() {
        let half = fetched(50, Some("\"a\""));
        let tag = |tag| Follows::Beginning(Some(HeaderValue::from_static(tag)));
        assert_eq!(after(200, &[("content-length", "100"), ("etag", "\"b\"")], &half), tag("\"b\""));
        assert_eq!(after(200, &[("etag", "\"a\"")], &half), tag("\"a\""));
        for weak in ["W/\"a\"", "a", "\""] {
            assert_eq!(after(200, &[("etag", weak)], &half), Follows::Beginning(None), "{weak}");
        }
        assert_eq!(after(200, &[("content-length", "99")], &half), Follows::OtherSize("99".to_owned()));
    }

    #[test]
    fn a_continued_request_names_the_state_it_continues() {
        let tag = HeaderValue::from_static("\"a\"");
        assert!(rest_of(0, Some(&tag)).is_empty());
        let headers = rest_of(7, Some(&tag));
        assert_eq!((&headers[RANGE], &headers[IF_RANGE]), (&HeaderValue::from_static("bytes=7-"), &tag));
        let headers = rest_of(7, None);
        assert_eq!((headers.len(), &headers[RANGE]), (1, &HeaderValue::from_static("bytes=7-")));
    }
}
