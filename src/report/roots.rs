//! A line for each place of an instance, for `sort`, `comm` and `join`.

use crate::manifest::{Place, SubtreeHash};
use crate::model::{Name, printable_bytes};

/// Stands for what is not there: no keyspace, no table, no proof.
const NONE: &str = "-";

/// The fields of a place, separated by tabs: host, type of root, keyspace, table, files, bytes, metadata hash, content hash. No line break
/// and no tab stands in a field.
pub fn place_line(host: &str, place: &Place) -> String {
    let name = |name: &Option<Name>| field(name.as_ref().map_or(b"", Name::as_bytes));
    [
        field(host.as_bytes()),
        place.directory_type.name().to_owned(),
        name(&place.keyspace),
        name(&place.table),
        place.files.to_string(),
        place.bytes.to_string(),
        hash(place.metadata),
        hash(place.content),
    ]
    .join("\t")
}

/// A name, reversibly: escapes are those of [`printable_bytes`], and a name that looks like none is one as well.
fn field(bytes: &[u8]) -> String {
    match bytes {
        b"" => NONE.to_owned(),
        b"-" => "\\x2d".to_owned(),
        bytes => printable_bytes(bytes),
    }
}

fn hash(hash: SubtreeHash) -> String {
    hash.digest().map_or_else(|| NONE.to_owned(), |digest| digest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Blake3Digest, DirectoryType};

    #[test]
    fn every_place_is_one_line_of_eight_fields() {
        let name = |bytes: &[u8]| Some(Name::new(bytes).unwrap());
        let place = |keyspace, table| Place {
            directory_type: DirectoryType::Data,
            keyspace,
            table,
            files: 3,
            bytes: 4,
            metadata: SubtreeHash::Proven(Blake3Digest([0xab; 32])),
            content: SubtreeHash::Unproven,
        };
        let digest = "ab".repeat(32);
        for (keyspace, table, shown) in [
            (name(b"ks"), name(b"t"), "ks\tt"),
            (name(b"ks"), None, "ks\t-"),
            (name(b"-"), name(b"a\tb\nc\xff\\"), "\\x2d\ta\\tb\\nc\\xff\\\\"),
        ] {
            let line = place_line("a host", &place(keyspace, table));
            assert_eq!(line, format!("a host\tdata\t{shown}\t3\t4\t{digest}\t-"));
            assert_eq!((line.split('\t').count(), line.lines().count()), (8, 1));
        }
        assert!(place_line("", &place(None, None)).starts_with("-\tdata\t-\t-\t"));
    }
}
