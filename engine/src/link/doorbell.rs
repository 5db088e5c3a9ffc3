//! The wake state machine: rings at most once per sleep, never loses a wake.
//!
//! Three states and one read-modify-write on each side (after TigerBeetle's `signal.zig`):
//!
//! * `RUNNING`: the owner is at work and will look at its queue again before it parks.
//! * `PARKED`: the owner sleeps, or is about to; whoever publishes work has to wake it.
//! * `RUNG`: work was published since the owner last looked; nobody else needs to wake it.
//!
//! A producer publishes, then calls [`Doorbell::ring`]. The owner calls [`Doorbell::awake`] before it drains and
//! [`Doorbell::try_park`] after. Both sides swap the same word, so one order of the two exists: either the
//! producer's swap comes first, and `try_park` fails and the owner drains again, or the owner's comes first, and
//! the producer sees `PARKED` and wakes it.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU8, Ordering};

const RUNNING: u8 = 0;
const PARKED: u8 = 1;
const RUNG: u8 = 2;

/// The state word of one sleeper. Starts `RUNNING`.
#[derive(Debug)]
#[repr(align(128))] // its own pair of cache lines: both sides write it, nothing else should pay for that
pub struct Doorbell {
    state: AtomicU8,
}

impl Default for Doorbell {
    fn default() -> Self {
        Doorbell { state: AtomicU8::new(RUNNING) }
    }
}

impl Doorbell {
    /// Producer, after publishing: true when the owner sleeps and the caller must wake it (eventfd, threadsafe function).
    #[inline]
    #[must_use = "when true, the sleeper has to be woken by the caller"]
    pub fn ring(&self) -> bool {
        // AcqRel: the publication before it is seen by the owner's `awake`/`try_park`, which read this store.
        self.state.swap(RUNG, Ordering::AcqRel) == PARKED
    }

    /// Owner, before it drains: what was published before this call is visible after it.
    #[inline]
    pub fn awake(&self) {
        self.state.swap(RUNNING, Ordering::AcqRel);
    }

    /// Owner, after it drained: true when it may sleep; false when work was published meanwhile (drain again).
    #[inline]
    #[must_use = "when false, there is work to drain"]
    pub fn try_park(&self) -> bool {
        self.state.compare_exchange(RUNNING, PARKED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Anybody: true when the owner slept, a moment ago.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        // Relaxed: it decides nothing about who wakes it.
        self.state.load(Ordering::Relaxed) == PARKED
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Doorbell;

    #[test]
    fn rings_once_per_sleep() {
        let bell = Doorbell::default();
        assert!(!bell.ring(), "a running owner needs no wake");
        assert!(!bell.try_park(), "work was published: it may not sleep");
        bell.awake();
        assert!(!bell.is_parked());
        assert!(bell.try_park());
        assert!(bell.is_parked());
        assert!(bell.ring(), "the first ring of a sleep wakes");
        assert!(!bell.is_parked());
        assert!(!bell.ring(), "the second is free");
        bell.awake();
        assert!(!bell.ring());
    }
}
