//! Results for people and for programs. Renders what others computed, and computes nothing.

mod result;
mod terminal;
mod units;

pub use result::ResultBody;
pub use terminal::{inspection, outcome, task_line};
pub use units::{printable, time_utc};
