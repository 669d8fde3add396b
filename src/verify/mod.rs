//! A verification run: by the exchange of manifests, or file by file where the source serves none; and the comparison with
//! a checksum list.

mod by_list;
mod by_manifest;
mod compared;
mod error;
mod found;
mod input;
mod kind;
mod per_file;
mod run;

pub use by_list::{BothValues, ByList, Values};
pub use compared::Compared;
pub use error::RunError;
pub use found::{Found, Total};
pub use input::RunInput;
pub use kind::{Verification, VerificationTotals};
pub use per_file::{Answer, Position, hash_files};
