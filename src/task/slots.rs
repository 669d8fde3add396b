//! One task of whatever kind at a time on each instance.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// The instances that have a task under way. Clones share them, so that the tasks of all kinds can.
#[derive(Debug, Clone, Default)]
pub struct Slots(Arc<Mutex<HashSet<u64>>>);

/// The right to run a task on an instance; it comes back when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    instance: u64,
}

impl Slots {
    /// The instance's slot; `None` while somebody has it.
    pub(super) fn take(&self, instance: u64) -> Option<Slot> {
        self.0.lock().insert(instance).then(|| Slot { slots: self.clone(), instance })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.0.lock().remove(&self.instance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_has_one_slot_whoever_asks() {
        let (verifications, copies) = (Slots::default(), Slots::default());
        let shared = verifications.clone();
        let held = verifications.take(1).unwrap();
        assert!(shared.take(1).is_none());
        assert!(shared.take(2).is_some() && copies.take(1).is_some());
        drop(held);
        assert!(shared.take(1).is_some());
    }
}
