//! The reference: both trees walked with the standard library, every pair of files compared byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use twintree::model::Counters;

/// Path to `None` for a directory, or to the size, time in milliseconds and bytes of a file.
type Listing = BTreeMap<String, Option<(u64, u128, Vec<u8>)>>;

fn list(home: &Path, below: &str, into: &mut Listing) {
    for entry in fs::read_dir(home.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{below}{}", entry.file_name().to_str().unwrap());
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            into.insert(path.clone(), None);
            list(home, &format!("{path}/"), into);
        } else {
            let time = metadata.modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_millis();
            into.insert(path, Some((metadata.len(), time, fs::read(entry.path()).unwrap())));
        }
    }
}

/// What a task must count on two trees of readable files and directories.
pub fn naive_diff(source: &Path, destination: &Path, keep_going: bool) -> Counters {
    let (mut s, mut d) = (Listing::new(), Listing::new());
    list(source, "", &mut s);
    list(destination, "", &mut d);
    let mut counters = Counters {
        files_not_found_at_source: d.keys().filter(|path| !s.contains_key(*path)).count() as u64,
        files_not_found_at_destination: s.keys().filter(|path| !d.contains_key(*path)).count() as u64,
        ..Counters::default()
    };
    let mut contents = Counters::default();
    for (path, left) in &s {
        let Some(right) = d.get(path) else { continue };
        match (left, right) {
            (None, None) => counters.metadata_matched += 1,
            (Some((size, time, bytes)), Some((other_size, other_time, other_bytes))) => {
                if (size, time) != (other_size, other_time) {
                    counters.metadata_mismatches += 1;
                    continue;
                }
                counters.metadata_matched += 1;
                match bytes == other_bytes {
                    true => contents.files_matched += 1,
                    false => contents.digest_mismatches += 1,
                }
            }
            _ => counters.metadata_mismatches += 1,
        }
    }
    let differing =
        counters.files_not_found_at_source + counters.files_not_found_at_destination + counters.metadata_mismatches;
    if differing == 0 || keep_going {
        counters.add(&contents);
    }
    counters
}
