//! What is mounted where, before and after a scan: a mount over a file changes neither the file below it nor its directory.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use crate::model::RelPath;

/// The mounts that this process sees at one moment; none where the system does not list them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mounts(BTreeSet<Mount>);

/// One mount, by where it stands and what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mount {
    point: Vec<u8>,
    /// Its number, its device, and the part of the device that is mounted: fields 1, 3 and 4 of the line.
    what: [Vec<u8>; 3],
}

impl Mounts {
    /// The mounts now.
    pub fn now() -> Self {
        Self::parse(&std::fs::read("/proc/self/mountinfo").unwrap_or_default())
    }

    /// Lines as proc_pid_mountinfo(5) has them; one that is none is left out.
    fn parse(text: &[u8]) -> Self {
        let mount = |line: &[u8]| {
            let mut fields = line.split(|byte| *byte == b' ');
            let (number, device) = (fields.next()?.to_vec(), fields.nth(1)?.to_vec());
            let (part, point) = (fields.next()?.to_vec(), unescaped(fields.next()?));
            Some(Mount { point, what: [number, device, part] })
        };
        Self(text.split(|byte| *byte == b'\n').filter_map(mount).collect())
    }

    /// The directories below the root at `home` that hold a name on which something was mounted or unmounted between the two.
    pub fn changed_below(&self, later: &Self, home: &Path) -> BTreeSet<RelPath> {
        if self == later {
            return BTreeSet::new();
        }
        let Ok(real) = home.canonicalize() else { return BTreeSet::new() };
        let real = real.into_os_string().into_vec();
        let below = |mount: &Mount| {
            let rest = mount.point.strip_prefix(real.strip_suffix(b"/").unwrap_or(&real))?.strip_prefix(b"/")?;
            RelPath::new(rest).ok()?.parent()
        };
        self.0.symmetric_difference(&later.0).filter_map(below).collect()
    }
}

/// A path with its octal escapes (space, tab, newline, backslash) taken back.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, others)) = rest.split_first() {
        let digits = others.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(u8::is_ascii_digit));
        let byte = digits.and_then(|digits| u8::from_str_radix(&String::from_utf8_lossy(digits), 8).ok());
        path.push(byte.unwrap_or(*first));
        rest = byte.map_or(others, |_| &others[3..]);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str =
        "22 27 0:21 / /proc rw - proc proc rw\n27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n";

    fn changed(home: &Path, line: &str) -> Vec<String> {
        let (before, after) = (Mounts::parse(BEFORE.as_bytes()), Mounts::parse(format!("{BEFORE}{line}").as_bytes()));
        let changed = before.changed_below(&after, home);
        assert_eq!(changed, after.changed_below(&before, home));
        changed.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_mount_below_the_root_concerns_the_directory_that_holds_its_point_and_no_other_does() {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().canonicalize().unwrap();
        let line = |point: &str| format!("99 27 254:0 /x {point} rw - ext4 /dev/vda rw\n");
        let real = real.display();
        assert_eq!(changed(home.path(), &line(&format!("{real}/d/f"))), ["d"]);
        assert_eq!(changed(home.path(), &line(&format!("{real}/f"))), [""]);
        assert_eq!(changed(home.path(), &line(&format!("{real}/a\\040b/f"))), ["a b"]);
        for elsewhere in ["/elsewhere".to_owned(), format!("{real}-beside/f"), real.to_string()] {
            assert!(changed(home.path(), &line(&elsewhere)).is_empty(), "{elsewhere}");
        }
        assert!(changed(home.path(), "no mount\n").is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_mounts() {
        assert!(!Mounts::now().0.is_empty());
    }
}
