//! The heads of groups in Java's `regex:` syntax: what follows `(?`.

use super::body_error::BodyError;
use super::java_cursor::Cursor;

/// How characters are read; it holds until the end of the group in which it is set, across its alternatives.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    /// `(?i)`.
    pub(super) ignore_case: bool,
    /// `(?s)`.
    pub(super) dot_all: bool,
}

/// What the heads of the groups so far have set.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) flags: Flags,
    names: Vec<String>,
}

impl Groups {
    /// Reads what follows "(?"; false where that was all there is to the group.
    pub(super) fn read_head(&mut self, cursor: &mut Cursor) -> Result<bool, BodyError> {
        if cursor.eat(':') {
            return Ok(true);
        }
        if cursor.peek_is('=') || cursor.peek_is('!') {
            return Err(BodyError::unsupported("a look-ahead (?= or (?!", "patterns that say what does match"));
        }
        if cursor.eat('>') {
            return Err(BodyError::unsupported("an atomic group (?>", "(?:"));
        }
        if cursor.eat('<') {
            if cursor.peek_is('=') || cursor.peek_is('!') {
                return Err(BodyError::unsupported("a look-behind (?<= or (?<!", "patterns that say what does match"));
            }
            return self.read_name(cursor).map(|()| true);
        }
        let mut on = true;
        loop {
            match cursor.next() {
                Some(s) if s.is('i') => self.flags.ignore_case = on,
                Some(s) if s.is('s') => self.flags.dot_all = on,
                Some(s) if s.is('-') && on => on = false,
                Some(s) if s.is(':') => return Ok(true),
                Some(s) if s.is(')') => return Ok(false),
                Some(s) if "mdxuUc".contains(s.c) && !s.literal => {
                    return Err(BodyError::unsupported(format!("the flag (?{})", s.c), "no flags but (?i) and (?s)"));
                }
                _ => return Err(BodyError::malformed("\"(?\"", "a kind of group that Java knows, or \\(")),
            }
        }
    }

    fn read_name(&mut self, cursor: &mut Cursor) -> Result<(), BodyError> {
        let mut name = String::new();
        let closed = loop {
            match cursor.next() {
                None => break false,
                Some(s) if s.is('>') => break true,
                Some(s) => name.push(s.c),
            }
        };
        let word =
            name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric());
        if !closed || !word || self.names.contains(&name) {
            return Err(BodyError::malformed(
                "the group name after \"(?<\"",
                "letters and digits, each name once, and '>'",
            ));
        }
        self.names.push(name);
        Ok(())
    }
}
