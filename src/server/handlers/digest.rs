//! The digest of a file, however long it takes to read.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use tokio_util::sync::CancellationToken;

use crate::protocol::DigestBody;
use crate::server::error::ApiError;
use crate::source::ServeError;

/// Answers with the digest that `work` comes to. Where it takes longer than `silence`, the head goes out before it, and then
/// white space as often: a client's read time-out counts from byte to byte.
///
/// Once the head is out, no status can tell of a failure. The body then breaks off, and no client takes it for an answer.
pub(super) async fn answer(
    work: impl Future<Output = Result<DigestBody, ServeError>> + Send + 'static,
    silence: Duration,
    stopping: CancellationToken,
) -> Result<Response, ApiError> {
    let mut work = Box::pin(work);
    match tokio::time::timeout(silence, work.as_mut()).await {
        Ok(digest) => Ok(Json(digest?).into_response()),
        Err(_) => {
            let body = Body::from_stream(slow_body(work, silence, stopping));
            Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
        }
    }
}

fn slow_body(
    mut work: impl Future<Output = Result<DigestBody, ServeError>> + Unpin + Send + 'static,
    silence: Duration,
    stopping: CancellationToken,
) -> impl Stream<Item = Result<Bytes, ServeError>> {
    async_stream::try_stream! {
        let digest = loop {
            yield Bytes::from_static(b" ");
            let ended = tokio::select! {
                digest = &mut work => Some(digest),
                () = stopping.cancelled() => Some(Err(ServeError::Cancelled)),
                () = tokio::time::sleep(silence) => None,
            };
            match ended {
                Some(Ok(digest)) => break digest,
                Some(Err(error)) => {
                    tracing::warn!(%error, "a digest failed after its answer had begun");
                    Err(error)?;
                }
                None => {}
            }
        };
        // Our own values always serialise.
        yield serde_json::to_vec(&digest).map_err(|error| ServeError::Internal(error.to_string()))?.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::server::accept::{Manners, serve};
    use crate::server::app::App;
    use crate::server::connections::Connections;
    use crate::server::listen::Listener;
    use axum::Router;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;

    const SILENCE: Duration = Duration::from_millis(5);

    async fn ask(address: SocketAddr, host: &str, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Reads until the text holds `wanted`.
    async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
        let mut text = String::new();
        while !text.contains(wanted) {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "it ends after {text:?}");
            text.push(char::from(byte[0]));
        }
        text
    }

    /// A service of one answer, and what decides how that ends.
    async fn slow_service() -> (TcpStream, oneshot::Sender<Result<DigestBody, ServeError>>) {
        let (decide, decided) = oneshot::channel();
        let work = std::sync::Mutex::new(Some(decided));
        let handler = move || {
            let decided = work.lock().unwrap().take().unwrap();
            answer(async move { decided.await.unwrap() }, SILENCE, CancellationToken::new())
        };
        let handler = std::sync::Arc::new(handler);
        let router = Router::new().route("/", get(move || (handler)()));
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(serve(socket, router, Connections::new(9), Manners::default(), CancellationToken::new()));
        (ask(address, "x", "/").await, decide)
    }

    #[tokio::test]
    async fn white_space_is_sent_until_the_digest_is_there() {
        let (mut stream, decide) = slow_service().await;
        let begun = read_until(&mut stream, "1\r\n \r\n1\r\n \r\n1\r\n \r\n").await;
        assert!(begun.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"), "{begun}");
        let digest = DigestBody { digest: "2cc5d05".to_owned(), digest_algorithm: "XXHash32".to_owned() };
        assert!(decide.send(Ok(digest)).is_ok());
        let rest = read_until(&mut stream, "0\r\n\r\n").await;
        let json = r#"{"digest":"2cc5d05","digestAlgorithm":"XXHash32"}"#;
        let end = format!("{:X}\r\n{json}\r\n0\r\n\r\n", json.len());
        assert_eq!(rest.trim_start_matches("1\r\n \r\n").to_uppercase(), end.to_uppercase());
    }

    #[tokio::test]
    async fn a_failure_after_white_space_leaves_the_body_unfinished() {
        let (mut stream, decide) = slow_service().await;
        read_until(&mut stream, "1\r\n \r\n").await;
        assert!(decide.send(Err(ServeError::Unreadable("gone".to_owned()))).is_ok());
        let mut rest = String::new();
        let _ = stream.read_to_string(&mut rest).await;
        assert_eq!(rest.replace("1\r\n \r\n", ""), "", "neither a digest nor the last chunk");
    }

    #[tokio::test]
    async fn a_failure_before_has_its_status() {
        let work = async { Err(ServeError::Unreadable("gone".to_owned())) };
        let failed = answer(work, Duration::from_secs(3600), CancellationToken::new()).await;
        assert_eq!(failed.unwrap_err().into_response().status(), 500);
    }

    /// A real service over a file that takes hours.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_permit_is_held_until_the_read_has_stopped() {
        let trees = tempfile::tempdir().unwrap();
        std::fs::create_dir(trees.path().join("data")).unwrap();
        let endless = std::fs::File::create(trees.path().join("data/endless")).unwrap();
        endless.set_len(1 << 42).unwrap();
        std::fs::write(trees.path().join("data/small"), "").unwrap();
        let yaml = format!(
            "cassandra_instances: [{{id: 1, host: here, storage_dir: {:?}}}]\n\
             live_migration: {{migration_map: {{here: there}}, max_concurrent_file_requests: 1}}\n",
            trees.path()
        );
        let config = Config::parse(&yaml, std::path::Path::new("sidecar.yaml"), None).unwrap();
        let listener = Listener::bind("127.0.0.1", 0).await.unwrap();
        let address = listener.address();
        let running = listener.serve(App::with_silence(config, SILENCE).unwrap());
        let digest = |name: &str| {
            let path = format!("/api/v1/live-migration/files/data/0/{name}?digestAlgorithm=MD5");
            async move { ask(address, "here", &path).await }
        };
        let status = async || read_until(&mut digest("small").await, "\r\n").await;
        let mut slow = digest("endless").await;
        read_until(&mut slow, "1\r\n \r\n1\r\n \r\n").await;
        assert_eq!(status().await, "HTTP/1.1 503 Service Unavailable\r\n");
        drop(slow);
        // It comes back a moment after the answer that it was for has ended.
        let mut slow = None;
        for attempt in 0.. {
            let mut asked = digest("endless").await;
            if read_until(&mut asked, "\r\n").await == "HTTP/1.1 200 OK\r\n" {
                slow = Some(asked);
                break;
            }
            assert!(attempt < 1000, "the permit never came back");
            tokio::time::sleep(SILENCE).await;
        }
        let mut slow = slow.unwrap();
        read_until(&mut slow, "1\r\n \r\n").await;
        running.stop().await;
        let mut rest = String::new();
        let _ = slow.read_to_string(&mut rest).await;
        assert_eq!(rest.replace("1\r\n \r\n", ""), "", "a service that stops breaks the body off");
    }
}
