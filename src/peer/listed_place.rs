//! Where an entry of a listing stands, by its file URL. Pure.
//!
//! JSON cannot carry every name. A source prints U+FFFD or `?` for what it cannot write; U+FFFD has three bytes, so that a path may be
//! longer in a listing than it is at the source.

use super::file_request::Unaskable;
use crate::model::{Name, PathError, Problem, Reason, RelPath, RootId};
use crate::protocol::routes;

/// Where an entry stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Under this path. That of a root itself is empty: a source whose configured directory ends in a slash lists it.
    Entry(RelPath),
    /// Nowhere, since its path is too long: nothing is known of what has this path, nor of what is in it.
    Below(RelPath, Problem),
    /// Nowhere, since its name is too long only as it was listed: everything else in this directory is known.
    In(RelPath, Problem),
}

/// Which entry a file URL names. It is not percent-encoded.
pub(super) fn place(file_url: &str) -> Option<(RootId, Place)> {
    let path = file_url.strip_prefix(routes::FILES)?.strip_prefix('/')?;
    let (kind, rest) = path.split_once('/')?;
    let (index, path) = rest.split_once('/')?;
    let root: RootId = format!("{kind}/{index}").parse().ok()?;
    match RelPath::new(path.as_bytes()) {
        Ok(path) => Some((root, Place::Entry(path))),
        Err(error @ (PathError::PathTooLong | PathError::NameTooLong)) => Some((root, too_long(path, error)?)),
        Err(_) => None,
    }
}

/// The first name that no honest source has ends the search, and so does the first one from which on nothing fits.
fn too_long(path: &str, error: PathError) -> Option<Place> {
    let names = path.split('/').all(|name| matches!(Name::new(name.as_bytes()), Ok(_) | Err(PathError::NameTooLong)));
    let mut before = names.then(RelPath::root)?;
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        let (fits, begin) = (RelPath::new(&path.as_bytes()[..end]).ok(), before.as_bytes().len());
        match (fits, mangled(&path.as_bytes()[begin..end])) {
            (Some(path), Some(why)) => return Some(Place::Below(path, why.into())),
            (Some(path), None) => before = path,
            (None, Some(why @ Unaskable::NotText)) => return Some(Place::In(before, why.into())),
            (None, _) => {
                let problem = Problem::new(Reason::Unreadable, format!("an entry in it cannot be named: {error}"));
                return Some(Place::Below(before, problem));
            }
        }
    }
    None
}

/// Why a path as it was listed may be that of another entry; `None` where it cannot.
pub(super) fn mangled(path: &[u8]) -> Option<Unaskable> {
    let replaced = "\u{fffd}".as_bytes();
    match path.windows(replaced.len()).any(|window| window == replaced) {
        true => Some(Unaskable::NotText),
        false => path.contains(&b'?').then_some(Unaskable::Replaced),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands where: the kind of place, its path with runs shortened, and the problem.
    fn placed(path: &str) -> Option<(&'static str, usize, String)> {
        let (root, place) = place(&format!("{}/data/0/{path}", routes::FILES))?;
        assert_eq!(root, RootId::DATA_0);
        let (kind, path, problem) = match place {
            Place::Entry(path) => ("entry", path, String::new()),
            Place::Below(path, problem) => ("below", path, problem.detail),
            Place::In(path, problem) => ("in", path, problem.detail),
        };
        Some((kind, path.as_bytes().len(), problem))
    }

    /// So many names of a hundred bytes: 101 bytes each with their slashes, but for the last.
    fn names(count: usize) -> String {
        vec!["d".repeat(100); count].join("/")
    }

    fn not_text() -> String {
        Problem::from(Unaskable::NotText).detail
    }

    #[test]
    fn a_path_that_fits_is_an_entry_whatever_it_holds() {
        assert_eq!(placed("a/b?\u{fffd}"), Some(("entry", 7, String::new())));
        assert_eq!(placed(""), Some(("entry", 0, String::new())));
        assert_eq!(placed(&names(40)), Some(("entry", 4039, String::new())));
        for none in ["a//b", "../a", "a/.", "a\0", &format!("{}/../a", names(41)), &format!("{}//a", names(41))] {
            assert_eq!(placed(none), None, "{none:?}");
        }
        assert_eq!(place("/elsewhere/data/0/a"), None);
    }

    #[test]
    fn a_name_that_is_too_long_only_as_it_was_listed_leaves_its_directory_known() {
        let name = "\u{fffd}".repeat(30);
        let expected = Some(("in", 4039, not_text()));
        assert_eq!(placed(&format!("{}/{name}", names(40))), expected);
        assert_eq!(placed(&format!("{}/{name}/x", names(40))), expected, "what is below it as well");
        assert_eq!(placed(&format!("a/{}", "\u{fffd}".repeat(400))), Some(("in", 1, not_text())));
    }

    #[test]
    fn a_directory_that_may_be_another_one_hides_what_is_below_it_however_long() {
        assert_eq!(placed(&format!("a/\u{fffd}/{}", names(41))), Some(("below", 5, not_text())));
        assert_eq!(placed(&format!("a?/{}", names(41))), Some(("below", 2, Problem::from(Unaskable::Replaced).detail)));
    }

    #[test]
    fn a_path_that_is_too_long_by_itself_makes_its_whole_directory_unknown_as_it_does_here() {
        let detail = "an entry in it cannot be named: the path is longer than 4096 bytes".to_owned();
        assert_eq!(placed(&names(41)), Some(("below", 4039, detail.clone())));
        assert_eq!(placed(&names(60)), Some(("below", 4039, detail)));
        let detail = "an entry in it cannot be named: a name is longer than 1024 bytes".to_owned();
        assert_eq!(placed(&format!("a/{}", "x".repeat(1025))), Some(("below", 1, detail)));
    }
}
