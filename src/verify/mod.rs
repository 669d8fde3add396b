//! A verification run: by the exchange of manifests, or file by file where the source serves none.

mod by_manifest;
mod compared;
mod error;
mod found;
mod input;
mod kind;
mod per_file;
mod run;

pub use compared::Compared;
pub use error::RunError;
pub use found::{Found, Total};
pub use input::RunInput;
pub use kind::{Verification, VerificationTotals};
