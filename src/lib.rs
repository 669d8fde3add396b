//! Proves that a directory tree on one host equals the tree on another.

pub mod cli;
pub mod config;
pub mod exclude;
pub mod manifest;
pub mod model;
pub mod peer;
pub mod protocol;
pub mod report;
pub mod scan;
pub mod server;
pub mod verify;
