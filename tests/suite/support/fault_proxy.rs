//! A TCP proxy before a source that does one thing to the bytes that pass it, at one of them: it cuts, it stalls, or it lets five
//! of them through one by one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens at a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// All connections are cut before it.
    Cut,
    /// Neither it nor anything after it passes on its connection, which stays.
    Stall,
    /// It and the next four pass one in a second each.
    Trickle,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Requests,
    Responses,
}

/// A byte of all that go one way, over all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub way: Way,
    pub byte: usize,
}

#[derive(Clone)]
pub struct FaultProxy {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    /// Where the source listens.
    to: Mutex<u16>,
    /// How long a byte of five takes.
    second: Duration,
    plan: Mutex<Plan>,
    /// Changes with every cut.
    cuts: watch::Sender<u32>,
    reached: watch::Sender<bool>,
    /// Nothing happens at the byte, and nothing more passes on its connection, before this is false.
    holding: watch::Sender<bool>,
}

/// What is to happen, and how many bytes passed since that is known.
#[derive(Default)]
struct Plan {
    fault: Option<(Point, Fault)>,
    passed: [usize; 2],
}

/// What is done with bytes that came.
enum Pass {
    All,
    /// So many of them, and then this.
    Until(usize, Fault),
}

impl FaultProxy {
    /// Listens on a free port and passes everything on to `to`.
    pub async fn start(to: u16, second: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cuts, reached, holding) = (watch::Sender::new(0), watch::Sender::new(false), watch::Sender::new(false));
        let shared = Arc::new(Shared { to: Mutex::new(to), second, plan: Mutex::default(), cuts, reached, holding });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&serving)));
            }
        });
        Self { port, shared }
    }

    /// The source listens here from now on.
    pub fn lead_to(&self, to: u16) {
        *self.shared.to.lock().unwrap() = to;
    }

    /// From now on bytes are counted from zero, and this happens once; nothing for `None`. Where it is to `hold`, it happens only
    /// after [`Self::go_on`].
    pub fn plan(&self, fault: Option<(Point, Fault)>, hold: bool) {
        self.shared.reached.send_replace(false);
        self.shared.holding.send_replace(hold);
        *self.shared.plan.lock().unwrap() = Plan { fault, ..Plan::default() };
    }

    /// How many bytes passed either way, requests first.
    pub fn passed(&self) -> [usize; 2] {
        self.shared.plan.lock().unwrap().passed
    }

    /// Lets happen what is held.
    pub fn go_on(&self) {
        self.shared.holding.send_replace(false);
    }

    /// Whether the byte has come.
    pub fn is_reached(&self) -> bool {
        *self.shared.reached.borrow()
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let mut cut = shared.cuts.subscribe();
    let to = *shared.to.lock().unwrap();
    let Ok(source) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    // One byte is a packet.
    let _ = (client.set_nodelay(true), source.set_nodelay(true));
    let ((from_client, to_client), (from_source, to_source)) = (client.into_split(), source.into_split());
    tokio::select! {
        () = pass(Way::Requests, from_client, to_source, &shared) => {}
        () = pass(Way::Responses, from_source, to_client, &shared) => {}
        _ = cut.changed() => {}
    }
}

async fn pass(way: Way, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) {
    let mut buffer = vec![0; 4096];
    while let Ok(got @ 1..) = from.read(&mut buffer).await {
        let (until, fault) = match shared.next(way, got) {
            Pass::All => (got, None),
            Pass::Until(until, fault) => (until, Some(fault)),
        };
        if to.write_all(&buffer[..until]).await.is_err() {
            return;
        }
        if fault.is_some() {
            let _ = shared.holding.subscribe().wait_for(|holding| !holding).await;
        }
        match fault {
            None => {}
            Some(Fault::Cut) => return shared.cuts.send_modify(|cuts| *cuts += 1),
            // Whoever is at the other end hangs up in the end, and is noticed here.
            Some(Fault::Stall) => while let Ok(1..) = from.read(&mut buffer).await {},
            Some(Fault::Trickle) => {
                for (at, byte) in buffer[until..got].iter().enumerate() {
                    if at < 5 {
                        tokio::time::sleep(shared.second).await;
                    }
                    if to.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

impl Shared {
    fn next(&self, way: Way, got: usize) -> Pass {
        let mut plan = self.plan.lock().unwrap();
        let before = plan.passed[way as usize];
        plan.passed[way as usize] += got;
        match plan.fault {
            Some((point, fault)) if point.way == way && (before..before + got).contains(&point.byte) => {
                plan.fault = None;
                self.reached.send_replace(true);
                Pass::Until(point.byte - before, fault)
            }
            _ => Pass::All,
        }
    }
}
