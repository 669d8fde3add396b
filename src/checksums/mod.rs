//! Lists of files and their checksums, as other programs write them: read, and written so that those programs accept them. No I/O.
//!
//! A list says of each file its name and a digest, some also its size; of times and of directories without files none says anything.

mod any;
mod error;
mod hashdeep;
mod limits;
mod line;
mod list;
mod medusa;
mod parts;
mod reading;
mod sums;
mod write;

pub use any::read;
pub use error::{ListError, ListFault};
pub use limits::MAX_LIST_BYTES;
pub use list::{ChecksumList, ListKind, ListedFile};
pub use parts::part_sizes;
pub use reading::Reading;
pub use write::write_line;
