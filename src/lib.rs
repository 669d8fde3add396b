//! Proves that a directory tree on one host equals the tree on another.

pub mod model;
