//! Texts from outside as they may be shown: what does not print is escaped, so that no name and no message of a peer can
//! begin a line of its own, move a cursor, or turn the order of what is read.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A text from outside with every character that does not print as an escape such as `\n` or `\u{202e}`. What is escaped already
/// stays as it is.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, prints, |out, c| out.extend(c.escape_default()))
}

/// The same for a text of several lines that were put together from printable texts: only the ends of lines stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\n' || prints(c), |out, c| out.extend(c.escape_default()))
}

/// A JSON text with every character beyond ASCII that does not print as JSON's own escape; it means the same. JSON itself
/// escapes those below, and has its line ends and spaces outside of texts.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    escaped(
        json,
        |c| c < '\u{7f}' || prints(c),
        |out, c| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        },
    )
}

fn escaped(text: &str, stays: impl Fn(char) -> bool, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if text.chars().all(&stays) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match stays(c) {
            true => out.push(c),
            false => escape(&mut out, c),
        }
    }
    Cow::Owned(out)
}

/// Whether a character shows as itself. The table is the standard library's: no control and format characters (those that
/// turn the direction of a text among them), no separators but the space, nothing private or unassigned. Here, characters that
/// show nothing though they are letters or marks are left out as well.
pub(super) fn prints(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' => false,
        '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}' => false,
        // Behind a letter, as marks stand that combine with one: those are escaped only at a begin.
        c => {
            let mut behind_a_letter = [b'a', 0, 0, 0, 0];
            let length = 1 + c.encode_utf8(&mut behind_a_letter[1..]).len();
            let text = std::str::from_utf8(&behind_a_letter[..length]).unwrap_or_default();
            text.escape_debug().nth(1).is_some_and(|shown| shown == c)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C0, DEL, C1, directions, line and paragraph separators, what has no width, what is private, no character, or a letter that
    /// shows nothing.
    const HOSTILE: &str = "\0\u{1}\u{8}\t\n\r\u{1b}\u{1f}\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{a0}\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\
                           \u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\
                           \u{3164}\u{fe0f}\u{feff}\u{fff9}\u{e000}\u{ffff}\u{1f8ff}\u{e0041}\u{e0100}\u{10ffff}";

    #[test]
    fn what_does_not_print_is_escaped_wherever_it_stands() {
        assert_eq!(printable("a\u{1b}[2J\nCOMPLETED"), "a\\u{1b}[2J\\nCOMPLETED");
        assert_eq!(printable("gpj.\u{202e}x\u{9b}1m\u{2028}"), "gpj.\\u{202e}x\\u{9b}1m\\u{2028}");
        for c in HOSTILE.chars() {
            assert!(!prints(c), "{c:?}");
            let (shown, lines) = (printable(c.encode_utf8(&mut [0; 4])).into_owned(), format!("a{c}"));
            assert!(shown.is_ascii() && shown.starts_with('\\'), "{c:?}");
            assert_eq!(printable_lines(&lines) == lines, c == '\n', "{c:?}");
        }
    }

    #[test]
    fn what_prints_stays() {
        for text in [
            "",
            " a~",
            "\u{e9}",
            "e\u{301}",
            "\u{5d0}\u{628}",
            "\u{65e5}\u{672c}",
            "\u{1f600}",
            "back\\slash \"q\" 'q'",
        ] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
        let twice = printable(HOSTILE);
        assert_eq!(printable(&twice), twice);
    }

    #[test]
    fn json_with_escapes_means_the_same() {
        let json = serde_json::to_string(HOSTILE).unwrap();
        let shown = printable_json(&json);
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), HOSTILE);
        assert!(matches!(printable_json("{\n  \"a\": \"\u{e9}\"\n}"), Cow::Borrowed(_)));
    }
}
