//! Where connections come in: taken from the system's queue at once, and let in by turns where all are in use.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::connections::{Connection, Connections};
use super::lobby::Lobby;
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

/// A socket that is listened on, and who waits to be let in.
pub(super) struct Entrance {
    socket: TcpListener,
    connections: Connections,
    lobby: Lobby<Client, TcpStream>,
    /// When one that had waited was let in.
    last: Instant,
    /// The system's queue is left alone until then.
    rests_until: Instant,
}

impl Entrance {
    pub(super) fn new(socket: TcpListener, connections: Connections) -> Self {
        // While there is room, all that are taken at once go through it.
        let lobby = Lobby::new(connections.limit().clamp(AT_ONCE, WAITING));
        Self { socket, connections, lobby, last: Instant::now(), rests_until: Instant::now() }
    }

    /// The next connection that is let in. Dropping the future loses none.
    pub(super) async fn next(&mut self) -> (TcpStream, Connection) {
        loop {
            // As long as there is room nobody waits.
            if !self.connections.all_in_use()
                && let Some((client, stream)) = self.lobby.leave_first()
            {
                return (stream, self.connections.admit(client));
            }
            let turn = self.last + self.pace();
            tokio::select! {
                accepted = accept(&self.socket, self.rests_until) => self.take_in(accepted),
                () = tokio::time::sleep_until(turn), if !self.lobby.is_empty() => {
                    self.last = Instant::now();
                    if let Some((client, stream)) = self.whose_turn_it_is() {
                        return (stream, self.connections.admit(client));
                    }
                }
            }
        }
    }

    /// How long the next one that waits has to wait after the one before it.
    fn pace(&self) -> Duration {
        let (connections, lobby) = (&self.connections, &self.lobby);
        let is_owed = |client| connections.of(client) + 2 <= connections.most();
        let owed = lobby.next(|client| connections.of(client)).is_some_and(is_owed);
        if owed { PACE } else { SLOW_PACE }
    }

    /// Who has gone meanwhile does not have a turn.
    fn whose_turn_it_is(&mut self) -> Option<(Client, TcpStream)> {
        let connections = &self.connections;
        let mut next = std::iter::from_fn(|| self.lobby.leave(|client| connections.of(client)));
        next.find(|(_, stream)| is_there(stream))
    }

    /// Takes what waits in the system's queue, where a client that is owed a connection may stand behind all others.
    fn take_in(&mut self, first: io::Result<(TcpStream, SocketAddr)>) {
        let (mut next, mut left) = (Some(first), AT_ONCE);
        while let Some(accepted) = next {
            match accepted {
                Ok((stream, address)) => self.take(Client::at(address.ip()), stream),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be taken for now");
                    self.rests_until = Instant::now() + REST;
                    return;
                }
            }
            left -= 1;
            next = if left > 0 { self.socket.accept().now_or_never() } else { None };
        }
    }

    fn take(&mut self, client: Client, stream: TcpStream) {
        self.connections.came(client, self.lobby.len());
        if self.lobby.enter(client, stream).is_some() {
            self.rests_until = Instant::now() + FULL_REST;
        }
    }
}

/// The next connection of the system's queue, not before `from`.
async fn accept(socket: &TcpListener, from: Instant) -> io::Result<(TcpStream, SocketAddr)> {
    if from > Instant::now() {
        tokio::time::sleep_until(from).await;
    }
    socket.accept().await
}

/// Whether the client has not closed the connection while it waited.
fn is_there(stream: &TcpStream) -> bool {
    use rustix::net::{RecvFlags, recv};
    match recv(stream, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, length)) => length > 0,
        Err(errno) => matches!(errno, rustix::io::Errno::AGAIN | rustix::io::Errno::INTR),
    }
}

/// The client went away before its connection was taken; the next one is not concerned.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
