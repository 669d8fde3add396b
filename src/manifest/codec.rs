//! The one place that names the encoder: bincode, standard configuration (little-endian, variable-length integers).
//!
//! Values go through serde, so no other module depends on the crate.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

/// Why some bytes are not the value they should be.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The bytes end early, hold an impossible value, or would need more memory than allowed.
    #[error("the encoding is not valid: {0}")]
    Invalid(String),
    /// Bytes are left over after the value.
    #[error("{0} bytes are left over after the value")]
    TrailingBytes(usize),
}

/// Encodes a value. Our own values always encode: they hold no type bincode refuses.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    match bincode::serde::encode_to_vec(value, bincode::config::standard()) {
        Ok(bytes) => bytes,
        Err(error) => unreachable!("an own value does not encode: {error}"),
    }
}

/// Decodes a value that takes all of `bytes`. What a length inside the bytes can make the decoder claim, whatever that
/// length says, is bounded by `LIMIT` and by the number of bytes there are.
///
/// The decoder reserves memory for a text as soon as its length is within the limit, before it looks whether the text is
/// there. Its limit is a constant, so the one that fits best is chosen from a few. It counts values by the memory they
/// take, which is at most [`MEMORY_PER_BYTE`] for one encoded byte, so the bytes of a sound value are always enough.
pub(crate) fn decode<'a, T: Deserialize<'a>, const LIMIT: usize>(bytes: &'a [u8]) -> Result<T, CodecError> {
    within::<T, { 1 << 15 }, LIMIT>(bytes)
        .or_else(|| within::<T, { 1 << 19 }, LIMIT>(bytes))
        .or_else(|| within::<T, { 1 << 23 }, LIMIT>(bytes))
        .or_else(|| within::<T, { 1 << 27 }, LIMIT>(bytes))
        .or_else(|| within::<T, { 1 << 31 }, LIMIT>(bytes))
        .unwrap_or_else(|| limited::<T, LIMIT>(bytes))
}

/// The elements of an encoded list, one by one, so that none of them but one stands in memory. Its texts and bytes are to be
/// borrowed ones.
#[derive(Debug)]
pub struct Elements<'a, T> {
    bytes: &'a [u8],
    left: u64,
    of: PhantomData<T>,
}

impl<'a, T: Deserialize<'a>> Elements<'a, T> {
    /// The list that takes all of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let (left, used) = next::<u64>(bytes)?;
        Ok(Self { bytes: &bytes[used..], left, of: PhantomData })
    }

    /// The next element, which must be there.
    pub fn take(&mut self) -> Result<Option<T>, CodecError> {
        if self.left == 0 {
            return Ok(None);
        }
        let (value, used) = next(self.bytes)?;
        (self.bytes, self.left) = (&self.bytes[used..], self.left - 1);
        Ok(Some(value))
    }

    /// All that are left, where nothing follows them. Their number is to be looked at first.
    pub fn all(mut self) -> Result<Vec<T>, CodecError> {
        let mut all = Vec::new();
        while let Some(element) = self.take()? {
            all.push(element);
        }
        self.finish()?;
        Ok(all)
    }

    /// How many are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Refuses bytes after the last element. To be called once all were taken.
    pub fn finish(&self) -> Result<(), CodecError> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(CodecError::TrailingBytes(left)),
        }
    }
}

/// A value at the front of `bytes`, and how many of them it takes. Texts and bytes are to be borrowed: no length is believed for them.
fn next<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, usize), CodecError> {
    let decoded = bincode::serde::borrow_decode_from_slice(bytes, bincode::config::standard());
    decoded.map_err(|error| CodecError::Invalid(error.to_string()))
}

/// The most memory a decoded integer takes, in bytes, for each byte it is encoded in.
pub(crate) const MEMORY_PER_BYTE: usize = size_of::<u64>();

/// Decodes where `STEP` is below `LIMIT` and surely enough.
fn within<'a, T: Deserialize<'a>, const STEP: usize, const LIMIT: usize>(
    bytes: &'a [u8],
) -> Option<Result<T, CodecError>> {
    let enough = STEP < LIMIT && bytes.len() <= STEP / MEMORY_PER_BYTE;
    enough.then(|| limited::<T, STEP>(bytes))
}

fn limited<'a, T: Deserialize<'a>, const LIMIT: usize>(bytes: &'a [u8]) -> Result<T, CodecError> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    let (value, used) = bincode::serde::borrow_decode_from_slice(bytes, config)
        .map_err(|error| CodecError::Invalid(error.to_string()))?;
    match bytes.len() - used {
        0 => Ok(value),
        left => Err(CodecError::TrailingBytes(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_lies_is_refused_without_being_believed() {
        // 253 announces a 64-bit length; this one claims 2^60 elements.
        let mut bytes = vec![253];
        bytes.extend_from_slice(&(1_u64 << 60).to_le_bytes());
        assert!(matches!(decode::<Vec<u64>, 1024>(&bytes), Err(CodecError::Invalid(_))));
        assert!(matches!(decode::<String, 1024>(&bytes), Err(CodecError::Invalid(_))));
    }

    /// A text claimed to have 1 GiB in a few bytes once made the decoder reserve 1 GiB, wherever the limit was higher.
    #[test]
    fn a_length_within_the_limit_is_not_believed_either() {
        let mut bytes = vec![252];
        bytes.extend_from_slice(&(1_u32 << 30).to_le_bytes());
        match decode::<String, { 2 << 30 }>(&bytes) {
            Err(CodecError::Invalid(message)) => assert!(message.contains("LimitExceeded"), "{message}"),
            other => panic!("{other:?}"),
        }
    }

    /// Small integers take the most memory for their bytes; a value at each step's bound still decodes.
    #[test]
    fn values_of_any_size_decode() {
        for count in [0, 1, 250, (1 << 12) - 3, (1 << 12) - 2, (1 << 16) - 3, (1 << 16) + 9, 1 << 20] {
            let values: Vec<(u64, i64)> = vec![(7, -7); count / 2];
            assert_eq!(decode::<Vec<(u64, i64)>, { 1 << 31 }>(&encode(&values)).unwrap(), values, "{count}");
        }
    }

    #[test]
    fn bytes_left_over_are_refused() {
        let mut bytes = encode(&7_u32);
        bytes.push(0);
        assert!(matches!(decode::<u32, 64>(&bytes), Err(CodecError::TrailingBytes(1))));
    }
}
