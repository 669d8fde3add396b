//! Where a peer listens.

use std::fmt;
use std::net::Ipv6Addr;

/// Host and port of a peer. Printed as it stands in a URL, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl PeerAddress {
    /// The URL of a path at this peer. Plain HTTP: this release speaks no TLS.
    pub fn url(&self, path: &str) -> String {
        format!("http://{self}{path}")
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<Ipv6Addr>() {
            Ok(address) => write!(f, "[{address}]:{}", self.port),
            Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        let url = |host: &str| PeerAddress { host: host.to_owned(), port: 9043 }.url("/x");
        assert_eq!(url("::1"), "http://[::1]:9043/x");
        assert_eq!(url("node1"), "http://node1:9043/x");
    }
}
