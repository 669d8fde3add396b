//! Length-delimited frames: `u32` little-endian length, one byte of flags, an encoded value, compressed where that pays.
//!
//! Each frame is compressed by itself. A compressing layer around the whole stream would hold frames back until its
//! window fills, and progress would arrive in bursts.

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::{Decoder as _, LengthDelimitedCodec};

use crate::manifest::CodecError;
use crate::manifest::codec;

/// The largest frame, packed or unpacked, in bytes. A writer splits what is larger.
pub const MAX_FRAME_BYTES: usize = 8 << 20;

/// Frames shorter than this are sent as they are.
const COMPRESS_FROM_BYTES: usize = 256;

/// Fast and already close to what names and numbers give; hashes do not shrink at any level.
const COMPRESSION_LEVEL: i32 = 3;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// Why the bytes of a peer are not a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The announced length is beyond the limit.
    #[error("a frame is announced as longer than {MAX_FRAME_BYTES} bytes")]
    TooLong,
    /// A frame without flags.
    #[error("a frame is empty")]
    Empty,
    /// Flags of no known meaning.
    #[error("a frame has unknown flags {0:#04x}")]
    Flags(u8),
    /// Compressed bytes that do not unpack within the limit.
    #[error("a frame does not unpack: {0}")]
    Compression(String),
    /// The value does not decode.
    #[error("a frame is damaged: {0}")]
    Codec(#[from] CodecError),
}

/// A value as one frame.
pub fn encode_frame<T: Serialize>(value: &T) -> Bytes {
    let plain = codec::encode(value);
    let packed = match plain.len() {
        COMPRESS_FROM_BYTES.. => zstd::bulk::compress(&plain, COMPRESSION_LEVEL).ok(),
        _ => None,
    };
    let (flags, payload) = match packed {
        Some(packed) if packed.len() < plain.len() => (ZSTD, packed),
        _ => (PLAIN, plain),
    };
    let mut frame = BytesMut::with_capacity(5 + payload.len());
    // Writers keep values far below 4 GiB; a reader refuses what is above its limit.
    frame.extend_from_slice(&(payload.len() as u32 + 1).to_le_bytes());
    frame.extend_from_slice(&[flags]);
    frame.extend_from_slice(&payload);
    frame.freeze()
}

/// Takes a stream's bytes in pieces of any size and gives back values.
#[derive(Debug)]
pub struct FrameDecoder {
    lengths: LengthDelimitedCodec,
    buffer: BytesMut,
}

impl Default for FrameDecoder {
    fn default() -> Self {
        let lengths = LengthDelimitedCodec::builder().little_endian().max_frame_length(MAX_FRAME_BYTES).new_codec();
        Self { lengths, buffer: BytesMut::new() }
    }
}

impl FrameDecoder {
    /// Adds bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole value; `None` where more bytes are needed.
    pub fn decode<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let frame = self.lengths.decode(&mut self.buffer).map_err(|_| FrameError::TooLong)?;
        frame.map(|frame| decode_payload(&frame)).transpose()
    }
}

fn decode_payload<T: DeserializeOwned>(frame: &[u8]) -> Result<T, FrameError> {
    match frame {
        [] => Err(FrameError::Empty),
        [PLAIN, payload @ ..] => Ok(codec::decode::<T, MAX_FRAME_BYTES>(payload)?),
        [ZSTD, payload @ ..] => {
            let plain = zstd::bulk::decompress(payload, MAX_FRAME_BYTES)
                .map_err(|error| FrameError::Compression(error.to_string()))?;
            Ok(codec::decode::<T, MAX_FRAME_BYTES>(&plain)?)
        }
        [flags, ..] => Err(FrameError::Flags(*flags)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_whatever_the_pieces() {
        let values = ["short".to_owned(), "long ".repeat(1000), String::new()];
        let bytes: Vec<u8> = values.iter().flat_map(|value| encode_frame(value).to_vec()).collect();
        assert!(bytes.len() < 1000, "the long one is packed");
        for piece in 1..=bytes.len() {
            let mut decoder = FrameDecoder::default();
            let mut got: Vec<String> = Vec::new();
            for piece in bytes.chunks(piece) {
                decoder.push(piece);
                while let Some(value) = decoder.decode().unwrap() {
                    got.push(value);
                }
            }
            assert_eq!(got, values);
        }
    }

    fn refused(bytes: &[u8]) -> FrameError {
        let mut decoder = FrameDecoder::default();
        decoder.push(bytes);
        decoder.decode::<Vec<u64>>().unwrap_err()
    }

    #[test]
    fn hostile_frames_are_refused() {
        assert!(matches!(refused(&[255, 255, 255, 127, 0]), FrameError::TooLong));
        assert!(matches!(refused(&[0, 0, 0, 0]), FrameError::Empty));
        assert!(matches!(refused(&[1, 0, 0, 0, 7]), FrameError::Flags(7)));
        assert!(matches!(refused(&[3, 0, 0, 0, 0, 253, 1]), FrameError::Codec(_)));
        assert!(matches!(refused(&[3, 0, 0, 0, 1, 9, 9]), FrameError::Compression(_)));
    }

    #[test]
    fn a_small_frame_cannot_unpack_to_a_large_one() {
        let bomb = zstd::bulk::compress(&vec![0; MAX_FRAME_BYTES + 1], 19).unwrap();
        let mut frame = (bomb.len() as u32 + 1).to_le_bytes().to_vec();
        frame.push(ZSTD);
        frame.extend_from_slice(&bomb);
        assert!(frame.len() < 4096);
        assert!(matches!(refused(&frame), FrameError::Compression(_)));
    }
}
