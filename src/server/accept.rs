//! The accept loop: takes connections and speaks HTTP/1.1 on each of them until the service stops.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long the loop waits before it tries again where the system has no descriptor or memory for a connection.
const REST: Duration = Duration::from_secs(1);

/// What connections are held to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manners {
    /// How long a client may take to send the head of a request, or be silent between two requests.
    pub head_timeout: Duration,
}

impl Default for Manners {
    fn default() -> Self {
        Self { head_timeout: Duration::from_secs(60) }
    }
}

/// Serves until `stopping` is cancelled, then takes no connection more and lets the answers under way end. Dropping the
/// future cuts all connections.
pub(super) async fn serve(socket: TcpListener, router: Router, manners: Manners, stopping: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            // Those that ended make room.
            Some(_) = connections.join_next() => {}
            accepted = socket.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, router.clone(), manners, stopping.clone()));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be taken for now");
                    tokio::time::sleep(REST).await;
                }
            },
        }
    }
    drop(socket);
    while connections.join_next().await.is_some() {}
}

/// One connection from its first request to its last. How it ends is the client's affair, and nobody's error.
async fn converse(stream: TcpStream, router: Router, manners: Manners, stopping: CancellationToken) {
    // Small frames must not wait for the acknowledgement of earlier ones. A socket that refuses is only slower.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    // The Sidecar's client looks names of headers up as `Retry-After`, and finds no other spelling.
    http.title_case_headers(true).timer(TokioTimer::new()).header_read_timeout(manners.head_timeout);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// The client went away before its connection was taken; the next one is not concerned.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    struct Service {
        stream: TcpStream,
        stopping: CancellationToken,
        server: tokio::task::JoinHandle<()>,
    }

    async fn service(head_timeout: Duration) -> Service {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(async || [("retry-after", "5")]))
            .route("/never", get(std::future::pending::<()>));
        let stopping = CancellationToken::new();
        let server = tokio::spawn(serve(socket, router, Manners { head_timeout }, stopping.clone()));
        Service { stream: TcpStream::connect(address).await.unwrap(), stopping, server }
    }

    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    #[tokio::test]
    async fn a_head_that_never_ends_ends_the_connection() {
        let Service { mut stream, .. } = service(Duration::from_millis(50)).await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_takes_requests_until_the_service_stops() {
        let Service { mut stream, stopping, server } = service(Duration::from_secs(60)).await;
        let mut answer = vec![0; 4096];
        for _ in 0..2 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let length = stream.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\nRetry-After: 5\r\n"), "{answer}");
        }
        stopping.cancel();
        assert_eq!(rest(&mut stream).await, "");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn dropping_the_loop_cuts_what_never_ends() {
        let Service { mut stream, server, .. } = service(Duration::from_secs(60)).await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0, "the connection is taken");
        stream.write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        server.abort();
        assert_eq!(rest(&mut stream).await, "");
    }
}
