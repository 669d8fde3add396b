//! Where a service listens: scheme, host and port.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use reqwest::Url;

/// How a service is spoken to. TLS is not spoken by this release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http => f.write_str("http"),
        }
    }
}

/// Scheme, host and port of a service. Printed as `host:port`, as it stands in a URL, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Why a text names no service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It cannot be read at all.
    #[error("not a URL")]
    NoUrl,
    /// It has a path, a query or the like.
    #[error("a path is not needed")]
    Path,
    /// It has a name or a password, which would not be sent.
    #[error("a user name and a password are not supported: this release sends neither")]
    Credentials,
    /// It asks for TLS.
    #[error("TLS is not supported by this release")]
    Tls,
    /// Another scheme, or no host.
    #[error("not an http URL")]
    Scheme,
}

impl Endpoint {
    /// A service that speaks plain HTTP.
    pub fn http(host: impl Into<String>, port: u16) -> Self {
        Self { scheme: Scheme::Http, host: host.into(), port }
    }

    /// The URL of a path at this service.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{self}{path}", self.scheme)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<Ipv6Addr>() {
            Ok(address) => write!(f, "[{address}]:{}", self.port),
            Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    /// Reads a URL such as `http://node4:9043`; `http://` may be left out.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url: Url = full.parse().map_err(|_| EndpointError::NoUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        match (url.scheme(), url.host_str(), url.port_or_known_default()) {
            ("http", Some(host), Some(port)) => {
                if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
                    return Err(EndpointError::Path);
                }
                let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
                Ok(Self::http(host, port))
            }
            ("https", ..) => Err(EndpointError::Tls),
            _ => Err(EndpointError::Scheme),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        let url = |host: &str| Endpoint::http(host, 9043).url("/x");
        assert_eq!(url("::1"), "http://[::1]:9043/x");
        assert_eq!(url("node1"), "http://node1:9043/x");
    }

    #[test]
    fn a_url_is_read_back_to_its_parts() {
        for text in ["http://node4:9043", "http://node4:9043/", "node4:9043"] {
            assert_eq!(text.parse(), Ok(Endpoint::http("node4", 9043)), "{text}");
        }
        assert_eq!("http://[::1]:9043".parse(), Ok(Endpoint::http("::1", 9043)));
        assert_eq!("node4".parse(), Ok(Endpoint::http("node4", 80)));
        for (text, error) in [
            ("https://node4:9043", EndpointError::Tls),
            ("http://node4:9043/api", EndpointError::Path),
            ("http://node4:9043/?x", EndpointError::Path),
            ("ftp://node4", EndpointError::Scheme),
            ("http://user:secret@node4:9043", EndpointError::Credentials),
            ("user@node4", EndpointError::Credentials),
            ("https://:secret@node4/api", EndpointError::Credentials),
            ("http://", EndpointError::NoUrl),
            ("a b", EndpointError::NoUrl),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
        }
    }
}
