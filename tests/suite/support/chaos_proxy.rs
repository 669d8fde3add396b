//! A TCP proxy between destination and source that cuts, holds and restores connections where a test says so.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to connections.
#[derive(Debug, Clone, Copy)]
pub enum Mode {
    /// Bytes go both ways, to this port.
    Forward(u16),
    /// After so many more bytes of responses all connections are cut.
    CutAfter { bytes: usize, to: u16, then: Then },
    /// Connections are closed as soon as they are made.
    Refuse,
}

/// What comes after a cut.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    Forward(u16),
    Refuse,
}

pub struct ChaosProxy {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    mode: Mutex<Mode>,
    /// Changes with every cut.
    cuts: watch::Sender<u32>,
    /// The bytes of all requests, one text for each connection.
    requests: Mutex<Vec<Vec<u8>>>,
}

impl ChaosProxy {
    /// Listens on a free port and refuses everything until told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, cuts, requests) = (Mutex::new(Mode::Refuse), watch::Sender::new(0), Mutex::default());
        let shared = Arc::new(Shared { mode, cuts, requests });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&serving)));
            }
        });
        Self { port, shared }
    }

    pub fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    /// How often connections were cut.
    pub fn cuts(&self) -> u32 {
        *self.shared.cuts.borrow()
    }

    /// The request lines that crossed the wire, as they stood there, sorted.
    pub fn request_lines(&self) -> Vec<String> {
        let line = regex::bytes::Regex::new("(?-u)(GET|POST|DELETE) [^\r\n]* HTTP/1.1\r\n").unwrap();
        let requests = self.shared.requests.lock().unwrap();
        let lines = requests.iter().flat_map(|bytes| line.find_iter(bytes));
        let mut lines: Vec<String> = lines.map(|line| String::from_utf8(line.as_bytes().into()).unwrap()).collect();
        lines.iter_mut().for_each(|line| line.truncate(line.len() - 2));
        lines.sort();
        lines
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let mut cut = shared.cuts.subscribe();
    let to = match *shared.mode.lock().unwrap() {
        Mode::Forward(to) | Mode::CutAfter { to, .. } => to,
        Mode::Refuse => return,
    };
    let Ok(source) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    let ((from_client, to_client), (from_source, to_source)) = (client.into_split(), source.into_split());
    tokio::select! {
        () = requests(from_client, to_source, &shared) => {}
        () = responses(from_source, to_client, &shared) => {}
        _ = cut.changed() => {}
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) {
    let connection = {
        let mut requests = shared.requests.lock().unwrap();
        requests.push(Vec::new());
        requests.len() - 1
    };
    let mut buffer = vec![0; 4096];
    while let Ok(got @ 1..) = from.read(&mut buffer).await {
        shared.requests.lock().unwrap()[connection].extend_from_slice(&buffer[..got]);
        if to.write_all(&buffer[..got]).await.is_err() {
            return;
        }
    }
}

async fn responses(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) {
    let mut buffer = vec![0; 4096];
    while let Ok(got @ 1..) = from.read(&mut buffer).await {
        let (pass, cut) = shared.budget(got);
        if to.write_all(&buffer[..pass]).await.is_err() {
            return;
        }
        if cut {
            shared.cuts.send_modify(|cuts| *cuts += 1);
            return;
        }
    }
}

impl Shared {
    /// How many of these bytes may pass, and whether the cut comes after them.
    fn budget(&self, got: usize) -> (usize, bool) {
        let mut mode = self.mode.lock().unwrap();
        match &mut *mode {
            Mode::CutAfter { bytes, then, .. } if *bytes <= got => {
                let pass = *bytes;
                *mode = match *then {
                    Then::Forward(to) => Mode::Forward(to),
                    Then::Refuse => Mode::Refuse,
                };
                (pass, true)
            }
            Mode::CutAfter { bytes, .. } => {
                *bytes -= got;
                (got, false)
            }
            Mode::Forward(_) | Mode::Refuse => (got, false),
        }
    }
}
