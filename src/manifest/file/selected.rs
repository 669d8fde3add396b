//! Whether a restricted manifest holds only what it says it is restricted to. Pure.

use super::section::FormatFault;
use crate::manifest::directory::DirectoryIndex;
use crate::manifest::table::DirectoryTable;
use crate::model::{RelPath, RootId, Selection};

/// Refuses roots, keyspaces and tables that a walk under this selection would have left out, and files that lie beside the
/// selected tables.
pub(super) fn check_selected<'a>(
    selection: &Selection,
    roots: impl Iterator<Item = (RootId, Option<&'a DirectoryTable>)>,
) -> Result<(), FormatFault> {
    for (root, table) in roots {
        let outside = |directory: RelPath| Err(FormatFault::NotSelected { root, directory });
        if !Selection::covers(root) {
            return outside(RelPath::root());
        }
        let Some(table) = table else { continue };
        // Whatever lies in a selected table is selected, so nothing below tables is looked at.
        let keyspaces = || table.children(DirectoryIndex::ROOT).map(|(keyspace, _)| keyspace);
        let tables = keyspaces().flat_map(|keyspace| table.children(keyspace)).map(|(directory, _)| directory);
        for directory in [DirectoryIndex::ROOT].into_iter().chain(keyspaces()).chain(tables) {
            let path = table.path(directory);
            let holds_files = table.get(directory).files > 0;
            if !selection.includes(root, &path, true) || (holds_files && !selection.may_hold_files(root, &path)) {
                return outside(path);
            }
        }
    }
    Ok(())
}
