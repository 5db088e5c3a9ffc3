//! What a host hears of the shard that hands no calls over: the one that has the admin listener and nothing else.

use super::sync::{AtomicBool, Ordering};

/// See the module. Relaxed throughout: a ring of the host's bell, which orders, follows what is put down here.
pub(super) struct Apart {
    restarted: AtomicBool,
    failed: AtomicBool,
}

/// What is new of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApartNews {
    /// It has failed and was started anew.
    pub restarted: bool,
    /// It has failed and is given up.
    pub failed: bool,
}

impl Apart {
    pub fn new() -> Self {
        Apart { restarted: AtomicBool::new(false), failed: AtomicBool::new(false) }
    }

    pub fn note_restart(&self) {
        self.restarted.store(true, Ordering::Relaxed);
    }

    pub fn note_failure(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// What was put down since it was last asked.
    pub fn take(&self) -> ApartNews {
        let take = |flag: &AtomicBool| flag.load(Ordering::Relaxed) && flag.swap(false, Ordering::Relaxed);
        ApartNews { restarted: take(&self.restarted), failed: take(&self.failed) }
    }
}
