//! A selection as texts among directory patterns: so it enters the fingerprint of the rules, and so it stands in manifest
//! files of format 1 and in what hosts tell each other.

use crate::model::{Selection, SelectionError};

/// What such a text begins with. No pattern does: a pattern begins with its syntax.
const ONLY: &str = "only:";

/// One text for each selected name, in the order of the names.
pub fn only_texts(selection: &Selection) -> impl Iterator<Item = String> + use<> {
    selection.names().into_iter().map(|name| format!("{ONLY}{name}"))
}

/// Takes the names of a selection out of directory patterns; `None` where there are none.
pub fn take_selection(directory_patterns: &mut Vec<String>) -> Result<Option<Selection>, SelectionError> {
    let is_name = |text: &mut String| text.starts_with(ONLY);
    let names: Vec<String> =
        directory_patterns.extract_if(.., is_name).map(|text| text[ONLY.len()..].to_owned()).collect();
    (!names.is_empty()).then(|| Selection::parse(&names)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn texts_lead_back_to_the_selection() {
        let selection = Selection::parse(&texts(&["b.t", "a"])).unwrap();
        let mut patterns = texts(&["glob:x"]);
        patterns.extend(only_texts(&selection));
        assert_eq!(patterns, ["glob:x", "only:a", "only:b.t"]);
        assert_eq!(take_selection(&mut patterns), Ok(Some(selection)));
        assert_eq!(patterns, ["glob:x"]);
        assert_eq!(take_selection(&mut patterns), Ok(None));
    }

    #[test]
    fn a_text_that_names_nothing_is_an_error() {
        assert_eq!(take_selection(&mut texts(&["only:a/b"])), Err(SelectionError::Name("a/b".to_owned())));
        assert_eq!(take_selection(&mut texts(&["only:"])), Err(SelectionError::Name(String::new())));
    }
}
