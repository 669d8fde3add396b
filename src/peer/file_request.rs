//! The request for one file of the per-file protocol, as it will stand on the wire. Pure.
//!
//! A source of this protocol reads escapes of unreserved characters (letters, digits, `-._~`) as those characters, and
//! everything else as it stands. So a name must cross the wire as it is: one that was changed on the way would be read as
//! the name of another file, whose digest proves nothing of this one.

use std::fmt;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::model::{FileUrl, Problem, Reason};
use crate::net::Endpoint;
use crate::protocol::routes;

/// The request for a file whose name stands on the wire exactly as the source's listing has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRequest(Url);

impl FileRequest {
    /// The request for `file` at `peer`, or why there is none. What is checked is the very value that is sent.
    pub fn new(peer: &Endpoint, file: &FileUrl) -> Result<Self, Unaskable> {
        let name = file.text();
        if name.contains(char::REPLACEMENT_CHARACTER) {
            return Err(Unaskable::NotText);
        }
        if let Some((escape, read_as)) = unreserved_escape(&name) {
            return Err(Unaskable::Escape { escape: escape.to_owned(), read_as });
        }
        let url = Url::parse(&peer.url(&name)).map_err(|_| Unaskable::Changed(None))?;
        match url.path() == name && url.query().is_none() && url.fragment().is_none() {
            true => Ok(Self(url)),
            false => Err(Unaskable::Changed(first_change(&name, url.path()))),
        }
    }

    /// What goes with it. A name without a `%` has one reading, so nothing need be said of it. Another one may be read as
    /// another file's where its own is gone by now; a source of ours does not where it is told how the name is meant.
    pub(super) fn headers(&self) -> HeaderMap {
        let literal = (HeaderName::from_static(routes::PATH_READING), HeaderValue::from_static(routes::LITERAL_PATH));
        self.0.path().contains('%').then_some(literal).into_iter().collect()
    }

    /// Where the file's bytes are.
    pub(super) fn bytes(&self) -> &Url {
        &self.0
    }

    /// Where its digest by the algorithm of this name is.
    pub(super) fn digest(&self, algorithm: &str) -> Url {
        let mut url = self.0.clone();
        url.set_query(Some(&format!("digestAlgorithm={algorithm}")));
        url
    }
}

/// Why a file cannot be asked for by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unaskable {
    /// Its name is not UTF-8, or holds U+FFFD, which stands in a listing for every byte that is not.
    NotText,
    /// Its name as it was listed holds `?`, which a source prints for a character that it cannot write.
    Replaced,
    /// Several entries of a listing have this name, since the listing could not carry their own.
    Ambiguous,
    /// The source would read an escape in its name as a character.
    Escape {
        /// The escape, such as `%41`.
        escape: String,
        /// The character it stands for.
        read_as: char,
    },
    /// The name would cross the wire as another one; the first character that would change, where one can be named.
    Changed(Option<char>),
}

impl fmt::Display for Unaskable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the per-file protocol cannot carry its name: ")?;
        match self {
            Self::NotText => f.write_str("it is not UTF-8, or holds U+FFFD"),
            Self::Replaced => f.write_str("the ? in it may stand for another character"),
            Self::Ambiguous => f.write_str("several entries of the source's listing read the same"),
            Self::Escape { escape, read_as } => write!(f, "a source would read {escape} in it as {read_as}"),
            Self::Changed(Some(' ')) => f.write_str("a space in it would change on the way"),
            Self::Changed(Some('\\')) => f.write_str("the character \\ in it would change on the way"),
            Self::Changed(Some(c)) => write!(f, "the character {} in it would change on the way", c.escape_debug()),
            Self::Changed(None) => f.write_str("it would change on the way"),
        }
    }
}

impl From<Unaskable> for Problem {
    fn from(why: Unaskable) -> Self {
        Self::new(Reason::PeerError, why.to_string())
    }
}

/// The first `%XX` that stands for a letter, a digit, or one of `-._~`, and what it stands for.
fn unreserved_escape(name: &str) -> Option<(&str, char)> {
    name.match_indices('%').find_map(|(at, _)| {
        let escape = name.get(at..at + 3)?;
        let digits = escape[1..].bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(&escape[1..])?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        let unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        unreserved.then_some((escape, char::from(byte)))
    })
}

/// The first character of `name` that is not the same in `sent`.
fn first_change(name: &str, sent: &str) -> Option<char> {
    let same = name.bytes().zip(sent.bytes()).take_while(|(a, b)| a == b).count();
    name[name.floor_char_boundary(same)..].chars().next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{RelPath, RootId};

    fn request(path: &[u8]) -> Result<FileRequest, Unaskable> {
        let peer = Endpoint::http("node1", 9043);
        FileRequest::new(&peer, &FileUrl::new(RootId::DATA_0, RelPath::new(path).unwrap()))
    }

    fn why(path: &[u8]) -> String {
        let why = request(path).unwrap_err().to_string();
        why.strip_prefix("the per-file protocol cannot carry its name: ").unwrap().to_owned()
    }

    #[test]
    fn names_that_sidecars_verify_stand_as_they_are() {
        for name in [
            "ks/tbl-1/nb-1-big-SAI+aa+idx+TermsData.db",
            "a;b:c@d&e=f,g$h!i(j)k'l*m",
            "a%2Fb",
            "a%2fb%20c%25%C3%A9",
            "%2541",
            "50%",
            "%4",
            "%zz",
            "..x",
            "[x]^|",
        ] {
            let request = request(name.as_bytes()).unwrap();
            let path = format!("/api/v1/live-migration/files/data/0/{name}");
            assert_eq!(request.bytes().as_str(), format!("http://node1:9043{path}"));
            assert_eq!(request.digest("MD5").as_str(), format!("http://node1:9043{path}?digestAlgorithm=MD5"));
        }
    }

    #[test]
    fn a_name_that_would_be_another_one_is_refused_with_what_is_wrong() {
        for (name, expected) in [
            ("x%41", "a source would read %41 in it as A"),
            ("x%2d", "a source would read %2d in it as -"),
            ("x%2D", "a source would read %2D in it as -"),
            ("%2e%2E/x", "a source would read %2e in it as ."),
            ("%%41", "a source would read %41 in it as A"),
            ("a\\b", "the character \\ in it would change on the way"),
            ("a\tb", "the character \\t in it would change on the way"),
            ("a\nb", "the character \\n in it would change on the way"),
            ("a\u{1b}b", "the character \\u{1b} in it would change on the way"),
            ("a b", "a space in it would change on the way"),
            ("a ", "a space in it would change on the way"),
            ("a#b", "the character # in it would change on the way"),
            ("a?b", "the character ? in it would change on the way"),
            ("a?", "the character ? in it would change on the way"),
            ("a{b", "the character { in it would change on the way"),
            ("é", "the character é in it would change on the way"),
            ("a\u{fffd}", "it is not UTF-8, or holds U+FFFD"),
        ] {
            assert_eq!(why(name.as_bytes()), expected, "{name:?}");
        }
        assert_eq!(why(b"a\xff"), "it is not UTF-8, or holds U+FFFD");
    }

    proptest! {
        #[test]
        fn a_request_has_the_name_and_nothing_else(name in "[ -~\t\n\u{7f}é/]{1,40}") {
            let Ok(path) = RelPath::new(name.as_bytes()) else { return Ok(()) };
            if let Ok(request) = request(path.as_bytes()) {
                let digest = request.digest("MD5");
                let sent = digest.as_str().strip_prefix("http://node1:9043/api/v1/live-migration/files/data/0/");
                let expected = format!("{name}?digestAlgorithm=MD5");
                prop_assert_eq!(sent, Some(expected.as_str()));
                prop_assert!(name.is_ascii() && unreserved_escape(&name).is_none());
            }
        }
    }
}
