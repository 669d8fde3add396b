//! Java's `glob:` syntax, translated.
//!
//! | written | means |
//! | --- | --- |
//! | `*`, `?` | any characters, one character, of one name |
//! | `**` | any characters, `/` among them, but no line terminator |
//! | `[abc]`, `[a-z]`, `[!a]` | one character of (or outside) a set, never `/`; `^`, `*`, `?` and `\` are ordinary in it |
//! | `{a,b}` | one of the alternatives, each a pattern itself; no group within a group |
//! | `\x` | the character x |
//!
//! Everything else stands for itself: a leading dot, a comma or a closing brace outside a group.

use std::slice::Iter;

use super::body_error::BodyError;
use super::notation::{DOT, Set, push_char};
use super::placeholder::Symbol;

/// The same language in the engine's notation.
pub(super) fn translate(symbols: &[Symbol]) -> Result<String, BodyError> {
    let mut out = String::new();
    let mut rest = symbols.iter();
    let mut in_group = false;
    while let Some(&Symbol { c, literal }) = rest.next() {
        match c {
            _ if literal => push_char(&mut out, c),
            '\\' => match rest.next() {
                Some(escaped) => push_char(&mut out, escaped.c),
                None => return Err(BodyError::malformed("'\\' at the end", "a character after '\\'")),
            },
            '*' if next_is(&rest, '*') => {
                rest.next();
                out.push_str(DOT);
                out.push('*');
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '[' => bracket(&mut rest, &mut out)?,
            '{' if in_group => {
                return Err(BodyError::malformed("'{' inside a group", "no group within a group, or \\{"));
            }
            '{' => {
                in_group = true;
                out.push_str("(?:");
            }
            '}' if in_group => {
                in_group = false;
                out.push(')');
            }
            ',' if in_group => out.push('|'),
            _ => push_char(&mut out, c),
        }
    }
    if in_group { Err(BodyError::malformed("'{'", "'}' at the group's end, or \\{")) } else { Ok(out) }
}

fn next_is(rest: &Iter<'_, Symbol>, c: char) -> bool {
    rest.as_slice().first().is_some_and(|s| s.is(c))
}

/// Translates a bracket expression whose `[` has been read.
fn bracket(rest: &mut Iter<'_, Symbol>, out: &mut String) -> Result<(), BodyError> {
    let unclosed = || BodyError::malformed("'['", "']' at the bracket expression's end, or \\[");
    let range = |construct: String| BodyError::malformed(construct, "a range such as a-z, or '-' as the first or last");
    let mut set = Set::default();
    let negated = next_is(rest, '!');
    if next_is(rest, '^') {
        // Here '^' is an ordinary character, but, unlike others, it begins no range, and no '-' may follow it.
        rest.next();
        set.add('^', '^', false);
    } else {
        if negated {
            rest.next();
        }
        if next_is(rest, '-') {
            rest.next();
            set.add('-', '-', false);
        }
    }
    // The character that a '-' after it would make the beginning of a range, and whether it already ends one.
    let mut begin: Option<(char, bool)> = None;
    loop {
        let symbol = *rest.next().ok_or_else(unclosed)?;
        if symbol.is(']') {
            break;
        }
        if symbol.c == '/' {
            return Err(BodyError::malformed("'/' in a bracket expression", "characters of one name"));
        }
        if !symbol.is('-') {
            set.add(symbol.c, symbol.c, false);
            begin = Some((symbol.c, false));
            continue;
        }
        let (first, ends_range) = begin.take().ok_or_else(|| range("'-' in a bracket expression".to_owned()))?;
        let last = *rest.next().ok_or_else(unclosed)?;
        if last.is(']') {
            set.add('-', '-', false);
            break;
        }
        if last.is('\\') {
            // Java writes such an end into its own notation without an escape, where it swallows what follows.
            return Err(BodyError::unsupported("'\\' as the end of a range", "a range with another end"));
        }
        if last.is('[') || !units_ordered(first, last.c) || (!ends_range && first > last.c) {
            return Err(range(format!("the range {:?}", format!("{first}-{}", last.c))));
        }
        if ends_range {
            set.add('-', '-', false);
            set.add(last.c, last.c, false);
        } else {
            set.add(first, last.c, false);
        }
        // Nothing may begin at the end of a range, but of a character of two UTF-16 units Java takes the second for
        // one that follows the range; a '-' after that is ordinary.
        begin = (last.c.len_utf16() == 2).then_some((last.c, true));
    }
    if set.is_empty() {
        // Java reads the ']' twice, once as a member, and misses the end.
        return Err(BodyError::malformed("an empty bracket expression", "at least one character between '[' and ']'"));
    }
    out.push_str(&format!("[[^/]&&{}]", set.finish(negated)));
    Ok(())
}

/// Java orders a range's ends as characters and, before that, by the UTF-16 units that stand next to the '-'.
fn units_ordered(first: char, last: char) -> bool {
    let (mut a, mut b) = ([0; 2], [0; 2]);
    first.encode_utf16(&mut a).last() <= last.encode_utf16(&mut b).first()
}

#[cfg(test)]
mod tests {
    use super::super::{PatternError, Rules};
    use crate::model::{RelPath, RootId};
    use std::path::Path;

    fn matches(glob: &str, path: &[u8]) -> bool {
        let rules = Rules::compile(&[format!("glob:{glob}")], &[]).unwrap();
        let rules = rules.for_root(RootId::DATA_0, Path::new("/d")).unwrap();
        rules.excludes_file(&RelPath::new(path).unwrap())
    }

    fn error(glob: &str) -> PatternError {
        Rules::compile(&[format!("glob:{glob}")], &[]).unwrap_err().remove(0)
    }

    #[test]
    fn wildcards_stay_within_a_name_unless_doubled() {
        assert!(matches("/d/*", b".x"));
        assert!(!matches("/d/*", b"a/b"));
        assert!(matches("/d/**", b"a/b"));
        assert!(matches("/d/?/b", b"a/b"));
        assert!(!matches("/d?b", b"b"));
        assert!(!matches("/d[!x]b", b"b"));
        assert!(matches("/d/{a,b/*,}", b"b/c"));
        assert!(matches("/d/a},b", b"a},b"));
    }

    #[test]
    fn one_wildcard_is_one_character_or_one_stray_byte() {
        assert!(matches("/d/?", "é".as_bytes()));
        assert!(matches("/d/[è-ê]", "é".as_bytes()));
        assert!(matches("/d/?", b"\xff"));
        assert!(!matches("/d/?", b"\xe2\x82"));
        assert!(matches("/d/??", b"\xe2\x82"));
        assert!(matches("/d/[!a]x", b"\xc3x"));
        assert!(!matches("/d/x", b"x\xff"));
    }

    #[test]
    fn a_line_terminator_is_part_of_a_name_but_not_of_a_double_star() {
        assert!(matches("/d/a*b", b"a\nb"));
        assert!(!matches("/d/a**b", b"a\nb"));
    }

    #[test]
    fn what_java_refuses_or_garbles_is_refused() {
        for glob in ["a\\", "[a", "[]", "[!]", "{a", "{a,{b}}", "[a/b]", "[z-a]", "[a--]", "[--a]", "[^-a]", "[A-[]"] {
            assert!(matches!(error(glob), PatternError::Malformed { .. }), "{glob}");
        }
        assert!(matches!(error("[A-\\]"), PatternError::Unsupported { .. }));
        assert_eq!(
            error("[a").to_string(),
            "exclusion pattern \"glob:[a\" is malformed at '[': expected ']' at the bracket expression's end, or \\["
        );
    }
}
