//! Manifests as tables for engines that read Parquet. `docs/fleet.md` has every column; the schema only ever grows.

mod columns;
mod facts;
mod schema;
mod writer;

pub use columns::{DIRECTORIES, FILES};
pub use facts::{DirectoryFacts, DirectoryRow, DirectoryState, FileRow, Origin};
pub use schema::{Column, TableSchema};
pub use writer::{Table, TableError};
