//! What clients once could do to a service's memory, slots and connections. Used by the tests and by the benchmark
//! `under_attack`.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// An address of this machine that is not the one the services call each other from.
pub const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// How long a client holds what it got before it begins again, unless the service ends it.
const HOLDS: Duration = Duration::from_secs(5);

/// What is attacked. The services know themselves as `127.0.0.1` with their ports.
#[derive(Clone)]
pub struct Targets {
    pub source: u16,
    pub destination: u16,
    /// A manifest that the source keeps, as a text.
    pub manifest: String,
    /// A finished task of the destination, with many differences.
    pub task: String,
    /// A large file of the source, behind `files/`.
    pub file: String,
}

/// What so many clients do at once.
pub struct Attack {
    /// In a few words.
    pub name: &'static str,
    clients: usize,
    ports: Vec<u16>,
    request: Request,
}

impl Attack {
    /// Each port is attacked by so many clients, until the set is dropped.
    pub fn begin(&self, attackers: &mut JoinSet<()>) {
        for port in self.ports.iter().flat_map(|port| std::iter::repeat_n(*port, self.clients)) {
            attackers.spawn(again_and_again(port, self.request.clone()));
        }
    }
}

/// Every attack by itself.
pub fn attacks(targets: &Targets) -> Vec<Attack> {
    let Targets { source, destination, manifest, task, file } = targets.clone();
    let unknown = "manifests/00000000-0000-4000-8000-000000000000/branches".to_owned();
    let resume = format!(r#"{{"lowestVersion":3,"highestVersion":3,"maxConcurrency":4,"resume":"{manifest}"}}"#);
    let (to_source, to_destination, both) = (vec![source], vec![destination], vec![source, destination]);
    let attack = |name, clients, ports: &Vec<u16>, request| Attack { name, clients, ports: ports.clone(), request };
    vec![
        attack("64 MiB for no manifest, 30 clients", 30, &to_source, Request::sending(unknown, 64 << 20)),
        attack(
            "22 MiB of branches, 10 clients",
            10,
            &to_source,
            Request::sending(format!("manifests/{manifest}/branches"), 22 << 20),
        ),
        attack(
            "unread manifest streams, 40 clients",
            40,
            &to_source,
            Request { body: resume.into_bytes(), ..Request::sending("manifests".to_owned(), 0) },
        ),
        attack("unread files, 20 clients", 20, &to_source, Request::unread(format!("files/{file}"))),
        attack(
            "unread reports, 200 clients",
            200,
            &to_destination,
            Request::unread(format!("files-verification-tasks/{task}/report")),
        ),
        attack(
            "heads of a byte a second, 2 x 100 clients",
            100,
            &both,
            Request { slowly: true, ..Request::unread("files".to_owned()) },
        ),
        attack("silent connections, 2 x 1,100 clients", 1100, &both, Request::default()),
    ]
}

/// All of them at once, until the set is dropped.
pub fn all(targets: &Targets) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    attacks(targets).iter().for_each(|attack| attack.begin(&mut attackers));
    attackers
}

/// What a client sends; the default sends nothing at all.
#[derive(Clone, Default)]
struct Request {
    method: &'static str,
    path: String,
    body: Vec<u8>,
    /// So many zeros behind the body, of which the last is never sent.
    zeros: usize,
    /// The head is sent byte by byte, one a second.
    slowly: bool,
}

impl Request {
    fn sending(path: String, zeros: usize) -> Self {
        Self { method: "POST", path, zeros, ..Self::default() }
    }

    fn unread(path: String) -> Self {
        Self { method: "GET", path, ..Self::default() }
    }
}

async fn again_and_again(port: u16, request: Request) {
    loop {
        if let Ok(mut stream) = connect(port).await {
            let _ = tokio::time::timeout(HOLDS, hold(&mut stream, port, &request)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Sends, reads one byte of the answer, and waits.
async fn hold(stream: &mut TcpStream, port: u16, request: &Request) -> std::io::Result<()> {
    if !request.method.is_empty() {
        let length = request.body.len() + request.zeros;
        let (method, path) = (request.method, &request.path);
        let head = format!(
            "{method} /api/v1/live-migration/{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {length}\r\n\r\n"
        );
        let begin = [head.as_bytes(), &request.body].concat();
        for piece in begin.chunks(if request.slowly { 1 } else { begin.len() }) {
            stream.write_all(piece).await?;
            if request.slowly {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        let zeros = vec![0; 64 << 10];
        let mut left = request.zeros.saturating_sub(1);
        while left > 0 {
            let piece = left.min(zeros.len());
            stream.write_all(&zeros[..piece]).await?;
            left -= piece;
        }
    }
    stream.read_exact(&mut [0]).await?;
    std::future::pending().await
}

async fn connect(port: u16) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    socket.bind((ELSEWHERE, 0).into())?;
    socket.connect((Ipv4Addr::LOCALHOST, port).into()).await
}
