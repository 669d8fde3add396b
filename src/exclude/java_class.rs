//! What stands after a `\`, and what stands between `[` and `]`, in Java's `regex:` syntax.

use super::body_error::BodyError;
use super::java_cursor::Cursor;
use super::notation::Set;

/// What a `\` and the characters after it come to.
pub(super) enum Escaped {
    /// One character.
    Char(char),
    /// One of (or, negated, one outside of) the members, given in the engine's notation.
    Set { members: &'static str, negated: bool },
    /// A place, in the engine's notation.
    Place(&'static str),
}

impl Cursor {
    /// Reads an escape whose `\` has been read. The predefined classes are ASCII only, as in Java.
    pub(super) fn escape(&mut self) -> Result<Escaped, BodyError> {
        let Some(symbol) = self.next() else {
            return Err(BodyError::malformed("'\\' at the end", "a character after '\\'"));
        };
        let set = |members, negated| Ok(Escaped::Set { members, negated });
        match symbol.c {
            c if symbol.literal => Ok(Escaped::Char(c)),
            'd' | 'D' => set("0-9", symbol.c == 'D'),
            's' | 'S' => set(r"\x{9}-\x{d}\x{20}", symbol.c == 'S'),
            'w' | 'W' => set("0-9A-Z_a-z", symbol.c == 'W'),
            't' => Ok(Escaped::Char('\t')),
            'n' => Ok(Escaped::Char('\n')),
            'r' => Ok(Escaped::Char('\r')),
            'f' => Ok(Escaped::Char('\x0c')),
            'a' => Ok(Escaped::Char('\x07')),
            'e' => Ok(Escaped::Char('\x1b')),
            'x' if self.eat('{') => self.code_point("\\x{...}", None),
            'x' => self.code_point("\\x", Some(2)),
            'u' => self.code_point("\\u", Some(4)),
            'A' => Ok(Escaped::Place(r"\A")),
            'z' => Ok(Escaped::Place(r"\z")),
            c if c.is_ascii_alphanumeric() => Err(refused(c)),
            c => Ok(Escaped::Char(c)),
        }
    }

    /// Reads a character's number: that many hexadecimal digits, or any count of them up to a '}'.
    fn code_point(&mut self, construct: &str, digits: Option<usize>) -> Result<Escaped, BodyError> {
        let error = || BodyError::malformed(construct, "the hexadecimal number of a character that is no surrogate");
        let mut number = 0_u32;
        let mut read = 0;
        while Some(read) != digits {
            if digits.is_none() && read > 0 && self.eat('}') {
                break;
            }
            let symbol = self.next().filter(|s| !s.literal).ok_or_else(error)?;
            // No character has a number beyond 0x10ffff, so what overflows is none.
            let digit = symbol.c.to_digit(16).ok_or_else(error)?;
            number = number.checked_mul(16).ok_or_else(error)? + digit;
            read += 1;
        }
        char::from_u32(number).map(Escaped::Char).ok_or_else(error)
    }

    /// Reads a character class whose `[` has been read, and returns it in the engine's notation.
    pub(super) fn class(&mut self, ignore_case: bool) -> Result<String, BodyError> {
        let negated = self.eat('^');
        if self.peek_is(']') {
            return Err(BodyError::unsupported("']' as the first character of a class", "\\]"));
        }
        let mut set = Set::default();
        loop {
            if self.eat(']') {
                return Ok(set.finish(negated));
            }
            let first = match self.class_item()? {
                Escaped::Set { members, negated } => {
                    set.add_set(members, negated);
                    continue;
                }
                Escaped::Place(_) => return Err(BodyError::malformed("a boundary in a class", "characters")),
                Escaped::Char(c) => c,
            };
            // A '-' right before the ']' is a character.
            if !self.peek_is('-') || self.peek_after_is(']') {
                set.add(first, first, ignore_case);
                continue;
            }
            self.next();
            match self.class_item()? {
                Escaped::Char(last) if first <= last => set.add(first, last, ignore_case),
                _ => return Err(BodyError::malformed(format!("the range after {first:?}"), "a range such as a-z")),
            }
        }
    }

    fn class_item(&mut self) -> Result<Escaped, BodyError> {
        let Some(symbol) = self.next() else {
            return Err(BodyError::malformed("'['", "']' at the class's end, or \\["));
        };
        if symbol.is('[') {
            return Err(BodyError::unsupported("a class within a class", "one class, or \\["));
        }
        if symbol.is('&') && self.peek_is('&') {
            return Err(BodyError::unsupported("the class intersection \"&&\"", "one class, or \\&"));
        }
        if symbol.is('\\') { self.escape() } else { Ok(Escaped::Char(symbol.c)) }
    }
}

/// The error of a letter or digit that is not to be escaped.
fn refused(c: char) -> BodyError {
    let (construct, expected) = match c {
        '0' => ("an octal escape \\0", "\\x and two hexadecimal digits"),
        '1'..='9' | 'k' => ("a back-reference", "the text itself"),
        'b' | 'B' => ("the word boundary \\b or \\B", "the characters before and after it"),
        'p' | 'P' => ("the property \\p or \\P", "a class such as [A-Za-z]"),
        'h' | 'H' | 'v' | 'V' => ("the white space class \\h or \\v", "a class such as [ \\t]"),
        'R' => ("the line break \\R", "\\n"),
        'X' => ("the grapheme cluster \\X", "'.'"),
        'N' => ("the character name \\N", "\\x{...}"),
        'Z' => ("the end \\Z", "\\z, or nothing: a pattern is matched in full"),
        'G' => ("the boundary \\G", "nothing: a pattern is matched in full"),
        'c' => ("the control character \\c", "\\x and two hexadecimal digits"),
        _ => return BodyError::malformed(format!("\\{c}"), "an escape that Java knows"),
    };
    BodyError::unsupported(construct, expected)
}
