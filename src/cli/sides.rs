//! Both sides of a comparison as manifests, and what of them is compared.

use std::borrow::Cow;

use super::basis::Basis;
use super::exit_code::CommandError;
use super::local::Tree;
use super::narrowing::Narrowing;
use super::side::Side;
use crate::checksums::ChecksumList;
use crate::exclude::Filter;
use crate::manifest::{
    Comparand, Compared, Facts, Manifest, Part, Wanted, checksum_list_note, link_notes, names_not_found_note,
};
use crate::model::{RelPath, RootId, Side as Role};
use crate::verify::Values;

/// Both sides.
pub(super) struct Sides<'a> {
    sides: [&'a Side; 2],
    /// What was walked, at the place of its side.
    walked: [Option<&'a Manifest>; 2],
    /// What of a list is compared.
    lists: [Option<Cow<'a, ChecksumList>>; 2],
    /// What that says, as a manifest.
    listed: [Option<Manifest>; 2],
}

impl<'a> Sides<'a> {
    /// The sides, the scanned ones in the order they were walked; `elsewhere` are those that were scanned on other hosts.
    pub(super) fn of(
        sides: [&'a Side; 2],
        elsewhere: &[Option<Tree>; 2],
        walked: &'a [Manifest],
        narrowing: &Narrowing,
        basis: Basis,
    ) -> Result<Self, CommandError> {
        let mut walked = walked.iter();
        let walked = [0, 1].map(|at: usize| sides[at].tree().and_then(|_| walked.next()));
        let beside = |at: usize| sides[1 - at].tree().or(elsewhere[1 - at].as_ref());
        let wanted = |at: usize| {
            let list = sides[at].list();
            list.map(|list| list.wanted(beside(at), narrowing.filter.as_ref())).transpose()
        };
        let lists = [wanted(0)?, wanted(1)?];
        let other = |at: usize| -> Option<&dyn Comparand> {
            match (&sides[1 - at], walked[1 - at]) {
                (Side::File(file), _) => Some(file.as_ref()),
                (_, walked) => walked.map(|manifest| manifest as &dyn Comparand),
            }
        };
        let listed = |at: usize| -> Result<Option<Manifest>, CommandError> {
            let (Some(side), Some(list), Some(algorithm)) = (sides[at].list(), &lists[at], basis.checksums()) else {
                return Ok(None);
            };
            if let Some(other) = other(at) {
                only_one_root(other)?;
            }
            side.manifest(list, algorithm, beside(at), other(at)).map(Some)
        };
        let listed = [listed(0)?, listed(1)?];
        Ok(Self { sides, walked, lists, listed })
    }

    fn whole(&self, at: usize) -> Result<&dyn Comparand, CommandError> {
        match (&self.sides[at], self.walked[at], &self.listed[at]) {
            (Side::File(file), ..) => Ok(file.as_ref()),
            (Side::Directory(_), Some(manifest), _) => Ok(manifest),
            (Side::List(_), _, Some(manifest)) => Ok(manifest),
            (Side::Directory(tree), None, _) => Err(CommandError::Failed(format!("{} was not scanned", tree.label))),
            (Side::Remote(place), ..) => Err(CommandError::Failed(format!("{} was not fetched", place.host))),
            (Side::List(list), _, None) => Err(CommandError::Failed(format!("{} was not read", list.label))),
        }
    }

    /// What of them is compared. Where that is all, they are compared as they are.
    pub(super) fn narrowed<'s>(&'s self, narrowing: &'s Narrowing, basis: Basis) -> Result<Narrowed<'s>, CommandError> {
        let wholes = [self.whole(0)?, self.whole(1)?];
        let wanted = Facts { times: !narrowing.ignore_times, ..Facts::ALL };
        let filter = narrowing.filter.as_ref();
        if basis == Basis::Manifests && filter.is_none() && wanted == Facts::ALL {
            return Ok(Narrowed { wholes, parts: None, wanted, filter });
        }
        let part = |at: usize| {
            let facts = match &self.lists[at] {
                Some(list) => Facts { sizes: list.has_sizes(), times: false },
                None => Facts::ALL,
            };
            // A list knows no directory without files, so it takes none for missing at the other side either.
            let listed = self.lists[1 - at].as_deref().filter(|_| self.lists[at].is_none());
            Part::of(wholes[at], Wanted { filter, listed, facts })
        };
        Ok(Narrowed { wholes, parts: Some([part(0)?, part(1)?]), wanted, filter })
    }

    /// Where the values of files come from that are compared by a list.
    pub(super) fn values(&self) -> [Option<Values<'_>>; 2] {
        [0, 1].map(|at: usize| match (&self.lists[at], self.walked[at]) {
            (Some(list), _) => Some(Values::List(list)),
            (None, Some(manifest)) => Some(Values::Disk(manifest)),
            (None, None) => None,
        })
    }

    /// What a reader should know of lists, and of what lies beside them.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (at, role) in [(0, Role::Source), (1, Role::Destination)] {
            if let Some(list) = self.sides[at].list() {
                notes.push(checksum_list_note(role, &list.what()));
            } else if self.sides[1 - at].list().is_some() {
                notes.extend(self.whole(at).map(|whole| link_notes(role, &whole.tables())).unwrap_or_default());
            }
        }
        notes
    }
}

/// A list is of one directory.
fn only_one_root(other: &dyn Comparand) -> Result<(), CommandError> {
    match other.tables().as_slice() {
        [(RootId::DATA_0, _)] => Ok(()),
        roots => {
            let roots: Vec<String> = roots.iter().map(|(id, _)| id.to_string()).collect();
            let what = "a checksum list is of one directory, and the manifest of other roots than data/0";
            Err(CommandError::Usage(format!("{what}: {}", roots.join(", "))))
        }
    }
}

/// What of both sides is compared.
pub(super) struct Narrowed<'a> {
    wholes: [&'a dyn Comparand; 2],
    /// `None` where all of them is.
    parts: Option<[Part<'a>; 2]>,
    wanted: Facts,
    filter: Option<&'a Filter>,
}

impl<'a> Narrowed<'a> {
    /// Source and destination.
    pub(super) fn comparands(&self) -> [&dyn Comparand; 2] {
        match &self.parts {
            Some([source, destination]) => [source, destination],
            None => self.wholes,
        }
    }

    /// The parts that are compared; `None` where that is all.
    pub(super) fn parts(&self) -> Option<[&Part<'a>; 2]> {
        self.parts.as_ref().map(|[source, destination]| [source, destination])
    }

    /// The facts that both sides know, and those that are compared.
    pub(super) fn facts(&self) -> Compared {
        let [source, destination] = self.comparands();
        Compared { source: source.facts(), destination: destination.facts(), wanted: self.wanted }
    }

    /// What to say of the names of the filter that stand on neither side: in a note, and in the headline.
    pub(super) fn names_not_found(&self) -> Result<Option<[String; 2]>, CommandError> {
        let (Some(filter), Some([source, destination])) = (self.filter, &self.parts) else { return Ok(None) };
        let (at_source, at_destination) = (source.named(filter.names())?, destination.named(filter.names())?);
        let stands = |name: &&RelPath| at_source.contains(*name) || at_destination.contains(*name);
        let mut missing = filter.names().filter(|name| !stands(name));
        let first = missing.next();
        Ok(first.map(|first| {
            let count = 1 + missing.count();
            let stand = if count == 1 { "stands" } else { "stand" };
            let headline = format!("{count} of {} names {stand} on neither side", filter.names().count());
            [names_not_found_note(count, first), headline]
        }))
    }
}
