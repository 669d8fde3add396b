//! Clients that take and do not give: they ask and do not read, or announce and do not send.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// An address of this machine that is not the one the services call each other from.
pub const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A connection from `from` to a service here, with so small a buffer that an answer soon waits to be read.
pub async fn connect(from: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    socket.bind((from, 0).into())?;
    socket.connect((Ipv4Addr::LOCALHOST, port).into()).await
}

/// Sends a request and reads no more than the head of the answer; the connection, and the head.
pub async fn ask(from: Ipv4Addr, port: u16, head: &str, body: &[u8]) -> (TcpStream, String) {
    let mut stream = connect(from, port).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // A service that refuses may close before it has all.
    let _ = stream.write_all(body).await;
    let answer = read_head(&mut stream).await;
    (stream, answer)
}

/// The head of an answer; what came where the connection ends before.
pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// The head of a request to the instance that a [`crate::support::services::Pair`] knows at this port.
pub fn head(method: &str, path: &str, port: u16, length: usize) -> String {
    let path = format!("/api/v1/live-migration/{path}");
    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {length}\r\n\r\n")
}
