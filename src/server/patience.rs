//! A connection that ends where its client stops taking what is sent to it.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How much a client must take for its time to begin again, in bytes: one that takes a byte now and then is not reading.
const LEAST: usize = 64 << 10;

/// A stream whose writes may wait for so long, all in all, until the client has taken everything, or at least [`LEAST`] bytes.
/// Time in which there is nothing to send does not count.
pub(super) struct Patient<S> {
    inner: S,
    patience: Duration,
    /// How long writes have waited already.
    waited: Duration,
    /// What was taken since, in bytes.
    taken: usize,
    /// Since when the write under way waits, and the end of the client's time.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Patient<S> {
    pub(super) fn new(inner: S, patience: Duration) -> Self {
        Self { inner, patience, waited: Duration::ZERO, taken: 0, waiting: None }
    }

    fn took(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        self.taken += bytes;
        if self.taken >= LEAST {
            self.begin_again();
        }
    }

    fn begin_again(&mut self) {
        (self.waited, self.taken, self.waiting) = (Duration::ZERO, 0, None);
    }

    fn written(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.took(*written.as_ref().unwrap_or(&0));
            return Poll::Ready(written);
        }
        let left = self.patience.saturating_sub(self.waited);
        let (_, end) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
        ready!(end.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take its answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.get_mut().inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = pin!(&mut this.inner).poll_write(cx, bytes);
        this.written(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = pin!(&mut this.inner).poll_write_vectored(cx, pieces);
        this.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Called once everything was written.
        this.begin_again();
        pin!(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// The clock stands still but where everything waits for it.
    async fn writes(takes: usize, every: Duration) -> io::Result<()> {
        let (stream, mut client) = tokio::io::duplex(1024);
        let mut patient = Patient::new(stream, PATIENCE);
        let reading = tokio::spawn(async move {
            let mut buffer = vec![0; takes];
            loop {
                tokio::time::sleep(every).await;
                if takes > 0 && client.read_exact(&mut buffer).await.is_err() {
                    return;
                }
            }
        });
        let written = patient.write_all(&vec![7; 1 << 20]).await;
        drop(patient);
        reading.abort();
        written
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_or_next_to_nothing_is_given_up() {
        for (takes, every) in [(0, 1), (1, 1), (1024, 1)] {
            let error = writes(takes, Duration::from_secs(every)).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{takes} bytes each {every} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_that_reads_gets_all_of_it() {
        writes(64 << 10, Duration::from_secs(20)).await.unwrap();
        writes(1024, Duration::from_millis(200)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_anything_to_send_does_not_count() {
        let (stream, mut client) = tokio::io::duplex(16);
        let mut patient = Patient::new(stream, PATIENCE);
        for _ in 0..20 {
            let (written, read) = tokio::join!(
                async {
                    patient.write_all(&[1; 24]).await?;
                    patient.flush().await
                },
                async {
                    tokio::time::sleep(Duration::from_secs(10)).await;
                    client.read_exact(&mut [0; 24]).await
                }
            );
            written.unwrap();
            read.unwrap();
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
    }
}
