//! Pieces of the engine's pattern language that both translations write: characters and sets of characters.

use std::fmt::Write as _;

/// Java's `.`: any character but its line terminators.
pub(super) const DOT: &str = r"[^\n\r\x{85}\x{2028}\x{2029}]";

/// Appends a character that stands for itself, inside a set or outside.
pub(super) fn push_char(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() {
        out.push(c);
    } else {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\x{{{:x}}}", u32::from(c));
    }
}

/// The members of a set, in the engine's notation.
#[derive(Debug, Default)]
pub(super) struct Set {
    members: String,
}

impl Set {
    /// The notation of one character of the set or, with `negated`, outside of it.
    pub(super) fn finish(&self, negated: bool) -> String {
        format!("[{}{}]", if negated { "^" } else { "" }, self.members)
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds the characters from `first` to `last`, and with `ignore_case` the ASCII letters among them in both cases:
    /// Java folds no others unless asked to.
    pub(super) fn add(&mut self, first: char, last: char, ignore_case: bool) {
        push_char(&mut self.members, first);
        if first != last {
            self.members.push('-');
            push_char(&mut self.members, last);
        }
        if ignore_case {
            for (from, to, other) in [('a', 'z', 'A'), ('A', 'Z', 'a')] {
                let (low, high) = (first.max(from), last.min(to));
                if low <= high {
                    let swap = |c: char| char::from(c as u8 - from as u8 + other as u8);
                    self.add(swap(low), swap(high), false);
                }
            }
        }
    }

    /// Adds what another set holds or, with `negated`, does not hold.
    pub(super) fn add_set(&mut self, members: &str, negated: bool) {
        let _ = write!(self.members, "[{}{members}]", if negated { "^" } else { "" });
    }
}
