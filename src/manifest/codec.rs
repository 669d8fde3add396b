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

/// Decodes a value that takes all of `bytes`. `LIMIT` bounds what a length inside the bytes can make the decoder
/// claim, whatever that length says.
pub(crate) fn decode<T: DeserializeOwned, const LIMIT: usize>(bytes: &[u8]) -> Result<T, CodecError> {
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

    #[test]
    fn bytes_left_over_are_refused() {
        let mut bytes = encode(&7_u32);
        bytes.push(0);
        assert!(matches!(decode::<u32, 64>(&bytes), Err(CodecError::TrailingBytes(1))));
    }
}
