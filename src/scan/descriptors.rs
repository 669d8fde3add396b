//! How many files the process may have open, and how many of these are held while their bytes are fetched.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most files that are held, where descriptors are no question: what 64 threads hold.
const MOST: u64 = 2048;

/// One of so many descriptors.
const SHARE: u64 = 8;

/// Raises the limit of open descriptors as far as the system allows; what it is then. `None` where there is none.
pub fn raise_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        // Some systems name a maximum that they do not grant.
        Err(error) => {
            tracing::debug!(%error, "the limit of open descriptors stays as it is");
            current
        }
    }
}

/// How many files are held open while their bytes are fetched, at most.
pub(super) fn of_prefetches() -> usize {
    usize::try_from(held_of(getrlimit(Resource::Nofile).current)).unwrap_or(usize::MAX)
}

/// The same with so many descriptors. Pure.
pub fn held_of(descriptors: Option<u64>) -> u64 {
    descriptors.map_or(MOST, |descriptors| MOST.min(descriptors / SHARE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_held_with_a_part_of_the_descriptors() {
        assert_eq!(
            (held_of(None), held_of(Some(1 << 20)), held_of(Some(1024)), held_of(Some(4))),
            (2048, 2048, 128, 0)
        );
    }

    #[test]
    fn the_limit_is_raised_once_and_no_further() {
        let raised = raise_limit();
        assert_eq!(getrlimit(Resource::Nofile).current, raised);
        assert_eq!(raise_limit(), raised);
    }
}
