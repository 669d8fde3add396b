//! Listening, serving, and stopping in order.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::accept::{self, Manners};
use super::app::App;
use super::routes::router;
use super::setup::SetupError;
use crate::net::Endpoint;

/// How many connections may wait in the system's queue. One that finds it full is only tried again after a second, whoever it comes from.
const QUEUE: i32 = 4096;

/// An address that is bound and not served yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds host and port of the configuration.
    pub async fn bind(host: &str, port: u16) -> Result<Self, SetupError> {
        let address = Endpoint::http(host, port).to_string();
        let failed = |cause| SetupError::Listen { address: address.clone(), cause };
        let socket = TcpListener::bind(&address).await.map_err(failed)?;
        // Where it is refused the queue is only shorter.
        let _ = rustix::net::listen(&socket, QUEUE);
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves in the background until stopped.
    pub fn serve(self, app: App) -> Running {
        app.take_up_unfinished();
        tokio::spawn(app.clone().keep_warm());
        let stopped = app.stopping().clone();
        let connections = app.connections().clone();
        let serving = accept::serve(self.socket, router(app.clone()), connections, Manners::default(), stopped);
        let server = tokio::spawn(serving);
        Running { app, server }
    }
}

/// A service under way.
#[derive(Debug)]
pub struct Running {
    app: App,
    server: JoinHandle<()>,
}

impl Running {
    /// The service.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Stops: tasks end and are written to the history, no new request is taken, and streams under way are cut. Their
    /// destinations attach again or say that the source stopped.
    pub async fn stop(self) {
        self.app.tasks().stop_all().await;
        self.app.stopping().cancel();
        self.app.offers().stop_all();
        let mut server = self.server;
        if tokio::time::timeout(std::time::Duration::from_secs(2), &mut server).await.is_err() {
            server.abort();
        }
    }
}
