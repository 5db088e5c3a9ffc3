//! What all shards, and the thread that started them, know of the engine as a whole.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::clock;
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
    turned: Option<Turned>,
}

/// The shard that a loop turns which others keep busy.
struct Turned {
    port: ShardPort,
    /// When it was asked for a turn that it has not had; 0 when it has.
    asked_ns: AtomicU64,
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
            turned: None,
        }
    }

    /// The same where a shard has no thread: this is its letter box.
    #[must_use]
    pub fn with_turned(self, port: ShardPort) -> Self {
        Vitals { turned: Some(Turned { port, asked_ns: AtomicU64::new(0) }), ..self }
    }

    /// Nanoseconds for which a shard that was asked for a turn has had none. Asks for the next one.
    #[must_use]
    pub fn unturned_ns(&self) -> u64 {
        let Some(Turned { port, asked_ns }) = &self.turned else { return 0 };
        let now = clock::now_ns().max(1);
        match asked_ns.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                port.nudge();
                0
            }
            Err(since) => now.saturating_sub(since),
        }
    }

    /// The calling shard has a turn. One that has a thread is not asked.
    #[inline]
    pub fn note_turn(&self) {
        if let Some(Turned { asked_ns, .. }) = &self.turned
            && asked_ns.load(Ordering::Relaxed) != 0
        {
            asked_ns.store(0, Ordering::Relaxed);
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
