//! What can go wrong with a peer. Every message names the peer and the cause.

use std::time::Duration;

use super::allowance::TooMuch;
use super::assembly::AssemblyError;
use crate::model::{Problem, Reason};
use crate::net::{CallError, Endpoint, Failure};
use crate::protocol::{FrameError, spoken_versions};

/// A failed conversation with a peer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It was not reached, broke off, or refused.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It does not know the manifest route.
    #[error(
        "{peer} does not serve manifests (404): it is not a twintree, or its migration map does not make it the source"
    )]
    NotTwintree {
        /// The peer.
        peer: Endpoint,
    },
    /// It serves neither manifests nor a listing.
    #[error("{peer} answers 404 to manifests and to the listing of its files: its migration map has no such host")]
    NoListing {
        /// The peer.
        peer: Endpoint,
    },
    /// Status 200 with something else than a manifest stream.
    #[error("{peer} answered with the media type \"{media_type}\": it is not a twintree")]
    MediaType {
        /// The peer.
        peer: Endpoint,
        /// What it sent.
        media_type: String,
    },
    /// It speaks another version.
    #[error("{peer} speaks protocol version {theirs}, this twintree speaks {}", spoken_versions())]
    Version {
        /// The peer.
        peer: Endpoint,
        /// The version it speaks.
        theirs: u32,
    },
    /// Bytes that are no frame.
    #[error("{peer} broke the protocol: {cause}")]
    Frame {
        /// The peer.
        peer: Endpoint,
        /// What is wrong with them.
        cause: FrameError,
    },
    /// Frames that do not make a manifest.
    #[error("{peer} broke the protocol: {cause}")]
    Assembly {
        /// The peer.
        peer: Endpoint,
        /// What is wrong with them.
        cause: AssemblyError,
    },
    /// Branches that are not what was asked for, or not what the hashes say.
    #[error("{peer} broke the protocol: {cause}")]
    Broken {
        /// The peer.
        peer: Endpoint,
        /// What is wrong with them.
        cause: String,
    },
    /// It sends more than may be held of it.
    #[error("{peer}{path}: it sends too much: {cause}")]
    TooMuch {
        /// The peer.
        peer: Endpoint,
        /// What it was asked for.
        path: String,
        /// The limit.
        cause: TooMuch,
    },
    /// It keeps a conversation alive and brings nothing.
    #[error("{peer}{path}: it keeps the connection alive and brings nothing, or next to nothing; given up after {} s", waited.as_secs())]
    Idle {
        /// The peer.
        peer: Endpoint,
        /// What it was asked for.
        path: String,
        /// How long it had.
        waited: Duration,
    },
    /// The source says that it failed.
    #[error("{peer} failed: {message} ({code})")]
    Source {
        /// The peer.
        peer: Endpoint,
        /// Its code.
        code: String,
        /// Its message.
        message: String,
    },
    /// A file is not what the source listed, or was another one in the middle of its bytes.
    #[error("{peer}: the file changed: {cause}")]
    FileChanged {
        /// The peer.
        peer: Endpoint,
        /// What was seen of it.
        cause: String,
    },
    /// After an interruption the source has another tree than before.
    #[error("{peer}: the source's tree changed while it was verified (the exchange was interrupted and begun again)")]
    TreeChanged {
        /// The peer.
        peer: Endpoint,
    },
}

impl Failure for PeerError {
    fn into_call(self) -> Result<CallError, Self> {
        match self {
            Self::Call(call) => Ok(call),
            other => Err(other),
        }
    }
}

impl PeerError {
    /// Whether it says something about the peer rather than about what was asked for.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Call(call) if call.is_outage())
    }

    /// The problem of a file that this befell.
    pub fn problem_of_file(&self) -> Problem {
        let reason = match self {
            Self::FileChanged { .. } => Reason::ChangedWhileReading,
            _ => Reason::PeerError,
        };
        Problem::new(reason, self.to_string())
    }

    /// Whether the peer may have begun with what it was asked for.
    pub(super) fn may_have_begun(&self) -> bool {
        matches!(self, Self::Call(call) if call.may_have_begun())
    }

    /// Whether it keeps connections alive and brings nothing.
    pub fn is_idle(&self) -> bool {
        matches!(self, Self::Idle { .. })
    }

    /// Whether the same request may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Call(call) if call.is_transient())
    }
}
