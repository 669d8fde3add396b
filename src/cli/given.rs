//! The manifests that a command is given: each once, and what is to be said where they do not speak of the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::exit_code::CommandError;
use crate::manifest::Identity;
use crate::model::Selection;

/// How many manifests a remark names.
const NAMED: usize = 5;

/// Refuses a file that is given twice: what is counted twice is wrong wherever it is summed up.
pub(super) fn refuse_twice(manifests: &[PathBuf]) -> Result<(), CommandError> {
    let mut seen = BTreeSet::new();
    for path in manifests {
        // One that is not there is named when it is opened.
        let place = path.canonicalize().unwrap_or_else(|_| path.clone());
        if !seen.insert(place) {
            return Err(CommandError::Usage(format!("{} is given twice", path.display())));
        }
    }
    Ok(())
}

/// What manifests leave out: exclusion rules and selections, each with the first manifest that was made under it.
#[derive(Debug, Default)]
pub(super) struct Scopes(BTreeMap<[u8; 32], (PathBuf, Option<Selection>)>);

impl Scopes {
    /// Notes what one of them leaves out.
    pub(super) fn note(&mut self, path: &Path, identity: &Identity) {
        self.0.entry(identity.rules).or_insert_with(|| (path.to_owned(), identity.selection.clone()));
    }

    /// What is to be said of them, a line for each matter.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.0.len() > 1 {
            let first: Vec<String> = self.0.values().take(NAMED).map(|(path, _)| path.display().to_string()).collect();
            let more = if self.0.len() > NAMED { ", ..." } else { "" };
            remarks.push(format!(
                "the manifests were made under {} different rules, so that what one leaves out may be in another: {}{more}",
                self.0.len(),
                first.join(", ")
            ));
        }
        let restricted = self.0.values().filter_map(|(path, selection)| Some((path, selection.as_ref()?)));
        remarks.extend(restricted.take(NAMED).map(|(path, selection)| {
            format!(
                "{} holds only {}, and others that were made so do as well",
                path.display(),
                selection.names().join(", ")
            )
        }));
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::Rules;

    #[test]
    fn a_file_is_given_once_under_whatever_name() {
        let tmp = tempfile::tempdir().unwrap();
        let (a, b) = (tmp.path().join("a"), tmp.path().join("b"));
        std::fs::write(&a, "").unwrap();
        std::fs::write(&b, "").unwrap();
        assert!(refuse_twice(&[a.clone(), b.clone(), tmp.path().join("none")]).is_ok());
        let again = tmp.path().join("./b");
        let error = refuse_twice(&[a, b, again.clone()]).unwrap_err().to_string();
        assert_eq!(error, format!("{} is given twice", again.display()));
    }

    #[test]
    fn other_rules_and_parts_are_said() {
        let identity = |rules: &Rules| Identity::new(String::new(), String::new(), 0, rules);
        let selection = Selection::parse(&["ks1".to_owned()]).unwrap();
        let mut scopes = Scopes::default();
        scopes.note(Path::new("a"), &identity(&Rules::none()));
        scopes.note(Path::new("b"), &identity(&Rules::none()));
        assert_eq!(scopes.remarks(), Vec::<String>::new());
        scopes.note(Path::new("c"), &identity(&Rules::none().restricted_to(&selection)));
        let remarks = scopes.remarks();
        assert_eq!(remarks.len(), 2);
        assert!(remarks[0].contains("2 different rules") && remarks[1].starts_with("c holds only ks1"), "{remarks:?}");
    }
}
