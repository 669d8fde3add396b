//! A limit on the bytes read per second, over all threads and scans that share it.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::cancel::{Cancel, Cancelled};

/// How long a waiting thread sleeps before it looks again whether it is still wanted.
const NAP: Duration = Duration::from_millis(50);

/// Bytes per second that reads may take. A read is let through once the reads before it are paid for, so that over any
/// longer time the rate holds, and an idle while is not saved up.
#[derive(Debug)]
pub struct ReadLimit {
    bytes_per_second: NonZeroU64,
    /// When everything let through so far is paid for.
    paid: Mutex<Instant>,
}

impl ReadLimit {
    /// At most so many bytes a second.
    pub fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, paid: Mutex::new(Instant::now()) }
    }

    /// Waits until `bytes` may be read, and calls `meanwhile` again and again as long as it waits.
    pub(super) fn admit(&self, bytes: u64, cancel: &Cancel, meanwhile: impl Fn()) -> Result<(), Cancelled> {
        let due = {
            let mut paid = self.paid.lock();
            let due = (*paid).max(Instant::now());
            *paid = due + price(bytes, self.bytes_per_second);
            due
        };
        loop {
            cancel.check()?;
            match due.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return Ok(()),
                left => std::thread::sleep(left.min(NAP)),
            }
            meanwhile();
        }
    }
}

/// How long `bytes` take at this rate.
fn price(bytes: u64, bytes_per_second: NonZeroU64) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_second.get());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(bytes_per_second: u64) -> NonZeroU64 {
        NonZeroU64::new(bytes_per_second).unwrap()
    }

    #[test]
    fn a_price_is_bytes_over_rate() {
        assert_eq!(price(1 << 20, rate(1 << 21)), Duration::from_millis(500));
        assert_eq!(price(0, rate(1)), Duration::ZERO);
        assert_eq!(price(1, rate(u64::MAX)), Duration::ZERO);
        assert!(price(u64::MAX, rate(1)) > Duration::from_secs(1 << 30));
    }

    /// However many threads read, what is let through is paid for one after the other.
    #[test]
    fn threads_share_one_account() {
        let limit = ReadLimit::new(rate(1_000_000_000));
        let before = *limit.paid.lock();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| limit.admit(1_000_000, &Cancel::default(), || ()).unwrap()));
            }
        });
        assert!(*limit.paid.lock() - before >= Duration::from_millis(20));
    }

    #[test]
    fn a_cancelled_scan_does_not_wait() {
        let limit = ReadLimit::new(rate(1));
        let cancel = Cancel::default();
        limit.admit(1 << 40, &cancel, || ()).unwrap();
        cancel.cancel();
        assert_eq!(limit.admit(1, &cancel, || ()), Err(Cancelled));
    }
}
