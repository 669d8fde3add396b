//! What a comparison takes while it is made: its group, and the hosts it reads on. Pure.

use std::collections::BTreeSet;

use super::plan::{Comparison, REMOTE, What};
use crate::config::{HostName, canonical};

/// The name under which directories of this machine are claimed.
const THIS_MACHINE: &str = "localhost";

/// What nobody else may have at the same time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// The group, such as a replica set.
    pub group: Option<String>,
    /// The hosts on either side, in the form in which they are compared.
    pub hosts: BTreeSet<String>,
}

impl Claims {
    /// What this comparison claims as far as its plan tells. A manifest file is read nowhere but in itself and claims nothing;
    /// `is_directory` tells what a path of this machine is.
    pub fn of(comparison: &Comparison, is_directory: impl Fn(&str) -> bool) -> Self {
        let hosts: Vec<String> = match &comparison.what {
            What::Service(endpoint) => {
                let source = comparison.source_host.iter().map(|host| canonical_host(host));
                source.chain([canonical_host(&endpoint.host)]).collect()
            }
            What::Pair { source, destination } => {
                [source, destination].into_iter().filter_map(|side| host_of_side(side, &is_directory)).collect()
            }
        };
        Self { group: comparison.group.clone(), hosts: hosts.into_iter().collect() }
    }
}

/// A host in the form in which hosts are compared.
pub(super) fn canonical_host(host: &str) -> String {
    canonical(host).into_owned()
}

fn host_of_side(side: &str, is_directory: impl Fn(&str) -> bool) -> Option<String> {
    match side.strip_prefix(REMOTE) {
        Some(rest) => {
            let authority = rest.split('/').next().unwrap_or_default();
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            let host = host.parse::<HostName>().map_or_else(|_| host.to_owned(), |name| name.host);
            Some(canonical_host(&host))
        }
        None => is_directory(side).then(|| THIS_MACHINE.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Plan;
    use super::*;
    use std::path::Path;

    #[test]
    fn hosts_are_those_that_are_read_on() {
        let claims = |comparison: &str| {
            let plan = Plan::parse(&format!("comparisons: [{comparison}]"), Path::new("p")).unwrap();
            let claims = Claims::of(&plan.comparisons[0], |path| path.starts_with("/dir"));
            (claims.group, claims.hosts.into_iter().collect::<Vec<_>>().join(" "))
        };
        for (comparison, hosts) in [
            ("{service: 'Node4:9043'}", "node4"),
            ("{service: 'http://[2001:DB8:0::2]:1', sourceHost: Node1}", "2001:db8::2 node1"),
            ("{service: a, sourceHost: A}", "a"),
            ("{source: /dir, destination: /dir2}", "localhost"),
            ("{source: /dir, destination: a.manifest}", "localhost"),
            ("{source: a.manifest, destination: b.manifest}", ""),
            ("{source: 'ssh://me@Node1:22/data', destination: /dir}", "localhost node1"),
            ("{source: 'ssh://[::1]/data', destination: b.manifest}", "::1"),
        ] {
            assert_eq!(claims(comparison), (None, hosts.to_owned()), "{comparison}");
        }
        assert_eq!(claims("{service: a, group: g}").0.unwrap(), "g");
    }
}
