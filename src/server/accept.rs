//! The accept loop: takes connections and speaks HTTP/1.1 on each of them until the service stops.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::busy_body::BusyBody;
use super::connections::{Connection, Connections};
use super::entrance::Entrance;
use super::patience::Patient;

/// How long a client may take for the head of its request on a connection that is kept for health and metrics.
const RESERVED_HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest head of a request, and what is gathered before it is written, in bytes.
pub(super) const BUFFER_BYTES: usize = 32 << 10;

/// How much of an answer the system takes before it can be sent, in bytes. What is under way to a client does not count; a client that reads
/// nothing costs no more than this, and not the megabytes that a buffer may grow to.
#[cfg(target_os = "linux")]
const AHEAD_BYTES: u32 = 512 << 10;

/// What connections are held to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manners {
    /// How long a client may take to send the head of a request, or be silent between two requests.
    pub head_timeout: Duration,
    /// How long an answer may wait for its client to take it.
    pub patience: Duration,
    /// How long what was sent may stay unconfirmed by the client's system before the client counts as gone.
    pub gone_after: Duration,
}

impl Default for Manners {
    fn default() -> Self {
        let (minute, half) = (Duration::from_secs(60), Duration::from_secs(30));
        Self { head_timeout: minute, patience: half, gone_after: minute }
    }
}

/// In a request's extensions: it came over a connection that is kept for health and metrics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reserved;

/// Serves until `stopping` is cancelled, then takes no connection more and lets the answers under way end. Dropping the
/// future cuts all connections.
pub(super) async fn serve(
    socket: TcpListener,
    router: Router,
    connections: Connections,
    manners: Manners,
    stopping: CancellationToken,
) {
    let mut conversations = JoinSet::new();
    let mut entrance = Entrance::new(socket, connections);
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            // Those that ended make room.
            Some(_) = conversations.join_next() => {}
            (stream, connection) = entrance.next() => {
                conversations.spawn(converse(stream, connection, router.clone(), manners, stopping.clone()));
            }
        }
    }
    drop(entrance);
    while conversations.join_next().await.is_some() {}
}

/// One connection from its first request to its last. How it ends is the client's affair, and nobody's error.
async fn converse(
    stream: TcpStream,
    connection: Connection,
    router: Router,
    manners: Manners,
    stopping: CancellationToken,
) {
    set_options(&stream, manners);
    let cut = connection.cut.clone();
    let mut http = http1::Builder::new();
    // The Sidecar's client looks names of headers up as `Retry-After`, and finds no other spelling.
    http.title_case_headers(true).timer(TokioTimer::new()).max_buf_size(BUFFER_BYTES);
    match connection.reserved {
        false => http.header_read_timeout(manners.head_timeout),
        true => http.header_read_timeout(manners.head_timeout.min(RESERVED_HEAD_TIMEOUT)).keep_alive(false),
    };
    let router = TowerToHyperService::new(router);
    let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
        let under_way = connection.request();
        request.extensions_mut().insert(connection.client);
        request.extensions_mut().insert(connection.cut.clone());
        if connection.reserved {
            request.extensions_mut().insert(Reserved);
        }
        let answer = router.call(request);
        async move { Ok::<_, std::convert::Infallible>(answer.await?.map(|body| BusyBody { body, _request: under_way })) }
    });
    let stream = TokioIo::new(Patient::new(stream, manners.patience));
    let mut conversation = pin!(http.serve_connection(stream, answer));
    let ended = tokio::select! {
        ended = conversation.as_mut() => ended,
        () = cut.0.cancelled() => return,
        () = stopping.cancelled() => {
            conversation.as_mut().graceful_shutdown();
            conversation.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// A socket that refuses an option is only slower, or finds out later that its client is gone.
fn set_options(stream: &TcpStream, manners: Manners) {
    // Small frames must not wait for the acknowledgement of earlier ones.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    {
        let milliseconds = u32::try_from(manners.gone_after.as_millis()).unwrap_or(u32::MAX);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds);
        let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(AHEAD_BYTES);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = manners.gone_after;
}
