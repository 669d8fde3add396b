//! Where the tables of a manifest stand: hive partitions and names of files. Pure.

use std::fmt::Write as _;

use crate::manifest::HashKind;
use crate::manifest::ManifestFile;
use crate::report::parquet::Origin;

/// The value of a partition for what has none.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The longest name of a cluster, in bytes, each of which may take three in the name of a directory.
pub(super) const MAX_CLUSTER_BYTES: usize = 80;

/// How much of a host's name stands in the name of a file.
const HOST_CHARACTERS: usize = 60;

/// The partition below a table's directory: the day of the manifest in UTC, and its cluster.
pub(super) fn partition(created_ms: i64, cluster: Option<&str>) -> String {
    let day = jiff::Timestamp::from_millisecond(created_ms).map(|time| time.strftime("%Y-%m-%d").to_string());
    let day = day.unwrap_or_else(|_| NO_VALUE.to_owned());
    format!("dt={day}/cluster={}", cluster.map_or_else(|| NO_VALUE.to_owned(), escaped))
}

/// A value as hive writes it in the name of a directory: characters that mean something there or in a path as `%` and two hex digits.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\0'..='\x1f'
            | '\x7f'
            | '"'
            | '#'
            | '%'
            | '\''
            | '*'
            | '/'
            | ':'
            | '='
            | '?'
            | '\\'
            | '{'
            | '['
            | ']'
            | '^' => {
                let _ = write!(out, "%{:02X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// The name of a manifest's files: the same manifest in the same run and pair has the same, and no other has it.
pub(super) fn file_name(manifest: &ManifestFile, origin: &Origin) -> String {
    let identity = &origin.identity;
    let side = origin.pair.as_ref().map(|(_, side)| side.to_string()).unwrap_or_default();
    let hash = |kind| manifest.instance_hash(kind).digest().map(|digest| digest.to_string()).unwrap_or_default();
    let parts = [
        origin.run.as_deref().unwrap_or_default(),
        origin.pair.as_ref().map(|(name, _)| name.as_str()).unwrap_or_default(),
        &side,
        &identity.host,
        &identity.instance,
        &identity.created_ms.to_string(),
        &identity.rules_fingerprint().to_string(),
        &hash(HashKind::Metadata),
        &hash(HashKind::Content),
    ];
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let host: String = identity.host.chars().take(HOST_CHARACTERS).map(plain).collect();
    format!("m-{host}-{}.parquet", &hasher.finalize().to_hex()[..24])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_days_in_utc_and_clusters() {
        assert_eq!(partition(1_707_193_655_406, Some("eu west")), "dt=2024-02-06/cluster=eu west");
        assert_eq!(partition(-1, None), "dt=1969-12-31/cluster=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(
            partition(i64::MAX, Some("a/b=c%\u{e9}\n")),
            "dt=__HIVE_DEFAULT_PARTITION__/cluster=a%2Fb%3Dc%25\u{e9}%0A"
        );
    }
}
