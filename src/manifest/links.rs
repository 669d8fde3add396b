//! Files with several names (hard links): of all names in one manifest the first is read, the others are known by it.

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};

use super::directory::DirectoryIndex;
use crate::scan::{FileContent, FileId};

/// Which of a file's names an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that is read.
    First(FileId),
    /// One that is known by it.
    Further(FileId),
}

/// A directory of a manifest: the root's number, and the directory in it.
pub(super) type Place = (usize, DirectoryIndex);

/// The files of a manifest that have several names in it, and what is known of them by now.
#[derive(Debug, Default)]
pub(super) struct HardLinks {
    /// By position in their directory, ascending.
    roles: HashMap<Place, Vec<(u32, Role)>>,
    known: Mutex<HashMap<FileId, FileContent>>,
}

impl HardLinks {
    /// Gives each name its role; `linked` are the names of all files that have several anywhere, in the order in which
    /// the first is to be found. A file of which only one name lies in the manifest has no role.
    pub(super) fn new(linked: Vec<(Place, Vec<(u32, FileId)>)>) -> Self {
        let mut names: HashMap<FileId, u32> = HashMap::new();
        for (_, id) in linked.iter().flat_map(|(_, files)| files) {
            *names.entry(*id).or_default() += 1;
        }
        let mut roles = HashMap::new();
        for (place, mut files) in linked {
            files.sort_unstable_by_key(|(position, _)| *position);
            let mut here = Vec::new();
            for (position, id) in files {
                match names.get_mut(&id) {
                    // Marks that the first name was found.
                    Some(count @ 2..) => {
                        *count = 0;
                        here.push((position, Role::First(id)));
                    }
                    Some(0) => here.push((position, Role::Further(id))),
                    Some(1) | None => {}
                }
            }
            if !here.is_empty() {
                roles.insert(place, here);
            }
        }
        Self { roles, known: Mutex::default() }
    }

    /// Whether any file of a directory has another name in the manifest.
    pub(super) fn concerns(&self, place: Place) -> bool {
        self.roles.contains_key(&place)
    }

    /// The role of a directory's file; `None` for one that has no other name in the manifest.
    pub(super) fn role(&self, place: Place, position: usize) -> Option<Role> {
        let roles = self.roles.get(&place)?;
        let at = roles.binary_search_by_key(&position, |(position, _)| *position as usize).ok()?;
        Some(roles[at].1)
    }

    /// Whether something in the directory is known only once everything else was read.
    pub(super) fn waits(&self, place: Place) -> bool {
        let further = |(_, role): &(u32, Role)| matches!(role, Role::Further(_));
        self.roles.get(&place).is_some_and(|roles| roles.iter().any(further))
    }

    /// All directories that wait, in no order.
    pub(super) fn waiting(&self) -> Vec<Place> {
        self.roles.keys().copied().filter(|place| self.waits(*place)).collect()
    }

    /// Notes what a first name led to.
    pub(super) fn learn(&self, id: FileId, content: FileContent) {
        self.known().insert(id, content);
    }

    /// What the first name led to; `None` where it could not be read.
    pub(super) fn content(&self, id: FileId) -> Option<FileContent> {
        self.known().get(&id).copied()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<FileId, FileContent>> {
        self.known.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::FileIdentity;

    fn ids() -> Vec<FileId> {
        let files: Vec<_> = (0..3).map(|_| tempfile::tempfile().unwrap()).collect();
        files.iter().map(|file| FileIdentity::of(&rustix::fs::fstat(file).unwrap()).file_id()).collect()
    }

    #[test]
    fn the_first_name_is_read_and_the_others_wait() {
        let [a, b, alone] = ids()[..] else { panic!("three files") };
        let (here, there) = ((0, DirectoryIndex(1)), (1, DirectoryIndex(0)));
        let links = HardLinks::new(vec![(here, vec![(7, a), (2, b), (4, b)]), (there, vec![(0, a), (1, alone)])]);
        let roles: Vec<_> = [2, 4, 7, 3].into_iter().map(|at| links.role(here, at)).collect();
        assert_eq!(roles, [Some(Role::First(b)), Some(Role::Further(b)), Some(Role::First(a)), None]);
        assert_eq!((links.role(there, 0), links.role(there, 1)), (Some(Role::Further(a)), None));
        let mut waiting = links.waiting();
        waiting.sort_unstable_by_key(|place| place.0);
        assert_eq!(waiting, [here, there]);
        assert!(!links.waits((0, DirectoryIndex(0))));
    }
}
