//! Directories that were listed, and of which it is not known that they held just that all the while, as findings. Pure.

use std::collections::BTreeMap;

use crate::model::{FileUrl, Findings, Problem, Unverified};

/// Each such directory of either side is unverified once, whatever the entries in it say.
pub fn unsteady_directories(
    source: impl IntoIterator<Item = (FileUrl, Problem)>,
    destination: impl IntoIterator<Item = (FileUrl, Problem)>,
) -> Findings {
    let mut directories: BTreeMap<FileUrl, Unverified> = BTreeMap::new();
    let nobody = || Unverified { source: None, destination: None };
    for (url, problem) in source {
        directories.entry(url).or_insert_with(nobody).source = Some(problem);
    }
    for (url, problem) in destination {
        directories.entry(url).or_insert_with(nobody).destination = Some(problem);
    }
    let mut findings = Findings::default();
    let found = directories.into_iter().map(|(url, unverified)| Findings::unverified_directory(url, unverified));
    found.for_each(|directory| findings.absorb(directory));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Reason, RelPath, RootId};

    #[test]
    fn a_directory_that_changed_on_both_sides_is_one_finding() {
        let url = |path: &str| FileUrl::new(RootId::DATA_0, RelPath::new(path.as_bytes()).unwrap());
        let changed = |path: &str| (url(path), Problem::new(Reason::ChangedWhileReading, path));
        let found =
            unsteady_directories([changed("both"), changed("source")], [changed("both"), changed("destination")]);
        assert_eq!(found.counters.digest_verification_failures, 3);
        let sides: Vec<_> = found.differences.iter().map(|one| one.unverified.as_ref().map(Unverified::side)).collect();
        assert_eq!(sides, [Some("both"), Some("destination"), Some("source")]);
    }
}
