//! Why a source gave up in the middle of a stream.

use super::frame::{FrameError, FrameReader};
use crate::manifest::Writer;
use crate::model::Problem;

/// Why the source gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFailure {
    /// For programs; stable.
    pub code: String,
    /// For people.
    pub message: String,
}

impl SourceFailure {
    pub(super) fn write(&self, record: Writer) -> Writer {
        record.with(1, &self.code).with(2, &self.message)
    }

    pub(super) fn read(fields: &mut FrameReader) -> Result<Self, FrameError> {
        Ok(Self { code: Problem::cut(fields.required(1)?), message: Problem::cut(fields.required(2)?) })
    }
}
