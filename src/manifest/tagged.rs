//! Records whose fields carry tags, so that a reader of today works with what a writer of tomorrow adds. The same form in
//! manifest files (the block of a directory's files) and on the wire (every frame). `docs/format.md` is normative.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};

use super::codec::{self, CodecError, Elements};

/// Fields and frames whose tag is this or more must be understood: a reader that does not know one refuses what it stands in.
/// Any other that a reader does not know is skipped.
pub const MUST_UNDERSTAND_FROM: u32 = 1000;

/// Why bytes are not the record they should be.
#[derive(Debug, thiserror::Error)]
pub enum TaggedError {
    /// The encoding is wrong.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A field that must be there is not, or stands twice.
    #[error("field {0} is missing or stands twice")]
    Field(u32),
    /// A field that changes the meaning of the others, and that this reader does not know.
    #[error("field {0} must be understood, and this program does not know it: it is older than what wrote it")]
    NotUnderstood(u32),
}

#[derive(Debug, Serialize)]
struct Field {
    tag: u32,
    payload: ByteBuf,
}

/// A field where it stands in the bytes that are read.
#[derive(Debug, Deserialize)]
struct FieldAt<'a> {
    tag: u32,
    #[serde(borrow)]
    payload: &'a Bytes,
}

/// A record being written.
#[derive(Debug, Default)]
pub struct Writer(Vec<Field>);

impl Writer {
    /// The record with one more field.
    pub fn with<T: Serialize + ?Sized>(self, tag: u32, value: &T) -> Self {
        self.with_bytes(tag, codec::encode(&value))
    }

    /// The record with one more field, where there is a value.
    pub fn with_some<T: Serialize>(self, tag: u32, value: Option<&T>) -> Self {
        match value {
            Some(value) => self.with(tag, value),
            None => self,
        }
    }

    /// The record with one more field of raw bytes.
    pub fn with_bytes(mut self, tag: u32, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.push(Field { tag, payload: ByteBuf::from(bytes.into()) });
        self
    }

    /// The record's bytes.
    pub fn finish(self) -> Vec<u8> {
        codec::encode(&self.0)
    }
}

/// A record being read: every field is taken at most once, and [`Reader::finish`] looks at what nobody took. The fields are
/// not copied out of the bytes.
///
/// `LIMIT` bounds the memory that a length inside the bytes can make the decoder claim.
#[derive(Debug)]
pub struct Reader<'a, const LIMIT: usize>(Vec<FieldAt<'a>>);

impl<'a, const LIMIT: usize> Reader<'a, LIMIT> {
    /// Takes bytes apart into fields.
    pub fn new(bytes: &'a [u8]) -> Result<Self, TaggedError> {
        Ok(Self(codec::decode::<_, LIMIT>(bytes)?))
    }

    /// The raw bytes of a field where they stand, where it is there.
    pub fn optional_slice(&mut self, tag: u32) -> Result<Option<&'a [u8]>, TaggedError> {
        let Some(at) = self.0.iter().position(|field| field.tag == tag) else { return Ok(None) };
        let field = self.0.swap_remove(at);
        match self.0.iter().any(|other| other.tag == tag) {
            true => Err(TaggedError::Field(tag)),
            false => Ok(Some(field.payload)),
        }
    }

    /// The raw bytes of a field that must be there, where they stand.
    pub fn slice(&mut self, tag: u32) -> Result<&'a [u8], TaggedError> {
        self.optional_slice(tag)?.ok_or(TaggedError::Field(tag))
    }

    /// The raw bytes of a field, where it is there.
    pub fn optional_bytes(&mut self, tag: u32) -> Result<Option<Vec<u8>>, TaggedError> {
        Ok(self.optional_slice(tag)?.map(<[u8]>::to_vec))
    }

    /// The raw bytes of a field that must be there.
    pub fn bytes(&mut self, tag: u32) -> Result<Vec<u8>, TaggedError> {
        Ok(self.slice(tag)?.to_vec())
    }

    /// A field, where it is there.
    pub fn optional<T: DeserializeOwned>(&mut self, tag: u32) -> Result<Option<T>, TaggedError> {
        let bytes = self.optional_slice(tag)?;
        Ok(bytes.map(codec::decode::<T, LIMIT>).transpose()?)
    }

    /// A field that must be there.
    pub fn required<T: DeserializeOwned>(&mut self, tag: u32) -> Result<T, TaggedError> {
        self.optional(tag)?.ok_or(TaggedError::Field(tag))
    }

    /// A list that must be there, its elements still where they stand.
    pub fn list<T: Deserialize<'a>>(&mut self, tag: u32) -> Result<Elements<'a, T>, TaggedError> {
        Ok(Elements::new(self.slice(tag)?)?)
    }

    /// Refuses a record with a field that must be understood and that nobody took.
    pub fn finish(self) -> Result<(), TaggedError> {
        match self.0.iter().find(|field| field.tag >= MUST_UNDERSTAND_FROM) {
            Some(field) => Err(TaggedError::NotUnderstood(field.tag)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Bounded<'a> = Reader<'a, 1024>;

    #[test]
    fn fields_are_found_by_their_tags_and_unknown_ones_skipped() {
        let bytes = Writer::default().with(7, &300_u64).with(99, "later").with_bytes(3, *b"raw").finish();
        let mut reader = Bounded::new(&bytes).unwrap();
        assert_eq!(reader.required::<u64>(7).unwrap(), 300);
        assert_eq!(reader.bytes(3).unwrap(), b"raw");
        assert_eq!(reader.optional::<u64>(8).unwrap(), None);
        assert!(reader.finish().is_ok());
    }

    #[test]
    fn a_field_that_must_be_understood_is_not_skipped() {
        let bytes = Writer::default().with(MUST_UNDERSTAND_FROM, "only some keyspaces").finish();
        assert!(matches!(Bounded::new(&bytes).unwrap().finish(), Err(TaggedError::NotUnderstood(1000))));
        let mut reader = Bounded::new(&bytes).unwrap();
        assert!(reader.required::<String>(MUST_UNDERSTAND_FROM).is_ok() && reader.finish().is_ok());
    }

    #[test]
    fn a_field_stands_once_and_no_prefix_is_a_record() {
        let twice = Writer::default().with(1, &1_u8).with(1, &1_u8).finish();
        assert!(matches!(Bounded::new(&twice).unwrap().required::<u8>(1), Err(TaggedError::Field(1))));
        assert!(matches!(Bounded::new(&twice).unwrap().required::<u8>(2), Err(TaggedError::Field(2))));
        let whole = Writer::default().with(1, "abc").with(2, &7_u64).finish();
        for end in 0..whole.len() {
            assert!(Bounded::new(&whole[..end]).is_err(), "{end} bytes");
        }
    }
}
