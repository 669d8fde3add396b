//! Ids of tasks.

use uuid::Uuid;

/// A new id: a version-1 UUID, as the Sidecar's are, so that ids sort by time.
pub(super) fn new_id() -> String {
    Uuid::now_v1(&node_id()).to_string()
}

/// Six bytes for version-1 UUIDs: random ones with the multicast bit set, as RFC 9562 (section 6.10) asks of a host
/// that does not give away its hardware address.
fn node_id() -> [u8; 6] {
    static NODE: std::sync::OnceLock<[u8; 6]> = std::sync::OnceLock::new();
    *NODE.get_or_init(|| {
        let random = Uuid::new_v4().into_bytes();
        [random[0] | 1, random[1], random[2], random[3], random[4], random[5]]
    })
}
