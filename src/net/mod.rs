//! How other services are called: endpoints, the one connector that builds every HTTP client, what a failed call is, the only
//! retry loop, and the client of the task API.

mod call_error;
mod connector;
mod endpoint;
mod patience;
mod retry;
mod task_client;
mod trouble;

pub use call_error::{CallError, Failure, MAX_ERROR_BODY_BYTES, cause_of, refusal};
pub use connector::{Timeouts, connect};
pub use endpoint::{Endpoint, EndpointError, Scheme};
pub use patience::{Brought, Patience};
pub use retry::{Retries, RetryPolicy};
pub use task_client::TaskClient;
pub use trouble::Troubles;
