//! A network with a round trip, between two ports of this machine: what arrives is held for half a round trip, in each
//! direction, and a new connection for a whole one. Nothing else is slower: bandwidth and windows are those of loopback.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Bytes read at a time.
const PIECE: usize = 64 << 10;

/// Pieces on their way in one direction at most.
const ON_THE_WAY: usize = 1024;

/// Forwards connections to its port as long as it lives.
pub struct Forwarder {
    pub port: u16,
    _runtime: tokio::runtime::Runtime,
}

impl Forwarder {
    /// Forwards to `target` with this round trip.
    pub fn start(target: u16, round_trip: Duration) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    tokio::time::sleep(round_trip).await;
                    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    let ((from_client, to_client), (from_server, to_server)) =
                        (client.into_split(), server.into_split());
                    tokio::spawn(hold(from_client, to_server, round_trip / 2));
                    tokio::spawn(hold(from_server, to_client, round_trip / 2));
                });
            }
        });
        Ok(Self { port, _runtime: runtime })
    }
}

async fn hold(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    tokio::spawn(async move {
        while let Some((due, piece)) = receiver.recv().await {
            tokio::time::sleep_until(due.into()).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; PIECE];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if sender.send((Instant::now() + delay, buffer[..read].to_vec())).await.is_err() {
            return;
        }
    }
}
