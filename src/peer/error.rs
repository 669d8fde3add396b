//! What can go wrong with a peer. Every message names the peer and the cause.

use std::time::Duration;

use super::address::PeerAddress;
use super::assembly::AssemblyError;
use crate::protocol::{FrameError, PROTOCOL_VERSION};

/// A failed conversation with a peer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// No connection, or it broke before an answer came.
    #[error("{peer} cannot be reached: {cause}")]
    Unreachable {
        /// The peer.
        peer: PeerAddress,
        /// What the system said.
        cause: String,
    },
    /// It does not know the manifest route.
    #[error(
        "{peer} does not serve manifests (404): it is not a twintree, or its migration map does not make it the source"
    )]
    NotTwintree {
        /// The peer.
        peer: PeerAddress,
    },
    /// It serves neither manifests nor a listing.
    #[error("{peer} answers 404 to manifests and to the listing of its files: its migration map has no such host")]
    NoListing {
        /// The peer.
        peer: PeerAddress,
    },
    /// Another answer than the protocol has.
    #[error("{peer} answered {status}{}{message}", if message.is_empty() { "" } else { ": " })]
    Status {
        /// The peer.
        peer: PeerAddress,
        /// The status code.
        status: u16,
        /// The message of the error body, where it has one.
        message: String,
        /// How long the peer asks to wait.
        retry_after: Option<Duration>,
    },
    /// Status 200 with something else than a manifest stream.
    #[error("{peer} answered with the media type \"{media_type}\": it is not a twintree")]
    MediaType {
        /// The peer.
        peer: PeerAddress,
        /// What it sent.
        media_type: String,
    },
    /// It speaks another version.
    #[error("{peer} speaks protocol version {theirs}, this twintree speaks version {PROTOCOL_VERSION}")]
    Version {
        /// The peer.
        peer: PeerAddress,
        /// The version it speaks.
        theirs: u32,
    },
    /// The stream stopped before its end.
    #[error("{peer}: the exchange was interrupted: {cause}")]
    Interrupted {
        /// The peer.
        peer: PeerAddress,
        /// What the system said.
        cause: String,
    },
    /// Bytes that are no frame.
    #[error("{peer} broke the protocol: {cause}")]
    Frame {
        /// The peer.
        peer: PeerAddress,
        /// What is wrong with them.
        cause: FrameError,
    },
    /// Frames that do not make a manifest.
    #[error("{peer} broke the protocol: {cause}")]
    Assembly {
        /// The peer.
        peer: PeerAddress,
        /// What is wrong with them.
        cause: AssemblyError,
    },
    /// Branches that are not what was asked for, or not what the hashes say.
    #[error("{peer} broke the protocol: {cause}")]
    Broken {
        /// The peer.
        peer: PeerAddress,
        /// What is wrong with them.
        cause: String,
    },
    /// The source says that it failed.
    #[error("{peer} failed: {message} ({code})")]
    Source {
        /// The peer.
        peer: PeerAddress,
        /// Its code.
        code: String,
        /// Its message.
        message: String,
    },
    /// After an interruption the source has another tree than before.
    #[error("{peer}: the source's tree changed while it was verified (the exchange was interrupted and began anew)")]
    TreeChanged {
        /// The peer.
        peer: PeerAddress,
    },
    /// Retrying did not help.
    #[error("{last} (gave up after {requests} requests)")]
    GaveUp {
        /// The last failure.
        last: Box<PeerError>,
        /// How many requests were tried.
        requests: u32,
    },
}

impl PeerError {
    /// Whether it says something about the peer rather than about what was asked for. 500 is an answer: a file that
    /// cannot be read gets it.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::GaveUp { last, .. } => last.is_outage(),
            Self::Status { status: 500, .. } => false,
            // By role or by completion: it would refuse every other file as well.
            Self::Status { status: 400 | 404, message, .. } => message.is_empty(),
            error => error.is_transient(),
        }
    }

    /// Whether the same request may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }
}
