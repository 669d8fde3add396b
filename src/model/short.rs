//! Texts of others in messages: their beginning, where they are long. A message is read by a person.

use std::fmt;

/// How much of a text stands in a message, in bytes.
const SHOWN_BYTES: usize = 200;

/// A text as it stands in a message; behind the beginning of a long one stands how long it is.
pub fn short(text: &str) -> impl fmt::Display + '_ {
    Short { text, quoted: false }
}

/// The same in quotes, with escapes.
pub fn quoted(text: &str) -> impl fmt::Display + '_ {
    Short { text, quoted: true }
}

struct Short<'a> {
    text: &'a str,
    quoted: bool,
}

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.text[..self.text.floor_char_boundary(SHOWN_BYTES)];
        match self.quoted {
            true => write!(f, "{shown:?}")?,
            false => f.write_str(shown)?,
        }
        match shown.len() == self.text.len() {
            true => Ok(()),
            false => write!(f, "... ({} bytes)", self.text.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_the_beginning_is_shown_and_its_length() {
        assert_eq!(
            (short("a\"b").to_string(), quoted("a\"b").to_string()),
            ("a\"b".to_owned(), "\"a\\\"b\"".to_owned())
        );
        let exact = "x".repeat(SHOWN_BYTES);
        assert_eq!(short(&exact).to_string(), exact);
        let long = format!("x{}", "\u{e9}".repeat(500));
        assert_eq!(short(&long).to_string(), format!("x{}... (1001 bytes)", "\u{e9}".repeat(99)));
        assert_eq!(quoted(&long).to_string(), format!("\"x{}\"... (1001 bytes)", "\u{e9}".repeat(99)));
    }
}
