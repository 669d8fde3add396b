//! Java's `regex:` syntax, translated where it means a regular language, refused by name where it does not.
//!
//! A pattern is matched in full, so only the set of texts it accepts counts: how greedy a quantifier is and what a
//! group captures do not matter, and both are left out of the translation. Sets, escapes and case are written out
//! member by member, because the two languages differ in what `.`, `\w`, `$` and `(?i)` take in.

use super::body_error::BodyError;
use super::java_class::Escaped;
use super::java_cursor::Cursor;
use super::java_group::Groups;
use super::limits::MAX_GROUP_DEPTH;
use super::notation::{DOT, Set, push_char};
use super::placeholder::Symbol;

/// The same language in the engine's notation.
pub(super) fn translate(symbols: Vec<Symbol>) -> Result<String, BodyError> {
    let cursor = Cursor::new(unquote(symbols));
    let mut parser = Parser { cursor, depth: 0, places: 0, groups: Groups::default(), out: String::new() };
    parser.alternatives()?;
    if !parser.cursor.is_at_end() {
        return Err(BodyError::malformed("')'", "'(' before it, or \\)"));
    }
    Ok(parser.out)
}

/// Takes `\Q` and `\E` away; what stands between them stands for itself. Java does the same before it parses.
fn unquote(symbols: Vec<Symbol>) -> Vec<Symbol> {
    let mut out = Vec::with_capacity(symbols.len());
    let mut quoted = false;
    let mut rest = symbols.into_iter().peekable();
    while let Some(symbol) = rest.next() {
        let mark = if quoted { 'E' } else { 'Q' };
        if !symbol.is('\\') {
            out.push(Symbol { literal: quoted || symbol.literal, ..symbol });
        } else if rest.next_if(|s| s.is(mark)).is_some() {
            quoted = !quoted;
        } else {
            out.push(Symbol { literal: quoted, ..symbol });
            if !quoted {
                out.extend(rest.next());
            }
        }
    }
    out
}

/// Reads the pattern from left to right and writes its translation.
struct Parser {
    cursor: Cursor,
    depth: usize,
    /// How many `^`, `$` and the like have been read.
    places: usize,
    groups: Groups,
    out: String,
}

/// Whether a part may end with `$`. Java's `$` also stands before a line terminator at the very end; that is no
/// different from the end itself as long as nothing after the `$` can take the line terminator in.
type EndsWithDollar = bool;

impl Parser {
    fn alternatives(&mut self) -> Result<EndsWithDollar, BodyError> {
        let mut dollar = self.sequence()?;
        while self.cursor.eat('|') {
            self.out.push('|');
            dollar |= self.sequence()?;
        }
        Ok(dollar)
    }

    fn sequence(&mut self) -> Result<EndsWithDollar, BodyError> {
        let mut dollar = false;
        while !self.cursor.peek_is('|') && !self.cursor.peek_is(')') {
            let Some(symbol) = self.cursor.next() else { break };
            if dollar && !symbol.is('$') {
                return Err(BodyError::unsupported("'$' before other parts", "'$' at the end, or \\$"));
            }
            dollar = self.part(symbol)?;
        }
        Ok(dollar)
    }

    /// One part of a sequence, with its quantifier.
    fn part(&mut self, symbol: Symbol) -> Result<EndsWithDollar, BodyError> {
        match symbol.c {
            c if symbol.literal => self.character(c),
            '(' => return self.group(),
            '[' => {
                let class = self.cursor.class(self.groups.flags.ignore_case)?;
                self.out.push_str(&class);
            }
            '.' => self.out.push_str(if self.groups.flags.dot_all { "(?s:.)" } else { DOT }),
            '^' => return self.place(r"\A").map(|()| false),
            '$' => return self.place(r"\z").map(|()| true),
            '{' if self.cursor.digit().is_some() => {
                return Err(BodyError::unsupported(
                    "a count with nothing before it to repeat",
                    "a part before it, or \\{",
                ));
            }
            '*' | '+' | '?' | '{' => {
                let construct = format!("{:?} with nothing before it to repeat", symbol.c);
                return Err(BodyError::malformed(
                    construct,
                    "a part before the quantifier, or a '\\' before the character",
                ));
            }
            '\\' => match self.cursor.escape()? {
                Escaped::Char(c) => self.character(c),
                Escaped::Place(place) => return self.place(place).map(|()| false),
                Escaped::Set { members, negated } => {
                    let mut set = Set::default();
                    set.add_set(members, negated);
                    self.out.push_str(&set.finish(false));
                }
            },
            c => self.character(c),
        }
        self.quantifier().map(|_| false)
    }

    /// Reads a group whose '(' has been read.
    fn group(&mut self) -> Result<EndsWithDollar, BodyError> {
        let outer = self.groups.flags;
        let places = self.places;
        if self.cursor.eat('?') && !self.groups.read_head(&mut self.cursor)? {
            return Ok(false);
        }
        self.depth += 1;
        if self.depth > MAX_GROUP_DEPTH {
            return Err(BodyError::unsupported("groups nested too deep", "at most 100 levels"));
        }
        self.out.push_str("(?:");
        let dollar = self.alternatives()?;
        if !self.cursor.eat(')') {
            return Err(BodyError::malformed("'('", "')' at the group's end, or \\("));
        }
        self.out.push(')');
        self.depth -= 1;
        self.groups.flags = outer;
        // Java ends a repetition at the first turn that takes nothing in, even where fewer turns were made than asked
        // for. What takes nothing in only at some places can so stop it short.
        if self.quantifier()? && self.places > places {
            return Err(BodyError::unsupported(
                "a repeated group with a boundary such as '^' in it",
                "the boundary outside",
            ));
        }
        Ok(dollar)
    }

    /// Reads a quantifier, if there is one, and tells whether there was.
    fn quantifier(&mut self) -> Result<bool, BodyError> {
        let quantifier = self.cursor.quantifier()?;
        self.out.extend(quantifier.as_deref());
        Ok(quantifier.is_some())
    }

    fn character(&mut self, c: char) {
        if self.groups.flags.ignore_case && c.is_ascii_alphabetic() {
            let mut set = Set::default();
            set.add(c, c, true);
            self.out.push_str(&set.finish(false));
        } else {
            push_char(&mut self.out, c);
        }
    }

    fn place(&mut self, notation: &str) -> Result<(), BodyError> {
        self.places += 1;
        self.out.push_str(notation);
        if self.quantifier()? {
            return Err(BodyError::unsupported("a quantifier after a boundary", "the boundary alone"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PatternError, Rules};
    use crate::model::{RelPath, RootId};
    use std::path::Path;

    fn compile(regex: &str) -> Result<Rules, PatternError> {
        Rules::compile(&[format!("regex:{regex}")], &[]).map_err(|mut errors| errors.remove(0))
    }

    fn matches(regex: &str, name: &str) -> bool {
        let rules = compile(regex).unwrap().for_root(RootId::DATA_0, Path::new("/d")).unwrap();
        rules.excludes_file(&RelPath::new(name.as_bytes()).unwrap())
    }

    #[test]
    fn constructs_keep_javas_meaning() {
        assert!(matches("/d/.*", "a/b"));
        assert!(!matches("/d/.*", "a\nb"));
        assert!(!matches("/d/.", "\u{2028}"));
        assert!(matches("(?s)/d/.*", "a\nb"));
        assert!(!matches("/d", "x"));
        assert!(!matches("/d/\\w", "é"));
        assert!(!matches("/d/\\d", "٣"));
        assert!(matches("/d/[^\\W_]\\S", "a\u{a0}"));
        assert!(matches("(?i)/D/[a-c]k", "BK"));
        assert!(!matches("(?i)/d/k", "\u{212a}"));
        assert!(matches("/d/(?i:a)b", "Ab"));
        assert!(!matches("/d/(?i:a)b", "AB"));
        assert!(matches("/d/\\Qa.b\\E+", "a.bb"));
        assert!(matches("^/d/(a|b$)$|x", "b"));
        assert!(matches("/d/[a-]\\x41\\u0042\\x{1f600}", "-AB😀"));
        assert!(matches("/d/(?<n1>a){2,3}?]}", "aaa]}"));
    }

    #[test]
    fn what_cannot_keep_its_meaning_is_refused_by_name() {
        for (regex, name) in [
            ("a(?=b)", "look-ahead"),
            ("a(?!b)", "look-ahead"),
            ("(?<=a)b", "look-behind"),
            ("(?<!a)b", "look-behind"),
            ("(?>a)", "atomic"),
            ("a*+", "possessive"),
            ("a{2}+", "possessive"),
            ("a{2}{3}", "quantifier after a quantifier"),
            ("a|{3}", "a count with nothing before it"),
            ("^*a", "quantifier after a boundary"),
            ("(a)\\1", "back-reference"),
            ("(?<x>a)\\k<x>", "back-reference"),
            ("[a[b]]", "a class within a class"),
            ("[a-z&&b]", "intersection"),
            ("[]a]", "first character of a class"),
            ("\\p{javaLowerCase}", "property"),
            ("\\P{L}", "property"),
            ("[\\pL]", "property"),
            ("a\\b", "word boundary"),
            ("a\\Z", "\\Z"),
            ("\\Ga", "\\G"),
            ("\\07", "octal"),
            ("\\h", "white space"),
            ("\\R", "line break"),
            ("\\X", "grapheme"),
            ("\\N{DIGIT ONE}", "character name"),
            ("\\cA", "control character"),
            ("(?d)a", "the flag (?d)"),
            ("(?m)a", "the flag (?m)"),
            ("(?x)a", "the flag (?x)"),
            ("(?iu:a)", "the flag (?u)"),
            ("(?U)a", "the flag (?U)"),
            ("a$\\n", "'$' before other parts"),
            ("(?s)(a|b$).?", "'$' before other parts"),
            ("(a$\\n?)", "'$' before other parts"),
            ("(a$)*", "repeated group with a boundary"),
            ("(/|^){2}a", "repeated group with a boundary"),
        ] {
            let Err(PatternError::Unsupported { pattern, construct, .. }) = compile(regex) else {
                panic!("{regex} must be refused as unsupported");
            };
            assert_eq!(pattern, format!("regex:{regex}"));
            assert!(construct.contains(name), "{regex}: {construct}");
        }
    }

    #[test]
    fn what_java_refuses_is_refused() {
        for regex in [
            "a)",
            "(a",
            "[a",
            "[z-a]",
            "[a-\\w]",
            "*a",
            "a|+",
            "(?i)*",
            "{a",
            "a{",
            "a{,2}",
            "a{3,2}",
            "a**",
            "\\",
            "\\y",
            "\\E",
            "\\x4",
            "\\x{110000}",
            "\\x{}",
            "\\ud83d",
            "(?<1>a)",
            "(?<a>b)(?<a>c)",
            "(?<a",
            "(?q)",
            "[\\A]",
            "a{2147483648}",
        ] {
            assert!(compile(regex).is_err(), "{regex}");
        }
    }

    #[test]
    fn hostile_patterns_are_refused_before_they_cost_anything() {
        assert!(matches!(compile("((a{1000}){1000}){1000}"), Err(PatternError::TooLarge { .. })));
        let deep = "(".repeat(2000) + &")".repeat(2000);
        assert!(matches!(compile(&deep), Err(PatternError::Unsupported { .. })));
        assert!(compile(&("(".repeat(100) + "a" + &")".repeat(100))).is_ok());
    }
}
