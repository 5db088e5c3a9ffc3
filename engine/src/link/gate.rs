//! How many calls of each caller are under way, on all shards together. Only those that have any are in it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use super::sync::Mutex;

/// Locks: shards seldom want the same one.
const STRIPES: usize = if cfg!(loom) { 1 } else { 64 };

/// See the module.
pub struct Gate {
    most: u32,
    stripes: [Mutex<HashMap<u64, u32>>; STRIPES],
}

/// One of them, until it is dropped.
pub struct Permit {
    gate: Arc<Gate>,
    caller: u64,
}

impl Gate {
    /// At most so many of each.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Gate { most, stripes: std::array::from_fn(|_| Mutex::new(HashMap::new())) }
    }

    /// One more call of this caller; `None` when there are as many as may be.
    pub fn enter(self: &Arc<Self>, caller: u64) -> Option<Permit> {
        self.with(caller, |calls| {
            let count = calls.entry(caller).or_default();
            (*count < self.most).then(|| *count += 1)
        })?;
        Some(Permit { gate: self.clone(), caller })
    }

    /// True when no call of this caller may begin now.
    pub fn is_full(&self, caller: u64) -> bool {
        self.with(caller, |calls| calls.get(&caller).copied().unwrap_or_default() >= self.most)
    }

    fn with<T>(&self, caller: u64, act: impl FnOnce(&mut HashMap<u64, u32>) -> T) -> T {
        let [first, ..] = &self.stripes;
        let stripe = self.stripes.get(caller as usize % STRIPES).unwrap_or(first);
        act(&mut stripe.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permit")
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.with(self.caller, |calls| {
            if let Some(count) = calls.get_mut(&self.caller) {
                *count -= 1;
                if *count == 0 {
                    calls.remove(&self.caller);
                }
            }
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn so_many_calls_of_a_caller_may_be_under_way_and_one_that_ends_lets_another_in() {
        let gate = Arc::new(Gate::new(2));
        let (first, second) = (gate.enter(7), gate.enter(7));
        assert!(first.is_some() && second.is_some() && gate.enter(7).is_none() && gate.is_full(7));
        assert!(gate.enter(8).is_some() && !gate.is_full(8));
        drop(first);
        assert!(!gate.is_full(7) && gate.enter(7).is_some());
        drop(second);
        let left: usize = gate.stripes.iter().map(|stripe| stripe.lock().map_or(9, |calls| calls.len())).sum();
        assert_eq!(left, 0, "who has none under way takes no memory");
    }
}
