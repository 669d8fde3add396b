//! Lists as `sha256sum` and `b3sum` write them, and as both check them. Pure.

use crate::model::{ContentDigest, RelPath};

/// A line: the value in hexadecimal digits, two spaces, the name. A name that would break the line is escaped, and the line begins with a
/// backslash.
pub fn write_line(digest: &ContentDigest, path: &RelPath) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b'\\' => Some(b'\\'),
        b'\n' => Some(b'n'),
        // `b3sum` knows no escape for it, and takes it as it is.
        b'\r' if !matches!(digest, ContentDigest::Blake3(_)) => Some(b'r'),
        _ => None,
    };
    let name = path.as_bytes();
    let mut line = Vec::with_capacity(name.len() + 70);
    if name.iter().any(|byte| escape(byte).is_some()) {
        line.push(b'\\');
    }
    line.extend_from_slice(digest.to_string().as_bytes());
    line.extend_from_slice(b"  ");
    for byte in name {
        match escape(byte) {
            Some(letter) => line.extend_from_slice(&[b'\\', letter]),
            None => line.push(*byte),
        }
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksums::{Reading, read};
    use crate::model::ChecksumAlgorithm;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(
            names in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 1..20), 1..10),
            value in any::<[u8; 32]>(),
        ) {
            // What lies in another file of the list is refused, which is another matter.
            let name = |bytes: &Vec<u8>| bytes.iter().map(|byte| if *byte == b'/' { b'_' } else { *byte }).collect::<Vec<_>>();
            let names: BTreeSet<RelPath> = names.iter().filter_map(|bytes| RelPath::new(&name(bytes)).ok()).collect();
            prop_assume!(!names.is_empty());
            for algorithm in [ChecksumAlgorithm::Sha256, ChecksumAlgorithm::Blake3] {
                let digest = algorithm.digest(&value).unwrap();
                let text: Vec<u8> = names.iter().flat_map(|name| write_line(&digest, name)).collect();
                let list = read(&text, &Reading { algorithm: Some(algorithm), ..Reading::default() }).unwrap();
                prop_assert_eq!(list.files().iter().map(|file| file.path.clone()).collect::<BTreeSet<_>>(), names.clone());
                prop_assert_eq!(list.files().len(), names.len());
                prop_assert!(list.files().iter().all(|file| file.digests == [digest]));
            }
        }

        #[test]
        fn no_bytes_make_the_reader_fail(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, &Reading::default());
        }
    }
}
