//! The HTTP service: one route table, thin handlers, errors in the Sidecar's form.

mod accept;
#[cfg(test)]
mod accept_tests;
mod admission;
mod app;
mod busy_body;
mod caller;
mod connection_choice;
mod connections;
mod descriptors;
mod entrance;
mod error;
mod file_plan;
mod file_target;
mod handlers;
mod keep_warm;
mod listen;
mod lobby;
mod metrics;
mod metrics_format;
mod openapi;
mod patience;
mod routes;
mod setup;
mod take_up;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use file_target::parse as request_path;

pub use app::App;
pub use listen::{Listener, Running};
pub use routes::router;
pub use setup::SetupError;
