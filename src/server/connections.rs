//! The connections of a service: how many there may be, and which one ends so that another can begin.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::connection_choice::{Place, Seen, place};
use crate::work::Client;

/// How many connections are taken beyond the limit, for health and metrics alone.
pub(super) const RESERVE: usize = 16;

/// The least time between two lines in the log that say that all connections are in use.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Cuts a connection. In the extensions of every request that came over it.
#[derive(Debug, Clone, Default)]
pub(super) struct Cut(pub(super) CancellationToken);

/// All connections of a service. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: HashMap<u64, Open>,
    /// How many each client has without the reserve, of those that have any.
    counts: HashMap<Client, usize>,
    /// How many there are without the reserve.
    ordinary: usize,
    surplus: u64,
    logged: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    client: Client,
    reserved: bool,
    /// When it was opened, or its last answer was sent; none while a request is answered.
    idle_since: Option<Instant>,
    cut: Cut,
}

impl Connections {
    /// At most so many at a time, and the reserve.
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Inner { limit, state: Mutex::default() }))
    }

    /// The most there may be, without the reserve.
    pub(super) fn limit(&self) -> usize {
        self.0.limit
    }

    /// How many there are, the reserve included.
    pub(super) fn open(&self) -> usize {
        self.0.state.lock().open.len()
    }

    /// How many came when all were in use.
    pub(super) fn surplus(&self) -> u64 {
        self.0.state.lock().surplus
    }

    /// Whether the next one makes another one end, or comes to the reserve.
    pub(super) fn all_in_use(&self) -> bool {
        self.0.state.lock().ordinary >= self.0.limit
    }

    /// How many this client has without the reserve.
    pub(super) fn of(&self, client: Client) -> usize {
        self.0.state.lock().counts.get(&client).copied().unwrap_or_default()
    }

    /// How many the client with the most has.
    pub(super) fn most(&self) -> usize {
        self.0.state.lock().counts.values().copied().max().unwrap_or_default()
    }

    /// Notes that a connection of `client` has come, before which others wait. Where there is no room for all it waits, too, and the log
    /// says so now and then.
    pub(super) fn came(&self, client: Client, waiting: usize) {
        let now = Instant::now();
        let mut state = self.0.state.lock();
        if state.ordinary + waiting < self.0.limit {
            return;
        }
        state.surplus += 1;
        if state.logged.is_none_or(|logged| now.duration_since(logged) >= LOG_INTERVAL) {
            state.logged = Some(now);
            tracing::warn!(limit = self.0.limit, %client, "all connections are in use; idle ones make room, and health and metrics are still answered");
        }
    }

    /// Takes a connection in. Another one may be cut for it.
    pub(super) fn admit(&self, client: Client) -> Connection {
        let now = Instant::now();
        let mut state = self.0.state.lock();
        let place = match state.ordinary < self.0.limit {
            true => Place::Ordinary(None),
            false => place(&state.seen(now), self.0.limit, RESERVE, client),
        };
        let (reserved, instead) = match place {
            Place::Ordinary(instead) => (false, instead),
            Place::Reserved(instead) => (true, instead),
        };
        if let Some(ended) = instead.and_then(|number| state.remove(number)) {
            ended.cut.0.cancel();
        }
        let (number, cut) = (state.next, Cut::default());
        state.next += 1;
        if !reserved {
            state.ordinary += 1;
            *state.counts.entry(client).or_default() += 1;
        }
        state.open.insert(number, Open { client, reserved, idle_since: Some(now), cut: cut.clone() });
        Connection { connections: self.clone(), number, client, reserved, cut }
    }

    fn set_idle(&self, number: u64, idle_since: Option<Instant>) {
        if let Some(open) = self.0.state.lock().open.get_mut(&number) {
            open.idle_since = idle_since;
        }
    }
}

impl State {
    fn remove(&mut self, number: u64) -> Option<Open> {
        let ended = self.open.remove(&number)?;
        if ended.reserved {
            return Some(ended);
        }
        self.ordinary -= 1;
        if let Entry::Occupied(mut count) = self.counts.entry(ended.client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        Some(ended)
    }

    fn seen(&self, now: Instant) -> Vec<Seen<Client, u64>> {
        self.open.iter().map(|(number, open)| open.seen(*number, now)).collect()
    }
}

impl Open {
    fn seen(&self, number: u64, now: Instant) -> Seen<Client, u64> {
        let idle = self.idle_since.map(|since| now.duration_since(since));
        Seen { number, client: self.client, reserved: self.reserved, idle }
    }
}

/// A connection that was taken in; forgotten when this is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    connections: Connections,
    number: u64,
    /// Who connected.
    pub(super) client: Client,
    /// It is for health and metrics alone.
    pub(super) reserved: bool,
    /// Cancelled where it makes room for another one.
    pub(super) cut: Cut,
}

impl Connection {
    /// Marks the connection as used until the guard is dropped.
    pub(super) fn request(&self) -> RequestUnderWay {
        self.connections.set_idle(self.number, None);
        RequestUnderWay { connections: self.connections.clone(), number: self.number }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.0.state.lock().remove(self.number);
    }
}

/// A request is answered on a connection.
#[derive(Debug)]
pub(super) struct RequestUnderWay {
    connections: Connections,
    number: u64,
}

impl Drop for RequestUnderWay {
    fn drop(&mut self) {
        self.connections.set_idle(self.number, Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Client {
        Client::at([10, 0, 0, last].into())
    }

    #[test]
    fn idle_connections_make_room_and_busy_ones_leave_the_reserve() {
        let connections = Connections::new(2);
        let idle = connections.admit(client(1));
        let busy = connections.admit(client(1));
        let request = busy.request();
        assert_eq!((connections.open(), connections.surplus()), (2, 0));
        connections.came(client(1), 0);
        assert!(connections.all_in_use());
        let third = connections.admit(client(1));
        assert!(idle.cut.0.is_cancelled() && !busy.cut.0.is_cancelled() && !third.reserved);
        assert_eq!((connections.open(), connections.surplus()), (2, 1));
        drop(idle);
        assert_eq!(connections.open(), 2, "it was forgotten already");
        let _second_request = third.request();
        let reserved: Vec<Connection> = (0..RESERVE).map(|_| connections.admit(client(1))).collect();
        assert!(reserved.iter().all(|connection| connection.reserved && !connection.cut.0.is_cancelled()));
        let last = connections.admit(client(1));
        assert!(last.reserved && reserved.iter().filter(|connection| connection.cut.0.is_cancelled()).count() == 1);
        drop(request);
        let one_of_another = connections.admit(client(2));
        assert!(!one_of_another.reserved, "an answer that was sent makes its connection idle");
        assert_eq!((connections.of(client(1)), connections.of(client(2)), connections.most()), (1, 1, 1));
    }
}
