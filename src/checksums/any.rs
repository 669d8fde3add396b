//! Reading a list of whatever kind. Pure.

use super::error::{ListError, ListFault};
use super::list::ChecksumList;
use super::reading::Reading;
use super::{hashdeep, medusa, sums};

/// Reads a list: the kind shows in its first bytes. Takes any bytes.
pub fn read(bytes: &[u8], reading: &Reading<'_>) -> Result<ChecksumList, ListError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let list = match bytes {
        _ if bytes.starts_with(hashdeep::MAGIC) => hashdeep::read(bytes, reading),
        _ if bytes.trim_ascii_start().starts_with(b"[") => medusa::read(bytes),
        _ => sums::read(bytes, reading),
    }?;
    match reading.algorithm {
        Some(algorithm) if !list.algorithms().contains(&algorithm) => Err(ListFault::NotOf(algorithm).of_all()),
        _ => Ok(list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChecksumAlgorithm;
    use proptest::prelude::*;

    /// One list of each kind.
    const LISTS: [&[u8]; 6] = [
        include_bytes!("../../fuzz/corpus/checksum_list/sums"),
        include_bytes!("../../fuzz/corpus/checksum_list/tagged"),
        include_bytes!("../../fuzz/corpus/checksum_list/zero"),
        include_bytes!("../../fuzz/corpus/checksum_list/hashdeep"),
        include_bytes!("../../fuzz/corpus/checksum_list/medusa"),
        include_bytes!("../../fuzz/corpus/checksum_list/rclone"),
    ];

    fn reading() -> Reading<'static> {
        Reading { algorithm: None, file_name: "x.sha256", prefix: None }
    }

    #[test]
    fn every_kind_is_read() {
        for list in LISTS {
            assert!(read(list, &reading()).is_ok(), "{}", String::from_utf8_lossy(list));
        }
    }

    proptest! {
        /// Whatever happens to a list: it is refused, or sound.
        #[test]
        fn a_damaged_list_is_refused_or_sound(
            which in 0..LISTS.len(),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
        ) {
            let mut bytes = LISTS[which].to_vec();
            for (at, byte, edit) in edits {
                let at = at.index(bytes.len());
                match edit {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ if bytes.len() > 1 => drop(bytes.remove(at)),
                    _ => {}
                }
            }
            if let Ok(list) = read(&bytes, &reading()) {
                prop_assert!(list.files().is_sorted_by(|a, b| a.path < b.path));
                for file in list.files() {
                    prop_assert!(!file.path.is_root());
                    let of = |algorithm: &ChecksumAlgorithm| file.digests.iter().filter(|one| algorithm.is_of(one)).count();
                    prop_assert!(ChecksumAlgorithm::ALL.iter().all(|algorithm| of(algorithm) < 2));
                }
            }
        }
    }
}
