//! A value that is replaced as a whole, and read by shards that must not miss the replacement.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The newest of a series of values. A reader keeps its copy and asks for a newer one, which costs one load.
///
/// Not a message: whoever has called [`Latest::set`] and then sends a request, over whatever connection, finds the new
/// value in force, although the shard has not looked into its letter box yet.
#[derive(Debug)]
pub struct Latest<T> {
    version: AtomicU64,
    value: Mutex<Arc<T>>,
}

impl<T> Latest<T> {
    /// The first value, of version 0.
    pub fn new(value: Arc<T>) -> Self {
        Latest { version: AtomicU64::new(0), value: Mutex::new(value) }
    }

    /// Replaces the value.
    pub fn set(&self, value: Arc<T>) {
        let mut place = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        *place = value;
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The value and its version.
    pub fn get(&self) -> (Arc<T>, u64) {
        let place = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        (place.clone(), self.version.load(Ordering::Acquire))
    }

    /// The value and its version, unless the reader has that version already.
    #[inline]
    pub fn newer_than(&self, version: u64) -> Option<(Arc<T>, u64)> {
        (self.version.load(Ordering::Acquire) != version).then(|| self.get())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_value_once_per_reader() {
        let latest = Latest::new(Arc::new(1));
        let (first, version) = latest.get();
        assert_eq!((*first, version), (1, 0));
        assert!(latest.newer_than(version).is_none());
        latest.set(Arc::new(2));
        latest.set(Arc::new(3));
        let (third, version) = latest.newer_than(version).unwrap();
        assert_eq!((*third, version), (3, 2));
        assert!(latest.newer_than(version).is_none());
    }

    #[test]
    fn lets_go_of_what_was_replaced() {
        let old = Arc::new(1);
        let latest = Latest::new(old.clone());
        latest.set(Arc::new(2));
        assert_eq!(Arc::strong_count(&old), 1);
    }
}
