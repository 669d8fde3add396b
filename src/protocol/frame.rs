//! Length-delimited frames: `u32` little-endian length, one byte of flags, a tagged record, compressed where that pays.
//!
//! Each frame is compressed by itself. A compressing layer around the whole stream would hold frames back until its
//! window fills, and progress would arrive in bursts.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder as _, LengthDelimitedCodec};

use crate::manifest::{
    DirectoriesError, IdentityError, MUST_UNDERSTAND_FROM, Reader, RecordError, TaggedError, Writer,
};

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
    /// The record does not decode.
    #[error("a frame is damaged: {0}")]
    Record(#[from] TaggedError),
    /// Directories that are none.
    #[error("a frame is damaged: {0}")]
    Directories(#[from] DirectoriesError),
    /// An identity that is none.
    #[error("a frame is damaged: {0}")]
    Identity(#[from] IdentityError),
    /// A value that stands for nothing.
    #[error("a frame is damaged: {0}")]
    Value(#[from] RecordError),
    /// Columns of different lengths, or bytes of another length than they must have.
    #[error("a frame is damaged: its fields do not fit together")]
    Fields,
    /// A frame that must be understood.
    #[error("a frame of kind {0} must be understood, and this program does not know it: it is older than its peer")]
    NotUnderstood(u32),
}

/// The field of every frame that says which kind of frame it is.
const KIND: u32 = 0;

/// A record being read, in which a length cannot claim more memory than a frame can need.
pub type FrameReader<'a> = Reader<'a, MAX_FRAME_BYTES>;

/// The frames of one kind of stream.
pub trait Frame: Sized {
    /// The frame's kind, and its other fields.
    fn write(&self) -> (u32, Writer);

    /// The frame of this kind; `None` for a kind that is not known.
    fn read(kind: u32, fields: &mut FrameReader) -> Result<Option<Self>, FrameError>;
}

/// The bytes of a frame.
pub fn encode_frame<F: Frame>(frame: &F) -> Bytes {
    let (kind, fields) = frame.write();
    let plain = fields.with(KIND, &kind).finish();
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

/// Takes a stream's bytes in pieces of any size and gives back frames. Frames of unknown kinds are skipped.
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

    /// The next whole frame that is known; `None` where more bytes are needed.
    pub fn decode<F: Frame>(&mut self) -> Result<Option<F>, FrameError> {
        while let Some(packed) = self.next_packed()? {
            if let Some(frame) = packed.read()? {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// The next whole frame as it came; `None` where more bytes are needed.
    pub fn next_packed(&mut self) -> Result<Option<PackedFrame>, FrameError> {
        let bytes = self.lengths.decode(&mut self.buffer).map_err(|_| FrameError::TooLong)?;
        Ok(bytes.map(PackedFrame))
    }
}

/// A whole frame that is not read yet.
#[derive(Debug)]
pub struct PackedFrame(BytesMut);

impl PackedFrame {
    /// Whether it has so many bytes at most, unpacked, and says so: a few hundred bytes may unpack to [`MAX_FRAME_BYTES`].
    pub fn is_at_most(&self, bytes: usize) -> bool {
        match &self.0[..] {
            [ZSTD, payload @ ..] => {
                let unpacked = zstd::zstd_safe::get_frame_content_size(payload).ok().flatten();
                unpacked.is_some_and(|unpacked| unpacked <= bytes as u64)
            }
            plain => plain.len() <= bytes,
        }
    }

    /// The frame; `None` where it is of a kind that is not known.
    pub fn read<F: Frame>(&self) -> Result<Option<F>, FrameError> {
        read(FrameReader::new(&unpack(&self.0)?)?)
    }
}

fn read<F: Frame>(mut fields: FrameReader) -> Result<Option<F>, FrameError> {
    let kind: u32 = fields.required(KIND)?;
    match F::read(kind, &mut fields)? {
        Some(frame) => {
            fields.finish()?;
            Ok(Some(frame))
        }
        None if kind >= MUST_UNDERSTAND_FROM => Err(FrameError::NotUnderstood(kind)),
        None => Ok(None),
    }
}

/// The payload of a frame as it was before it was packed.
fn unpack(frame: &[u8]) -> Result<Cow<'_, [u8]>, FrameError> {
    match frame {
        [] => Err(FrameError::Empty),
        [PLAIN, payload @ ..] => Ok(Cow::Borrowed(payload)),
        [ZSTD, payload @ ..] => {
            let plain = zstd::bulk::decompress(payload, MAX_FRAME_BYTES);
            Ok(Cow::Owned(plain.map_err(|error| FrameError::Compression(error.to_string()))?))
        }
        [flags, ..] => Err(FrameError::Flags(*flags)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame that holds a text.
    #[derive(Debug, PartialEq)]
    struct Text(String);

    impl Frame for Text {
        fn write(&self) -> (u32, Writer) {
            (1, Writer::default().with(1, &self.0))
        }

        fn read(kind: u32, fields: &mut FrameReader) -> Result<Option<Self>, FrameError> {
            if kind == 1 { Ok(Some(Self(fields.required(1)?))) } else { Ok(None) }
        }
    }

    #[test]
    fn frames_come_back_whatever_the_pieces() {
        let values = ["short".to_owned(), "long ".repeat(1000), String::new()];
        let bytes: Vec<u8> = values.iter().flat_map(|value| encode_frame(&Text(value.clone())).to_vec()).collect();
        assert!(bytes.len() < 1000, "the long one is packed");
        for piece in 1..=bytes.len() {
            let mut decoder = FrameDecoder::default();
            let mut got: Vec<String> = Vec::new();
            for piece in bytes.chunks(piece) {
                decoder.push(piece);
                while let Some(Text(value)) = decoder.decode().unwrap() {
                    got.push(value);
                }
            }
            assert_eq!(got, values);
        }
    }

    fn plain(record: Vec<u8>) -> Vec<u8> {
        [&(record.len() as u32 + 1).to_le_bytes()[..], &[PLAIN], &record].concat()
    }

    #[test]
    fn a_frame_of_an_unknown_kind_is_skipped_unless_it_must_be_understood() {
        let unknown = |kind: u32| plain(Writer::default().with(KIND, &kind).with(7, "later").finish());
        let mut decoder = FrameDecoder::default();
        decoder.push(&unknown(99));
        assert_eq!(decoder.decode::<Text>().unwrap(), None);
        decoder.push(&encode_frame(&Text("known".to_owned())));
        assert_eq!(decoder.decode().unwrap(), Some(Text("known".to_owned())));
        assert!(matches!(refused(&unknown(MUST_UNDERSTAND_FROM)), FrameError::NotUnderstood(1000)));
        let field = Writer::default().with(KIND, &1_u32).with(1, "x").with(MUST_UNDERSTAND_FROM, "y");
        assert!(matches!(refused(&plain(field.finish())), FrameError::Record(TaggedError::NotUnderstood(1000))));
    }

    fn refused(bytes: &[u8]) -> FrameError {
        let mut decoder = FrameDecoder::default();
        decoder.push(bytes);
        decoder.decode::<Text>().unwrap_err()
    }

    #[test]
    fn hostile_frames_are_refused() {
        assert!(matches!(refused(&[255, 255, 255, 127, 0]), FrameError::TooLong));
        assert!(matches!(refused(&[0, 0, 0, 0]), FrameError::Empty));
        assert!(matches!(refused(&[1, 0, 0, 0, 7]), FrameError::Flags(7)));
        assert!(matches!(refused(&[3, 0, 0, 0, 0, 253, 1]), FrameError::Record(_)));
        assert!(matches!(refused(&[3, 0, 0, 0, 1, 9, 9]), FrameError::Compression(_)));
        assert!(matches!(refused(&plain(Writer::default().finish())), FrameError::Record(TaggedError::Field(KIND))));
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
