//! Groups and quantifiers of Java's `regex:` syntax.

use super::error::Fault;
use super::java_regex::{EndsWithDollar, Parser};

/// How deep groups may nest; the parser and the engine recurse that deep.
const MAX_DEPTH: usize = 100;

impl Parser {
    /// Reads a group whose '(' has been read.
    pub(super) fn group(&mut self) -> Result<EndsWithDollar, Fault> {
        let outer = (self.ignore_case, self.dot_all);
        let places = self.places;
        if self.eat('?') && !self.group_head()? {
            return Ok(false);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::unsupported("groups nested too deep", "at most 100 levels"));
        }
        self.out.push_str("(?:");
        let dollar = self.alternatives()?;
        if !self.eat(')') {
            return Err(Fault::malformed("'('", "')' at the group's end, or \\("));
        }
        self.out.push(')');
        self.depth -= 1;
        (self.ignore_case, self.dot_all) = outer;
        // Java ends a repetition at the first turn that takes nothing in, even where fewer turns were made than asked
        // for. What takes nothing in only at some places can thereby stop it short.
        if self.quantifier()? && self.places > places {
            return Err(Fault::unsupported(
                "a repeated group with a boundary such as '^' in it",
                "the boundary outside",
            ));
        }
        Ok(dollar)
    }

    /// Reads what follows "(?"; false where that was all there is to the group.
    fn group_head(&mut self) -> Result<bool, Fault> {
        if self.eat(':') {
            return Ok(true);
        }
        if self.peek_is('=') || self.peek_is('!') {
            return Err(Fault::unsupported("a look-ahead (?= or (?!", "patterns that say what does match"));
        }
        if self.eat('>') {
            return Err(Fault::unsupported("an atomic group (?>", "(?:"));
        }
        if self.eat('<') {
            if self.peek_is('=') || self.peek_is('!') {
                return Err(Fault::unsupported("a look-behind (?<= or (?<!", "patterns that say what does match"));
            }
            return self.group_name().map(|()| true);
        }
        let mut on = true;
        loop {
            match self.next() {
                Some(s) if s.is('i') => self.ignore_case = on,
                Some(s) if s.is('s') => self.dot_all = on,
                Some(s) if s.is('-') && on => on = false,
                Some(s) if s.is(':') => return Ok(true),
                Some(s) if s.is(')') => return Ok(false),
                Some(s) if "mdxuUc".contains(s.c) && !s.literal => {
                    return Err(Fault::unsupported(format!("the flag (?{})", s.c), "no flags but (?i) and (?s)"));
                }
                _ => return Err(Fault::malformed("\"(?\"", "a kind of group that Java knows, or \\(")),
            }
        }
    }

    fn group_name(&mut self) -> Result<(), Fault> {
        let mut name = String::new();
        while let Some(s) = self.next().filter(|s| !s.is('>')) {
            name.push(s.c);
        }
        let closed = self.at > 0 && self.input[self.at - 1].is('>');
        let word =
            name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric());
        if !closed || !word || self.group_names.contains(&name) {
            return Err(Fault::malformed(
                "the group name after \"(?<\"",
                "letters and digits, each name once, and '>'",
            ));
        }
        self.group_names.push(name);
        Ok(())
    }

    /// Reads a quantifier, if there is one, and tells whether there was.
    pub(super) fn quantifier(&mut self) -> Result<bool, Fault> {
        let Some(symbol) = self.input.get(self.at).copied().filter(|s| !s.literal && "*+?{".contains(s.c)) else {
            return Ok(false);
        };
        self.at += 1;
        if symbol.c == '{' {
            let count = self.count()?;
            self.out.push_str(&count);
        } else {
            self.out.push(symbol.c);
        }
        if self.eat('+') {
            return Err(Fault::unsupported("a possessive quantifier", "the quantifier without its '+'"));
        }
        // A reluctant quantifier accepts the same texts.
        self.eat('?');
        if "*+?{".chars().any(|c| self.peek_is(c)) {
            return Err(Fault::unsupported("a quantifier after a quantifier", "a group around the first"));
        }
        Ok(true)
    }

    /// Reads `n}`, `n,}` or `n,m}`.
    fn count(&mut self) -> Result<String, Fault> {
        let fault = || Fault::malformed("'{'", "{n}, {n,} or {n,m} with n <= m, or \\{");
        let least = self.number().ok_or_else(fault)?;
        let count = if !self.eat(',') {
            format!("{{{least}}}")
        } else if self.peek_is('}') {
            format!("{{{least},}}")
        } else {
            let most = self.number().filter(|most| least <= *most).ok_or_else(fault)?;
            format!("{{{least},{most}}}")
        };
        if self.eat('}') { Ok(count) } else { Err(fault()) }
    }

    fn number(&mut self) -> Option<u32> {
        let mut digits = String::new();
        while let Some(digit) = self.digit() {
            digits.push(digit);
            self.at += 1;
        }
        // Java's limit.
        digits.parse().ok().filter(|n| *n <= i32::MAX as u32)
    }

    /// The next character, where it is a digit that may be syntax.
    pub(super) fn digit(&self) -> Option<char> {
        self.input.get(self.at).filter(|s| !s.literal && s.c.is_ascii_digit()).map(|s| s.c)
    }
}
