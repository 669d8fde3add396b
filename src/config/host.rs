//! Names of hosts with an optional port, and when two of them name the same host.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::model::quoted;

/// A host, with the port where one was written: `host`, `host:port`, `[v6]:port`, `[v6]` or a bare IPv6 address.
///
/// Equality is that of names: letter case and the spelling of an IPv6 address do not count.
#[derive(Debug, Clone)]
pub struct HostName {
    /// The host as it was written, without brackets.
    pub host: String,
    /// The port where one was written.
    pub port: Option<u16>,
}

/// Why a text is not the name of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostNameError {
    /// The text is no name and no address.
    #[error("{} is not a host; expected host, host:port, an IPv6 address or [IPv6 address]:port", quoted(.0))]
    NotAHost(String),
    /// What follows the colon is no port.
    #[error("{} has no valid port; expected a port from 1 to 65535 after the colon", quoted(.0))]
    NotAPort(String),
}

impl HostName {
    /// Whether a request to `host` and `port` means this name; a name with a port means that port alone.
    pub fn matches(&self, host: &str, port: Option<u16>) -> bool {
        same_host(&self.host, host) && (self.port.is_none() || self.port == port)
    }

    /// Whether one request could mean both names.
    pub fn overlaps(&self, other: &Self) -> bool {
        same_host(&self.host, &other.host) && (self.port.is_none() || other.port.is_none() || self.port == other.port)
    }
}

impl PartialEq for HostName {
    fn eq(&self, other: &Self) -> bool {
        same_host(&self.host, &other.host) && self.port == other.port
    }
}

impl Eq for HostName {}

/// The form that stands in a URL: an IPv6 address in brackets.
impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_a_host = || HostNameError::NotAHost(text.to_owned());
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']').ok_or_else(not_a_host)?;
                if address.parse::<Ipv6Addr>().is_err() {
                    return Err(not_a_host());
                }
                match after {
                    "" => (address, None),
                    _ => (address, Some(after.strip_prefix(':').ok_or_else(not_a_host)?)),
                }
            }
            None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
            None => match text.split_once(':') {
                // More colons or a slash: a broken address or a URL, not a broken port.
                Some((host, port)) if is_name(host) && !port.contains([':', '/']) => (host, Some(port)),
                None if is_name(text) => (text, None),
                _ => return Err(not_a_host()),
            },
        };
        let port = port.map(|port| parse_port(port).ok_or_else(|| HostNameError::NotAPort(text.to_owned())));
        Ok(Self { host: host.to_owned(), port: port.transpose()? })
    }
}

/// Whether two hosts, without ports, are the same one.
pub(super) fn same_host(a: &str, b: &str) -> bool {
    canonical(a) == canonical(b)
}

/// The form in which hosts are compared: lower case, an IPv6 address in its shortest spelling and without brackets.
pub(crate) fn canonical(host: &str) -> Cow<'_, str> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<Ipv6Addr>() {
        Ok(address) => Cow::Owned(address.to_string()),
        Err(_) if host.bytes().any(|b| b.is_ascii_uppercase()) => Cow::Owned(host.to_ascii_lowercase()),
        Err(_) => Cow::Borrowed(host),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn parse_port(text: &str) -> Option<u16> {
    // `parse` takes a sign, a port has none; 0 can be asked for but never called.
    text.parse().ok().filter(|port| *port != 0 && text.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HostName {
        text.parse().unwrap()
    }

    #[test]
    fn each_form_is_split_into_host_and_port() {
        for (text, host, port, printed) in [
            ("Host-1.example", "Host-1.example", None, "Host-1.example"),
            ("127.0.0.1:9043", "127.0.0.1", Some(9043), "127.0.0.1:9043"),
            ("[::1]:9043", "::1", Some(9043), "[::1]:9043"),
            ("[::1]", "::1", None, "[::1]"),
            ("2001:db8::2", "2001:db8::2", None, "[2001:db8::2]"),
        ] {
            let parsed = name(text);
            assert_eq!((parsed.host.as_str(), parsed.port), (host, port), "{text}");
            assert_eq!(parsed.to_string(), printed);
        }
    }

    #[test]
    fn other_texts_are_no_hosts() {
        for text in ["", ":9043", "a b", "a/b", "http://a", "[::1", "[::1]9043", "[a]:1", "a:b:c", "h\u{e9}"] {
            assert_eq!(text.parse::<HostName>(), Err(HostNameError::NotAHost(text.to_owned())), "{text:?}");
        }
        for text in ["a:", "a:0", "a:+1", "a:65536", "a:x", "[::1]:"] {
            assert_eq!(text.parse::<HostName>(), Err(HostNameError::NotAPort(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn case_and_spelling_do_not_count() {
        assert_eq!(name("LOCALHOST1:1"), name("localhost1:1"));
        assert_eq!(name("2001:DB8:0:0::2"), name("[2001:db8::2]"));
        assert!(name("::1").matches("[0:0:0:0:0:0:0:1]", Some(9043)));
    }

    #[test]
    fn a_port_matches_only_itself() {
        assert!(name("a").matches("A", None) && name("a").matches("a", Some(1)));
        assert!(name("a:1").matches("a", Some(1)));
        assert!(!name("a:1").matches("a", None) && !name("a:1").matches("a", Some(2)));
        assert!(name("a").overlaps(&name("a:1")) && !name("a:2").overlaps(&name("a:1")));
    }
}
