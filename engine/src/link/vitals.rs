//! What all shards, and the thread that started them, know of the engine as a whole.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::port::ShardPort;

/// Relaxed but for the last: each is a fact of its own, and who asks again a moment later may get another answer.
pub struct Vitals {
    started: AtomicBool,
    closing: AtomicBool,
    /// Shards whose threads run, or will.
    running: AtomicUsize,
    /// The shard that waits for the others' end, because it has the admin listener.
    last: Option<ShardPort>,
    /// The first shard may hand connections over.
    accepting: AtomicBool,
}

impl Vitals {
    /// Of an engine of `shards` shards that starts. `last` hears of the end of every other. `accepting`: there is a
    /// listener.
    #[must_use]
    pub fn new(shards: usize, last: Option<ShardPort>, accepting: bool) -> Self {
        Vitals {
            started: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            running: AtomicUsize::new(shards),
            last,
            accepting: AtomicBool::new(accepting),
        }
    }

    /// Every shard runs.
    pub fn start(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// No more calls are wanted. Final.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// See [`Self::start`].
    #[must_use]
    pub fn is_starting(&self) -> bool {
        !self.started.load(Ordering::Relaxed)
    }

    /// See [`Self::close`].
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// The first shard hands no more connections over. The others hear of it, and find all of them in their boxes.
    pub fn end_accepting(&self, ports: &[ShardPort]) {
        if self.accepting.swap(false, Ordering::Release) {
            ports.iter().for_each(ShardPort::nudge);
        }
    }

    /// See [`Self::end_accepting`].
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        self.accepting.load(Ordering::Acquire)
    }

    /// The calling shard's thread ends.
    pub fn leave(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
        if let Some(port) = &self.last {
            // The ring orders the count before the look that it causes.
            port.nudge();
        }
    }

    /// True when the calling shard is the only one that has not ended.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.running.load(Ordering::Relaxed) <= 1
    }
}
