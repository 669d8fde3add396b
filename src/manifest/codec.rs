//! The one place that names the encoder: bincode, standard configuration (little-endian, variable-length integers).
//!
//! Values go through serde, so no other module depends on the crate.

use serde::Serialize;
use serde::de::DeserializeOwned;

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
pub(crate) fn decode<T: DeserializeOwned, const LIMIT: usize>(bytes: &[u8]) -> Result<T, CodecError> {
    within::<T, { 1 << 15 }, LIMIT>(bytes)
        .or_else(|| within::<T, { 1 << 19 }, LIMIT>(bytes))
        .or_else(|| within::<T, { 1 << 23 }, LIMIT>(bytes))
        .or_else(|| within::<T, { 1 << 27 }, LIMIT>(bytes))
        .or_else(|| within::<T, { 1 << 31 }, LIMIT>(bytes))
        .unwrap_or_else(|| limited::<T, LIMIT>(bytes))
}

/// The most memory a decoded integer takes, in bytes, for each byte it is encoded in.
pub(crate) const MEMORY_PER_BYTE: usize = size_of::<u64>();

/// Decodes where `STEP` is below `LIMIT` and surely enough.
fn within<T: DeserializeOwned, const STEP: usize, const LIMIT: usize>(bytes: &[u8]) -> Option<Result<T, CodecError>> {
    let enough = STEP < LIMIT && bytes.len() <= STEP / MEMORY_PER_BYTE;
    enough.then(|| limited::<T, STEP>(bytes))
}

fn limited<T: DeserializeOwned, const LIMIT: usize>(bytes: &[u8]) -> Result<T, CodecError> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    let (value, used) =
        bincode::serde::decode_from_slice(bytes, config).map_err(|error| CodecError::Invalid(error.to_string()))?;
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
