//! Results for people and for programs. Renders what others computed, and computes nothing.

pub mod bulk;
mod csv;
mod html;
pub mod parquet;
mod roots;
mod terminal;
mod units;
mod words;

pub use csv::{csv, csv_rows};
pub use html::{html, html_of, html_rows};
pub use roots::place_line;
pub use terminal::{MAX_PRINTED, inspection, listed_line, outcome, task_line};
pub use units::time_utc;
