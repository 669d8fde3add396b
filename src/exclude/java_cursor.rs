//! The symbols of a pattern in Java's `regex:` syntax, read from left to right.

use super::placeholder::Symbol;

/// The symbols, and how far they have been read.
pub(super) struct Cursor {
    input: Vec<Symbol>,
    at: usize,
}

impl Cursor {
    /// Stands before the first symbol.
    pub(super) fn new(input: Vec<Symbol>) -> Self {
        Self { input, at: 0 }
    }

    /// Whether everything was read.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.input.len()
    }

    /// The next symbol, not taken.
    pub(super) fn peek(&self) -> Option<Symbol> {
        self.input.get(self.at).copied()
    }

    /// Takes the next symbol.
    pub(super) fn next(&mut self) -> Option<Symbol> {
        let symbol = self.input.get(self.at).copied();
        self.at += usize::from(symbol.is_some());
        symbol
    }

    /// Whether the next symbol is the syntax character `c`.
    pub(super) fn peek_is(&self, c: char) -> bool {
        self.input.get(self.at).is_some_and(|s| s.is(c))
    }

    /// Whether the one after the next is.
    pub(super) fn peek_after_is(&self, c: char) -> bool {
        self.input.get(self.at + 1).is_some_and(|s| s.is(c))
    }

    /// Takes the next symbol where it is the syntax character `c`, and says whether it was.
    pub(super) fn eat(&mut self, c: char) -> bool {
        let there = self.peek_is(c);
        self.at += usize::from(there);
        there
    }

    /// Takes a number of decimal digits; `None` where there is none within Java's limit.
    pub(super) fn number(&mut self) -> Option<u32> {
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
