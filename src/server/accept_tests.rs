//! Connections over loopback, with a service of a few routes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

use super::accept::{BUFFER_BYTES, Manners, serve};
use super::connections::Connections;
use super::routes::check_request;
use crate::protocol::routes;

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

/// More than a small service has room for; each is answered, be it that it is busy.
#[tokio::test]
async fn those_that_come_at_once_are_all_answered() {
    let service = service(4, Manners::default()).await;
    // The service has no turn before all of them stand in the system's queue.
    let connect = |_| {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(service.address).unwrap();
        stream.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream.set_nonblocking(true).unwrap();
        TcpStream::from_std(stream).unwrap()
    };
    let all: Vec<TcpStream> = (0..10).map(connect).collect();
    // What is not read any more keeps its connection busy.
    let mut kept = Vec::new();
    for mut stream in all {
        let answer = said(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
        kept.push(stream);
    }
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
