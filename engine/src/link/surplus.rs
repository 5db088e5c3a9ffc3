//! What finds no room in a queue, and can go nowhere else.

use std::sync::PoisonError;

use super::batch::CallBatch;
use super::parts;
use super::sync::{AtomicBool, Mutex, Ordering};

/// Frames, and notes that clients have left, of calls that are on the other side already: one batch, which grows. Bounded
/// by those calls: their windows, and one leaving each.
pub(super) struct Surplus {
    batch: Mutex<Option<Box<CallBatch>>>,
    is_there: AtomicBool,
}

impl Default for Surplus {
    fn default() -> Self {
        Surplus { batch: Mutex::new(None), is_there: AtomicBool::new(false) }
    }
}

impl Surplus {
    /// True until all of it is taken: whatever comes now comes behind it.
    #[inline]
    pub fn is_there(&self) -> bool {
        // Acquire: whoever sees it sees what has entered the queue before.
        self.is_there.load(Ordering::Acquire)
    }

    /// Puts a batch behind what is there.
    pub fn put(&self, calls: Box<CallBatch>) {
        let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *batch {
            Some(before) => parts::append(before, &calls),
            empty => *empty = Some(calls),
        }
        self.is_there.store(true, Ordering::Release);
    }

    /// All of it.
    pub fn take(&self) -> Option<Box<CallBatch>> {
        let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_there.store(false, Ordering::Relaxed);
        batch.take()
    }
}
