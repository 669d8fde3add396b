//! The accept loop: takes connections and speaks HTTP/1.1 on each of them until the service stops.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::busy_body::BusyBody;
use super::connections::{Connection, Connections};
use super::lobby::Lobby;
use super::patience::Patient;
use crate::work::Client;

/// How long the loop waits before it tries again where the system has no descriptor or memory for a connection.
const REST: Duration = Duration::from_secs(1);

/// The least time between two connections that are let in while all are in use.
const PACE: Duration = Duration::from_millis(1);

/// The same where it only takes the place of another one of a client with as many: nobody is served better, and who is cut comes back.
const SLOW_PACE: Duration = Duration::from_millis(5);

/// How many may wait to be let in: not longer than a second or two at the slower pace.
const WAITING: usize = 256;

/// How long the system's queue is left alone where there is no room to wait: who is turned away comes back.
const FULL_REST: Duration = Duration::from_millis(20);

/// How many connections are taken from the system's queue at once.
const AT_ONCE: usize = 64;

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
    let mut lobby = Lobby::new(connections.limit().min(WAITING));
    let (mut last, mut rests_until) = (Instant::now(), Instant::now());
    loop {
        let let_in = |(client, stream): (Client, TcpStream), conversations: &mut JoinSet<()>| {
            let connection = connections.admit(client);
            conversations.spawn(converse(stream, connection, router.clone(), manners, stopping.clone()));
        };
        // As long as there is room nobody waits.
        while !connections.all_in_use()
            && let Some(first) = lobby.leave_first()
        {
            let_in(first, &mut conversations);
        }
        let turn = last + pace(&lobby, &connections);
        tokio::select! {
            () = stopping.cancelled() => break,
            // Those that ended make room.
            Some(_) = conversations.join_next() => {}
            accepted = accept(&socket, rests_until) => {
                let rest = take_in(&socket, accepted, &connections, &mut lobby);
                rests_until = Instant::now() + rest;
            }
            () = tokio::time::sleep_until(turn), if !lobby.is_empty() => {
                last = Instant::now();
                let next = std::iter::from_fn(|| lobby.leave(|client| connections.of(client)));
                next.filter(|(_, stream)| is_there(stream)).take(1).for_each(|next| let_in(next, &mut conversations));
            }
        }
    }
    drop((socket, lobby));
    while conversations.join_next().await.is_some() {}
}

/// The next connection of the system's queue, not before `from`.
async fn accept(socket: &TcpListener, from: Instant) -> io::Result<(TcpStream, SocketAddr)> {
    if from > Instant::now() {
        tokio::time::sleep_until(from).await;
    }
    socket.accept().await
}

/// Takes what waits in the system's queue, where a client that is owed a connection may stand behind all others. How long to rest
/// before the next time.
fn take_in(
    socket: &TcpListener,
    first: io::Result<(TcpStream, SocketAddr)>,
    connections: &Connections,
    lobby: &mut Lobby<Client, TcpStream>,
) -> Duration {
    let (mut next, mut left, mut turned_away) = (Some(first), AT_ONCE, false);
    while let Some(accepted) = next {
        match accepted {
            Ok((stream, address)) => {
                let client = Client::at(address.ip());
                connections.came(client, lobby.len());
                turned_away |= lobby.enter(client, stream).is_some();
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken for now");
                return REST;
            }
        }
        left -= 1;
        next = if left > 0 { socket.accept().now_or_never() } else { None };
    }
    if turned_away { FULL_REST } else { Duration::ZERO }
}

/// Whether the client has not closed the connection while it waited.
fn is_there(stream: &TcpStream) -> bool {
    use rustix::net::{RecvFlags, recv};
    match recv(stream, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, length)) => length > 0,
        Err(errno) => matches!(errno, rustix::io::Errno::AGAIN | rustix::io::Errno::INTR),
    }
}

/// How long the next one that waits has to wait after the one before it.
fn pace(lobby: &Lobby<Client, TcpStream>, connections: &Connections) -> Duration {
    let is_owed = |client| connections.of(client) + 2 <= connections.most();
    let owed = lobby.next(|client| connections.of(client)).is_some_and(is_owed);
    if owed { PACE } else { SLOW_PACE }
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

/// The client went away before its connection was taken; the next one is not concerned.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::routes;
    use crate::server::routes::check_request;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpSocket;

    struct Service {
        address: SocketAddr,
        connections: Connections,
        stopping: CancellationToken,
        server: tokio::task::JoinHandle<()>,
        /// How many bytes were made of answers without end.
        made: Arc<AtomicUsize>,
    }

    /// A service of few routes: one that answers, one that never does, one that has more to say than anybody takes.
    async fn service(limit: usize, manners: Manners) -> Service {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let made: Arc<AtomicUsize> = Arc::default();
        let counted = Arc::clone(&made);
        let endless = move || {
            let counted = Arc::clone(&counted);
            futures_util::stream::repeat_with(move || {
                counted.fetch_add(64 << 10, Relaxed);
                Ok::<_, io::Error>(vec![7; 64 << 10])
            })
        };
        let router = Router::new()
            .route("/", get(async || [("retry-after", "5")]))
            .route(routes::HEALTH, get(async || "well"))
            .route("/never", get(std::future::pending::<()>))
            .route("/endless", get(async move || axum::body::Body::from_stream(endless())))
            .layer(from_fn(check_request));
        let (stopping, connections) = (CancellationToken::new(), Connections::new(limit));
        let server = tokio::spawn(serve(socket, router, connections.clone(), manners, stopping.clone()));
        Service { address, connections, stopping, server, made }
    }

    async fn ordinary() -> (Service, TcpStream) {
        let service = service(9, Manners::default()).await;
        let stream = TcpStream::connect(service.address).await.unwrap();
        (service, stream)
    }

    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    /// Asks for a path from an address of this machine.
    async fn ask(service: &Service, from: Ipv4Addr, path: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let mut stream = socket.connect(service.address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        stream
    }

    /// What the service says first.
    async fn said(stream: &mut TcpStream) -> String {
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap_or_default();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    #[tokio::test]
    async fn a_head_that_never_ends_ends_the_connection() {
        let manners = Manners { head_timeout: Duration::from_millis(50), ..Manners::default() };
        let service = service(9, manners).await;
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_that_is_silent_between_two_requests_ends() {
        let manners = Manners { head_timeout: Duration::from_millis(50), ..Manners::default() };
        let service = service(9, manners).await;
        let mut stream = ask(&service, Ipv4Addr::LOCALHOST, "/").await;
        assert!(said(&mut stream).await.starts_with("HTTP/1.1 200 "));
        assert_eq!((rest(&mut stream).await, service.connections.open()), (String::new(), 0));
    }

    /// Eighty came before it and wait.
    #[tokio::test]
    async fn who_has_no_connection_is_let_in_before_a_flood() {
        let service = service(100, Manners::default()).await;
        let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
        let connect = async |from: Ipv4Addr| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind((from, 0).into()).unwrap();
            socket.connect(service.address).await.unwrap()
        };
        let mut flood = Vec::new();
        for _ in 0..180 {
            flood.push(connect(elsewhere).await);
        }
        let answer = said(&mut ask(&service, Ipv4Addr::LOCALHOST, "/").await).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        // Those that were let in and made room for the next one.
        let ended = flood.iter().filter(|stream| matches!(stream.try_read(&mut [0]), Ok(0))).count();
        assert!(ended < 40, "{ended} others were let in before");
    }

    #[tokio::test]
    async fn a_head_beyond_the_limit_is_refused() {
        let head = |length| format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(length));
        let (_service, mut stream) = ordinary().await;
        stream.write_all(head(BUFFER_BYTES - 1000).as_bytes()).await.unwrap();
        assert!(said(&mut stream).await.starts_with("HTTP/1.1 200 "));
        let _ = stream.write_all(head(BUFFER_BYTES).as_bytes()).await;
        // The refusal is lost where the system resets the connection, since some of the head was not read.
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_takes_requests_until_the_service_stops() {
        let (Service { stopping, server, .. }, mut stream) = ordinary().await;
        for _ in 0..2 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let answer = said(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\nRetry-After: 5\r\n"), "{answer}");
        }
        stopping.cancel();
        assert_eq!(rest(&mut stream).await, "");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn dropping_the_loop_cuts_what_never_ends() {
        let (Service { server, .. }, mut stream) = ordinary().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_ne!(said(&mut stream).await, "", "the connection is taken");
        stream.write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        server.abort();
        assert_eq!(rest(&mut stream).await, "");
    }

    #[tokio::test]
    async fn an_answer_that_nobody_takes_ends_its_connection() {
        let manners = Manners { patience: Duration::from_millis(50), ..Manners::default() };
        let service = service(9, manners).await;
        let _unread = ask(&service, Ipv4Addr::LOCALHOST, "/endless").await;
        while service.connections.open() == 0 {
            tokio::task::yield_now().await;
        }
        while service.connections.open() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The system's own buffer would grow to several megabytes.
    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn no_more_of_an_answer_is_made_than_can_soon_be_sent() {
        let service = service(9, Manners::default()).await;
        let mut slow = ask(&service, Ipv4Addr::LOCALHOST, "/endless").await;
        let made = || service.made.load(Relaxed);
        let mut before = usize::MAX;
        // A client that reads makes the buffer grow.
        slow.read_exact(&mut vec![0; 64 << 20]).await.unwrap();
        while made() != before {
            before = made();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let in_flight = socket2::SockRef::from(&slow).recv_buffer_size().unwrap();
        let ahead = before - (64 << 20);
        assert!(ahead < in_flight + (2 << 20), "{ahead} bytes, of which {in_flight} may be under way");
    }

    #[tokio::test]
    async fn where_every_connection_is_busy_health_is_answered_and_nothing_else() {
        let service = service(4, Manners::default()).await;
        let mut busy = Vec::new();
        for _ in 0..4 {
            let mut stream = ask(&service, Ipv4Addr::LOCALHOST, "/endless").await;
            assert!(said(&mut stream).await.starts_with("HTTP/1.1 200 "));
            busy.push(stream);
        }
        let refused = rest(&mut ask(&service, Ipv4Addr::LOCALHOST, "/").await).await;
        assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\r\nRetry-After: 5\r\n"), "{refused}");
        // Silent ones do not use up the reserve.
        let mut silent = Vec::new();
        for _ in 0..50 {
            silent.push(TcpStream::connect(service.address).await.unwrap());
            let answer = rest(&mut ask(&service, Ipv4Addr::LOCALHOST, routes::HEALTH).await).await;
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("well"), "{answer}");
        }
        // Another client is owed a connection, and keeps it.
        let mut other = ask(&service, Ipv4Addr::new(127, 0, 0, 2), "/").await;
        for _ in 0..2 {
            assert!(said(&mut other).await.starts_with("HTTP/1.1 200 "));
            other.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        }
        assert!(service.connections.surplus() > 100);
    }
}
