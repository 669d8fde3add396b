//! Which disk a path lies on. Pure but for a look at the path and at the system's tree of devices.

use std::fs;
use std::path::Path;

use crate::scan::identity::FileIdentity;

/// Where the system has its block devices by their numbers (sysfs, `Documentation/ABI/stable/sysfs-dev`).
const DEVICES: &str = "/sys/dev/block";

/// How many devices may lie on top of each other.
const DEEPEST: usize = 8;

/// A disk, by the number of its device; 0 stands for all that have none: file systems in memory, of a network, or of several disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk(pub(super) u64);

impl Disk {
    /// The disk that a path lies on.
    pub(super) fn of(path: &Path) -> Self {
        let device = rustix::fs::stat(path).map_or(0, |stat| FileIdentity::of(&stat).device);
        Self::below(Path::new(DEVICES), device)
    }

    /// Partitions are the disk they lie on, and so are volumes that lie on one disk: what reads them shares its heads.
    fn below(devices: &Path, device: u64) -> Self {
        let mut name = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
        let mut at = None;
        for _ in 0..DEEPEST {
            // Where the system does not show its devices, each is its own.
            let Ok(found) = fs::canonicalize(devices.join(&name)) else { break };
            let Some(beneath) = beneath(&found) else { return Self::numbered(&name) };
            at = Some(name);
            name = beneath;
        }
        match at {
            Some(name) => Self::numbered(&name),
            None if rustix::fs::major(device) != 0 => Self(device),
            None => Self(0),
        }
    }

    fn numbered(name: &str) -> Self {
        let number = |text: &str| text.trim().parse().ok();
        let device =
            name.split_once(':').and_then(|(major, minor)| Some(rustix::fs::makedev(number(major)?, number(minor)?)));
        Self(device.unwrap_or(0))
    }
}

/// The number of the one device that another one lies on: a partition's disk, a volume's only part.
fn beneath(device: &Path) -> Option<String> {
    let number = |path: &Path| Some(fs::read_to_string(path.join("dev")).ok()?.trim().to_owned());
    if device.join("partition").exists() {
        return number(device.parent()?);
    }
    let mut parts = fs::read_dir(device.join("slaves")).ok()?;
    match (parts.next(), parts.next()) {
        (Some(Ok(only)), None) => number(&only.path()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A disk with a partition, a volume on it, and one over two disks; the tree of devices is made up.
    #[test]
    fn partitions_and_volumes_are_the_disk_they_lie_on() {
        let tmp = tempfile::tempdir().unwrap();
        let (all, by_number) = (tmp.path().join("devices"), tmp.path().join("block"));
        fs::create_dir(&by_number).unwrap();
        let device = |path: &str, number: &str, on: &[&str]| {
            let own = all.join(path);
            fs::create_dir_all(own.join("slaves")).unwrap();
            fs::write(own.join("dev"), format!("{number}\n")).unwrap();
            on.iter().for_each(|on| symlink(all.join(on), own.join("slaves").join(on.replace('/', "-"))).unwrap());
            symlink(&own, by_number.join(number)).unwrap();
        };
        device("sda", "8:0", &[]);
        device("sda/sda1", "8:1", &[]);
        fs::write(all.join("sda/sda1/partition"), "1\n").unwrap();
        device("sdb", "8:16", &[]);
        device("dm-0", "253:0", &["sda/sda1"]);
        device("dm-1", "253:1", &["sda", "sdb"]);
        device("dm-2", "253:2", &["dm-2"]);
        let disk = |major, minor| Disk::below(&by_number, rustix::fs::makedev(major, minor));
        let own = |major, minor| Disk(rustix::fs::makedev(major, minor));
        assert_eq!(disk(8, 0), own(8, 0));
        assert_eq!((disk(8, 1), disk(253, 0)), (own(8, 0), own(8, 0)));
        assert_eq!((disk(8, 16), disk(253, 1)), (own(8, 16), own(253, 1)));
        assert_eq!(disk(253, 2), own(253, 2), "a circle ends");
        assert_eq!(disk(9, 9), own(9, 9), "one that the system does not show");
        assert_eq!((disk(0, 45), Disk::of(Path::new("/there/is/none"))), (Disk(0), Disk(0)));
    }
}
