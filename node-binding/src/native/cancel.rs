//! Says to an operation that nobody wants it any more.

use std::sync::atomic::{AtomicBool, Ordering};

use super::failure::Failure;

/// Set once, from any thread.
#[derive(Debug, Default)]
pub struct Cancel(AtomicBool);

impl Cancel {
    /// From now on it is cancelled.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Fails when it is.
    ///
    /// # Errors
    /// That it is aborted.
    pub fn check(&self) -> Result<(), Failure> {
        if self.is_set() { Err(Failure::aborted()) } else { Ok(()) }
    }
}
