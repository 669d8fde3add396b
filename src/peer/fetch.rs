//! A file's digest from its bytes, where the source cannot give it: a stock source ends every request after some minutes,
//! and a large file is not hashed by then. Its bytes come in pieces, each as long as a request may last.

use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};

use super::client::Peer;
use super::error::PeerError;
use super::file_request::FileRequest;
use crate::model::{ContentDigest, DigestAlgorithm};
use crate::net::CallError;
use crate::scan::StreamDigest;

/// How much of a file has come.
struct Fetched {
    digest: StreamDigest,
    bytes: u64,
}

impl Peer {
    /// Fetches the `size` bytes of a file and hashes them here. What has come is kept when a connection breaks,
    /// and the rest asked for.
    pub(super) async fn digest_of_bytes(
        &self,
        request: &FileRequest,
        size: u64,
        algorithm: DigestAlgorithm,
    ) -> Result<ContentDigest, PeerError> {
        let mut fetched = Fetched { digest: StreamDigest::begin(algorithm), bytes: 0 };
        let mut retries = self.retries();
        loop {
            let error = match self.fetch_on(request, size, algorithm, &mut fetched).await {
                Ok(()) => return Ok(fetched.digest.finish()),
                Err(error) => error,
            };
            retries.delivered(fetched.bytes);
            tokio::time::sleep(retries.after(error)?).await;
        }
    }

    /// Fetches from where the last answer broke off. An error leaves `fetched` as far as it came.
    async fn fetch_on(
        &self,
        request: &FileRequest,
        size: u64,
        algorithm: DigestAlgorithm,
        fetched: &mut Fetched,
    ) -> Result<(), PeerError> {
        if fetched.bytes == size && size > 0 {
            return Ok(());
        }
        let mut headers = request.headers();
        // Digits are a header's value.
        if fetched.bytes > 0
            && let Ok(range) = HeaderValue::try_from(format!("bytes={}-", fetched.bytes))
        {
            headers.insert(RANGE, range);
        }
        let mut response = self.get_patiently(request.bytes().clone(), headers).await?;
        if response.status() == StatusCode::PARTIAL_CONTENT {
            let expected = format!("bytes {}-{}/{size}", fetched.bytes, size.saturating_sub(1));
            if fetched.bytes == 0
                || response.headers().get(CONTENT_RANGE).is_none_or(|found| found != expected.as_str())
            {
                return Err(self.broken("another range of the file came than was asked for"));
            }
        } else {
            // All of it, asked for or not.
            *fetched = Fetched { digest: StreamDigest::begin(algorithm), bytes: 0 };
        }
        loop {
            match tokio::time::timeout(self.idle_timeout, response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    fetched.bytes += chunk.len() as u64;
                    if fetched.bytes > size {
                        return Err(self.broken("more bytes of the file came than it was listed with"));
                    }
                    fetched.digest.update(&chunk);
                }
                Ok(Ok(None)) if fetched.bytes == size => return Ok(()),
                Ok(Ok(None)) => return Err(self.interrupted("the file stopped before its end")),
                Ok(Err(error)) => return Err(CallError::broken_off(self.address(), &error).into()),
                Err(_) => return Err(self.interrupted("nothing came within the idle time-out")),
            }
        }
    }
}
