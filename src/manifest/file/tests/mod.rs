//! Manifest files as somebody could write them who does not tell the truth: made of parts, with all checks fitting but one.

mod careful;
pub(in crate::manifest) mod parts;
