//! The names of entries in which two sides differ, alone, for other programs.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _};

use super::args::NamesWanted;
use super::exit_code::CommandError;
use super::output;
use crate::manifest::tells_other_rules;
use crate::model::{DifferenceKind, FileUrl, RelPath, RootId, SourceRules, printable};
use crate::protocol::{DifferenceBody, TaskStatus};

/// How names are printed.
#[derive(Debug, Clone)]
pub(super) struct NameList {
    pub wanted: NamesWanted,
    /// The root that they lie in.
    pub root: RootId,
    /// Each ends with a zero byte, else with a line break.
    pub null: bool,
    /// Entries of the source of which nobody knows what is in them. What the destination has there is not known to be missing at the source,
    /// and is not named among what is to be deleted.
    pub hidden: BTreeSet<RelPath>,
}

/// Names are of what the source does not have, and not of what it leaves out.
pub(super) fn refuse_deletion(wanted: NamesWanted, status: &TaskStatus, notes: &[String]) -> Result<(), CommandError> {
    let rules = status.scope.as_ref().map(|scope| scope.source_rules);
    match rules {
        _ if wanted != NamesWanted::Delete => Ok(()),
        Some(SourceRules::Same) | None => Ok(()),
        Some(SourceRules::Different) => {
            let what = notes
                .iter()
                .find(|note| tells_other_rules(note))
                .map_or("the two sides leave out different files", |note| note);
            Err(CommandError::Usage(format!("--files delete would name what the source only leaves out: {what}")))
        }
        Some(SourceRules::Unknown) => Err(CommandError::Failed(
            "--files delete: nobody knows what the source leaves out; that would be among the names".to_owned(),
        )),
    }
}

/// Why so many names are not among those of what is to be deleted.
pub(super) fn skipped_names(count: u64) -> String {
    format!(
        "{count} names are not among them: they lie where the source has a symbolic link to a directory, something that could \
         not be read, or no such root at all, so that nobody knows whether it has them"
    )
}

/// Takes some differences.
pub(super) type Take<'a> = &'a mut dyn FnMut(&[DifferenceBody]) -> io::Result<()>;

/// Gives all differences in their order, some at a time; where that is asked for, the last of these first.
pub(super) type Given<'a> = &'a dyn Fn(bool, Take<'_>) -> io::Result<()>;

impl NamesWanted {
    fn takes(self, kind: DifferenceKind) -> bool {
        use DifferenceKind::{
            Content, MissingAtDestination, MissingAtSource, ModificationTime, Size, Type, Unverified,
        };
        match self {
            Self::Copy => matches!(kind, MissingAtDestination | Type | Size | ModificationTime | Content),
            Self::Differ => matches!(kind, Type | Size | ModificationTime | Content),
            Self::Delete => kind == MissingAtSource,
            Self::Unverified => kind == Unverified,
        }
    }
}

/// The root that names are to be printed of: the one that was named, else the only one.
pub(super) fn root(named: Option<RootId>, roots: &[RootId]) -> Result<RootId, CommandError> {
    let all = || roots.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (named, roots) {
        (Some(named), roots) if roots.contains(&named) => Ok(named),
        (Some(named), _) => {
            Err(CommandError::Usage(format!("--root {named}: it was not compared; there are: {}", all())))
        }
        (None, [only]) => Ok(*only),
        (None, _) => Err(CommandError::Usage(format!("say with --root of which root: {}", all()))),
    }
}

impl NameList {
    /// Prints the names, and tells how many were passed over because the source may have them. What is deleted goes before the directory that
    /// it lies in.
    pub(super) fn print(mut self, given: Given<'_>) -> Result<u64, CommandError> {
        let failed = |error: io::Error| CommandError::Failed(error.to_string());
        let mut skipped = 0;
        if self.wanted == NamesWanted::Delete {
            given(false, &mut |differences| {
                let unverified = self.unverified_at_source(differences);
                self.hidden.extend(unverified);
                Ok(())
            })
            .map_err(failed)?;
            given(false, &mut |differences| {
                skipped += self.paths(differences).filter(|path| self.hides(path)).count() as u64;
                Ok(())
            })
            .map_err(failed)?;
        }
        if !self.null {
            let mut broken = false;
            let look = &mut |differences: &[DifferenceBody]| {
                broken |= self.names(differences).any(|name| name.iter().any(|byte| matches!(byte, b'\n' | b'\r')));
                Ok(())
            };
            given(false, look).map_err(failed)?;
            if broken {
                let what = "a name holds a line break or a carriage return, and would be taken for two: add -0";
                return Err(CommandError::Usage(what.to_owned()));
            }
        }
        let backwards = self.wanted == NamesWanted::Delete;
        let end: &[u8] = if self.null { b"\0" } else { b"\n" };
        let for_eyes = io::stdout().is_terminal();
        output::stream(|out| {
            given(backwards, &mut |differences| {
                let mut names: Vec<Vec<u8>> = self.names(differences).collect();
                if backwards {
                    names.reverse();
                }
                for name in names {
                    match for_eyes {
                        true => out.write_all(printable(&String::from_utf8_lossy(&name)).as_bytes())?,
                        false => out.write_all(&name)?,
                    }
                    out.write_all(end)?;
                }
                Ok(())
            })
        })?;
        Ok(skipped)
    }

    fn names<'a>(&'a self, differences: &'a [DifferenceBody]) -> impl Iterator<Item = Vec<u8>> + 'a {
        let deletes = self.wanted == NamesWanted::Delete;
        let paths = self.paths(differences).filter(move |path| !deletes || !self.hides(path));
        paths.map(|path| for_others(path.as_bytes()))
    }

    fn paths<'a>(&'a self, differences: &'a [DifferenceBody]) -> impl Iterator<Item = RelPath> + 'a {
        let wanted = differences.iter().filter(|difference| self.wanted.takes(difference.kind));
        wanted.filter_map(|difference| self.path(difference))
    }

    /// The path, where it lies in the root.
    fn path(&self, difference: &DifferenceBody) -> Option<RelPath> {
        let url = FileUrl::parse(&difference.file_url, difference.path_hex.as_deref());
        url.filter(|url| url.root == self.root).map(|url| url.path)
    }

    fn unverified_at_source(&self, differences: &[DifferenceBody]) -> Vec<RelPath> {
        let unverified = differences.iter().filter(|one| one.kind == DifferenceKind::Unverified);
        let at_source = unverified.filter(|one| one.side.as_deref() != Some("destination"));
        at_source.filter_map(|difference| self.path(difference)).collect()
    }

    /// Whether an entry is, or lies below, one of which nobody knows what is in it.
    fn hides(&self, path: &RelPath) -> bool {
        std::iter::successors(Some(path.clone()), RelPath::parent).any(|path| self.hidden.contains(&path))
    }
}

/// A name as other programs take it: one that begins as an option does, or as a remark in a list of rsync, begins with `./` instead.
fn for_others(path: &[u8]) -> Vec<u8> {
    match path.first() {
        None => b".".to_vec(),
        Some(b'-' | b'#' | b';') => [b"./", path].concat(),
        Some(_) => path.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_and_delete_are_all_that_differs_and_share_nothing() {
        use DifferenceKind::{
            Content, MissingAtDestination, MissingAtSource, ModificationTime, Size, Type, Unverified,
        };
        let all = [MissingAtSource, MissingAtDestination, Type, Size, ModificationTime, Content, Unverified];
        for kind in all {
            let [copy, delete, differ, unverified] =
                [NamesWanted::Copy, NamesWanted::Delete, NamesWanted::Differ, NamesWanted::Unverified]
                    .map(|wanted| wanted.takes(kind));
            assert_eq!(u8::from(copy) + u8::from(delete) + u8::from(unverified), 1, "{kind:?}");
            assert_eq!(differ, copy && kind != MissingAtDestination, "{kind:?}");
        }
    }

    #[test]
    fn no_name_is_taken_for_something_else() {
        let names = [&b""[..], b"a/-b", b"-rf", b"#x", b";x"].map(|path| String::from_utf8(for_others(path)).unwrap());
        assert_eq!(names, [".", "a/-b", "./-rf", "./#x", "./;x"]);
    }

    #[test]
    fn names_are_of_one_root() {
        let [data, hints]: [RootId; 2] = ["data/0", "hints/0"].map(|root| root.parse().unwrap());
        assert_eq!(root(None, &[data]).unwrap(), data);
        assert_eq!(root(Some(hints), &[data, hints]).unwrap(), hints);
        assert_eq!(
            root(None, &[data, hints]).unwrap_err().to_string(),
            "say with --root of which root: data/0, hints/0"
        );
        assert!(root(Some(hints), &[data]).is_err());
    }
}
