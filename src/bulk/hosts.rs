//! Who reads on which host at the moment. The source of a service is known only once its task was accepted, so a run learns of hosts
//! while it goes by.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::claims::canonical_host;

/// Hosts with the comparison that each belongs to.
#[derive(Debug, Default)]
pub struct Hosts(Mutex<HashMap<String, usize>>);

impl Hosts {
    /// A comparison reads on this host as well. `false` where another one does already: then it must not.
    pub fn claim(&self, at: usize, host: &str) -> bool {
        *self.0.lock().entry(canonical_host(host)).or_insert(at) == at
    }

    /// A comparison reads no more.
    pub(super) fn release(&self, at: usize) {
        self.0.lock().retain(|_, owner| *owner != at);
    }

    /// The hosts of one comparison.
    pub(super) fn of(&self, at: usize) -> Vec<String> {
        self.0.lock().iter().filter(|(_, owner)| **owner == at).map(|(host, _)| host.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_belongs_to_one_until_it_is_released() {
        let hosts = Hosts::default();
        assert!(hosts.claim(1, "Node1") && hosts.claim(1, "node1") && hosts.claim(1, "node2"));
        assert!(!hosts.claim(2, "NODE1") && hosts.claim(2, "node3"));
        assert_eq!(hosts.of(2), ["node3"]);
        hosts.release(1);
        assert!(hosts.of(1).is_empty() && hosts.claim(2, "node1"));
    }
}
