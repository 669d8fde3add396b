//! Bytes of unknown number that come as a stream, in a file that can be read anywhere.

use std::fs::File;
use std::io::{self, Read, Seek as _};

/// How many bytes are copied at once.
const COPIED_BYTES: usize = 1 << 20;

/// Copies a stream to its end into a file without a name: it is gone with the process, however that ends. Fails where more than `limit`
/// bytes come.
pub fn receive(stream: &mut dyn Read, limit: u64) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    let mut stream = io::BufReader::with_capacity(COPIED_BYTES, stream).take(limit.saturating_add(1));
    if io::copy(&mut stream, &mut file)? > limit {
        let what = format!("more than {limit} bytes came, which is the limit");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_stream_is_kept_up_to_the_limit() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at >> 7) as u8).collect();
        let mut kept = Vec::new();
        receive(&mut bytes.as_slice(), bytes.len() as u64).unwrap().read_to_end(&mut kept).unwrap();
        assert!(kept == bytes);
        let error = receive(&mut bytes.as_slice(), bytes.len() as u64 - 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(error.to_string().starts_with("more than 2999999 bytes came"), "{error}");
    }
}
