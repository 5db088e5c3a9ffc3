//! Bytes of batches that are on their way to the host, or that it has not emptied yet: the shard puts them on the scales,
//! whoever empties or drops the batch takes them off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The sum of the weights of one shard's batches.
#[derive(Clone, Debug, Default)]
pub struct Scales(Arc<AtomicUsize>);

impl Scales {
    /// Bytes of all batches that are on the scales, a moment ago.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> usize {
        // Relaxed, as all of this: a sum to compare with a bound, which publishes nothing.
        self.0.load(Ordering::Relaxed)
    }
}

/// What one batch weighs; taken off when it is dropped.
#[derive(Debug, Default)]
pub struct Weight {
    scales: Option<Scales>,
    bytes: usize,
}

impl Weight {
    /// Bytes that are on the scales.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The scales that it is on, or was.
    #[must_use]
    pub fn scales(&self) -> Option<&Scales> {
        self.scales.as_ref()
    }

    /// Puts `bytes` on the scales, in place of what was there.
    pub fn set(&mut self, scales: &Scales, bytes: usize) {
        self.clear();
        let scales = self.scales.get_or_insert_with(|| scales.clone());
        scales.0.fetch_add(bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }

    /// Takes everything off the scales.
    pub fn clear(&mut self) {
        if let Some(scales) = &self.scales
            && self.bytes > 0
        {
            scales.0.fetch_sub(self.bytes, Ordering::Relaxed);
            self.bytes = 0;
        }
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighs_each_batch_once() {
        let scales = Scales::default();
        let (mut one, mut two) = (Weight::default(), Weight::default());
        one.set(&scales, 5);
        two.set(&scales, 7);
        one.set(&scales, 6);
        assert_eq!((scales.bytes(), one.bytes()), (13, 6));
        one.clear();
        one.clear();
        assert_eq!(scales.bytes(), 7);
        drop(two);
        assert_eq!(scales.bytes(), 0);
    }

    #[test]
    fn may_be_emptied_by_another_thread() {
        let scales = Scales::default();
        let mut weight = Weight::default();
        weight.set(&scales, 9);
        assert!(std::thread::spawn(move || drop(weight)).join().is_ok());
        assert_eq!(scales.bytes(), 0);
    }
}
