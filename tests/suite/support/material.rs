//! Material that not every machine has: programs, files beside the checkout, properties of the system. A test that lacks its
//! material says so and skips, unless the material is required: then its absence is a failure.

/// Names what is required, separated by commas; `.ci/run` sets it.
const REQUIRED: &str = "TWINTREE_REQUIRE";

/// All material by its name: `b3sum`, `hashdeep`, `promtool`, `python3`, `rclone`, `rsync`, `schemathesis` and `sha256sum` are programs, `prometheus_client`, `duckdb` and `pyspark` packages of Python, `jvm` a Java
/// development kit, `systemd` its `systemd-analyze`; `oracle` and `sstables` lie beside the checkout; `cold-cache` is a page cache that can
/// be emptied and says what it holds, `immutable` the right to make files immutable, `leases` a file system below the build in which digests can be recorded, `loopback` a second loopback
/// address, `root` the right to give files away, `shm` a file system in memory at /dev/shm, `sighup` a starter who does not have SIGHUP
/// ignored, `sshd` Debian's OpenSSH server, `threads` a system that lists the threads of a process.
const MATERIAL: [&str; 24] = [
    "b3sum",
    "cold-cache",
    "duckdb",
    "hashdeep",
    "immutable",
    "jvm",
    "leases",
    "loopback",
    "oracle",
    "prometheus_client",
    "promtool",
    "pyspark",
    "python3",
    "rclone",
    "root",
    "rsync",
    "schemathesis",
    "sha256sum",
    "shm",
    "sighup",
    "sshd",
    "sstables",
    "systemd",
    "threads",
];

/// Says on standard error that a test skips without this material. Panics where the material is required.
#[allow(clippy::print_stderr, reason = "what a test says of itself")]
pub(crate) fn missing(material: &str, why: &str) {
    let required = std::env::var(REQUIRED).unwrap_or_default();
    match is_required(&required, material) {
        Ok(false) => eprintln!("skipped, for want of {material}: {why}"),
        Ok(true) => panic!("{material} is missing, and {REQUIRED} requires it: {why}"),
        Err(unknown) => panic!("there is no material {unknown:?}, named by {REQUIRED} or a test; known: {MATERIAL:?}"),
    }
}

/// Whether the list names the material; a name that is not known, here or there, is an error, so that no typing error
/// switches anything off.
fn is_required<'a>(list: &'a str, material: &'a str) -> Result<bool, &'a str> {
    let names = || list.split(',').map(str::trim).filter(|name| !name.is_empty());
    match names().chain([material]).find(|name| !MATERIAL.contains(name)) {
        Some(unknown) => Err(unknown),
        None => Ok(names().any(|name| name == material)),
    }
}

#[cfg(test)]
mod tests {
    use super::is_required;

    #[test]
    fn only_what_is_named_is_required_and_an_unknown_name_is_an_error() {
        assert_eq!(is_required("", "jvm"), Ok(false));
        assert_eq!(is_required("b3sum, jvm,", "jvm"), Ok(true));
        assert_eq!(is_required("b3sum,oracle", "jvm"), Ok(false));
        assert_eq!(is_required("b3sum,jmv", "jvm"), Err("jmv"));
        assert_eq!(is_required("b3sum", "java"), Err("java"));
    }
}
