//! Quantifiers of Java's `regex:` syntax.

use super::body_error::BodyError;
use super::java_cursor::Cursor;

impl Cursor {
    /// Reads a quantifier, if there is one, and returns it in the engine's notation.
    pub(super) fn quantifier(&mut self) -> Result<Option<String>, BodyError> {
        let Some(symbol) = self.peek().filter(|s| !s.literal && "*+?{".contains(s.c)) else {
            return Ok(None);
        };
        self.next();
        let notation = if symbol.c == '{' { self.count()? } else { symbol.c.to_string() };
        if self.eat('+') {
            return Err(BodyError::unsupported("a possessive quantifier", "the quantifier without its '+'"));
        }
        // A reluctant quantifier accepts the same texts.
        self.eat('?');
        if "*+?{".chars().any(|c| self.peek_is(c)) {
            return Err(BodyError::unsupported("a quantifier after a quantifier", "a group around the first"));
        }
        Ok(Some(notation))
    }

    /// Reads `n}`, `n,}` or `n,m}`.
    fn count(&mut self) -> Result<String, BodyError> {
        let error = || BodyError::malformed("'{'", "{n}, {n,} or {n,m} with n <= m, or \\{");
        let least = self.number().ok_or_else(error)?;
        let count = if !self.eat(',') {
            format!("{{{least}}}")
        } else if self.peek_is('}') {
            format!("{{{least},}}")
        } else {
            let most = self.number().filter(|most| least <= *most).ok_or_else(error)?;
            format!("{{{least},{most}}}")
        };
        if self.eat('}') { Ok(count) } else { Err(error()) }
    }
}
