//! `${...}` placeholders: which directory a pattern is about, and the directory's path put in their place.

use crate::model::{DirectoryType, RootId};

/// The directories that a placeholder names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placeholder {
    /// As written, with `${` and `}`.
    text: String,
    directory_type: DirectoryType,
    /// `None`: every index.
    index: Option<u32>,
}

impl Placeholder {
    /// The placeholder that decides about a pattern's body, its first; `Err` with the text of one that names nothing.
    pub(super) fn first_of(body: &str) -> Result<Option<Self>, String> {
        let mut first = None;
        for name in names(body) {
            let text = format!("${{{name}}}");
            match directory(name) {
                None => return Err(text),
                Some((directory_type, index)) => first = first.or(Some(Self { text, directory_type, index })),
            }
        }
        Ok(first)
    }

    /// Whether the pattern applies to this root.
    pub(super) fn names(&self, root: RootId) -> bool {
        self.directory_type == root.directory_type && self.index.is_none_or(|index| index == root.index)
    }
}

/// What stands between `${` and `}`, where that is a word; anything else with a dollar sign is ordinary text, above all
/// the `\${2}` of a regular expression.
fn names(body: &str) -> impl Iterator<Item = &str> {
    body.split("${").skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        let word = name.starts_with(|c: char| !c.is_numeric()) && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        word.then_some(name)
    })
}

fn directory(name: &str) -> Option<(DirectoryType, Option<u32>)> {
    let all = |directory_type| Some((directory_type, None));
    match name {
        "DATA_FILE_DIR" => all(DirectoryType::Data),
        "COMMITLOG_DIR" => all(DirectoryType::Commitlog),
        "HINTS_DIR" => all(DirectoryType::Hints),
        "SAVED_CACHES_DIR" => all(DirectoryType::SavedCaches),
        "CDC_RAW_DIR" => all(DirectoryType::CdcRaw),
        "LOCAL_SYSTEM_DATA_FILE_DIR" => all(DirectoryType::LocalSystemData),
        _ => {
            let digits = name.strip_prefix("DATA_FILE_DIR_")?;
            let index: u32 = digits.parse().ok()?;
            // "_01" or "_+1" is no index the Sidecar would ever print, so such a pattern would never apply.
            (index.to_string() == digits).then_some((DirectoryType::Data, Some(index)))
        }
    }
}

/// One character of a body, and whether it may be syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) c: char,
    /// The character stands for itself, whatever it is.
    pub(super) literal: bool,
}

impl Symbol {
    /// Whether this is the syntax character `c`.
    pub(super) fn is(self, c: char) -> bool {
        !self.literal && self.c == c
    }
}

/// The body with `home` in place of every occurrence of the placeholder; other placeholders stay as they are.
///
/// The Sidecar puts the path into the pattern's text, so that a `[` in a directory's name becomes a bracket expression
/// and a `.` any character. Here the path's characters always stand for themselves: an operator names a directory,
/// not a pattern. For names without such characters both give the same answer, down to a quantifier right after the
/// placeholder, which repeats the path's last character.
pub(super) fn substitute(body: &str, placeholder: Option<&Placeholder>, home: &str) -> Vec<Symbol> {
    let mut symbols = Vec::with_capacity(body.len());
    let plain = |c| Symbol { c, literal: false };
    match placeholder {
        None => symbols.extend(body.chars().map(plain)),
        Some(placeholder) => {
            for (i, part) in body.split(placeholder.text.as_str()).enumerate() {
                if i > 0 {
                    symbols.extend(home.chars().map(|c| Symbol { c, literal: true }));
                }
                symbols.extend(part.chars().map(plain));
            }
        }
    }
    symbols
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applies(body: &str, root: &str) -> bool {
        Placeholder::first_of(body).unwrap().unwrap().names(root.parse().unwrap())
    }

    #[test]
    fn a_placeholder_names_its_directories_and_no_others() {
        assert!(applies("${DATA_FILE_DIR}/x", "data/0"));
        assert!(applies("${DATA_FILE_DIR}/x", "data/10"));
        assert!(!applies("${DATA_FILE_DIR}/x", "local_system_data/0"));
        assert!(applies("${DATA_FILE_DIR_1}/x", "data/1"));
        assert!(!applies("${DATA_FILE_DIR_1}/x", "data/10"));
        for (name, root) in [
            ("COMMITLOG_DIR", "commitlog/0"),
            ("HINTS_DIR", "hints/0"),
            ("SAVED_CACHES_DIR", "saved_caches/0"),
            ("CDC_RAW_DIR", "cdc_raw/0"),
            ("LOCAL_SYSTEM_DATA_FILE_DIR", "local_system_data/0"),
        ] {
            let body = format!("${{{name}}}/x");
            assert!(applies(&body, root), "{name}");
            assert!(!applies(&body, "data/0"), "{name}");
        }
    }

    #[test]
    fn the_first_placeholder_decides() {
        assert!(applies("a${HINTS_DIR}/${COMMITLOG_DIR}", "hints/0"));
        assert!(!applies("a${HINTS_DIR}/${COMMITLOG_DIR}", "commitlog/0"));
    }

    #[test]
    fn unknown_names_are_refused_and_other_dollars_are_text() {
        for name in ["DATA", "data_file_dir", "DATA_FILE_DIR_", "DATA_FILE_DIR_01", "DATA_FILE_DIR_4294967296"] {
            let text = format!("${{{name}}}");
            assert_eq!(Placeholder::first_of(&format!("${{HINTS_DIR}}/{text}")), Err(text));
        }
        for body in ["$HINTS_DIR", "${}", "${2}", "${a,b}", "${HINTS_DIR", "$ {HINTS_DIR}", "${a${b"] {
            assert_eq!(Placeholder::first_of(body), Ok(None), "{body}");
        }
    }

    #[test]
    fn the_path_is_literal_at_every_occurrence() {
        let body = "${HINTS_DIR}*${HINTS_DIR}";
        let placeholder = Placeholder::first_of(body).unwrap();
        let symbols = substitute(body, placeholder.as_ref(), "/*");
        assert_eq!(symbols.iter().map(|s| s.c).collect::<String>(), "/**/*");
        assert_eq!(symbols.iter().map(|s| s.literal).collect::<Vec<_>>(), [true, true, false, true, true]);
    }
}
