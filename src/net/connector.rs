//! The one place that builds HTTP clients: what all of them have in common is said here and nowhere else.

use std::time::Duration;

use reqwest::redirect::Policy;

/// How long a client waits, and for what. `None`: without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Option<Duration>,
    /// From one piece of an answer to the next.
    pub idle: Option<Duration>,
    /// For a whole answer.
    pub total: Option<Duration>,
}

/// A client that keeps at most `max_idle_connections` for later requests.
///
/// No client follows redirects or uses a proxy of the environment: what is compared must be what the operator named.
pub fn connect(timeouts: Timeouts, max_idle_connections: usize) -> reqwest::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .pool_max_idle_per_host(max_idle_connections)
        .tcp_nodelay(true);
    if let Some(limit) = timeouts.connect {
        builder = builder.connect_timeout(limit);
    }
    if let Some(limit) = timeouts.idle {
        builder = builder.read_timeout(limit);
    }
    if let Some(limit) = timeouts.total {
        builder = builder.timeout(limit);
    }
    builder.build()
}
