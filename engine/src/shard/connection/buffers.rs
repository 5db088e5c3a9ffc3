//! Buffers for answers: a connection has one only while there is something to send. They go round among all connections
//! of a shard, so that there are as many as are needed at a time, not as many as connections.
//!
//! And the sum of what the shard's connections hold, in these buffers and in others.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::BytesMut;

use crate::limits::{ANSWER_BUFFERS, CONN_BUFFER_KEEP_BYTES};

#[derive(Debug, Default)]
pub(in crate::shard) struct Buffers {
    free: RefCell<Vec<Vec<u8>>>,
    /// The fewest that were free since the last [`Self::trim`].
    least: Cell<usize>,
    /// Bytes of requests that are not complete and of answers that are not sent.
    held: Rc<Cell<usize>>,
}

impl Buffers {
    /// Bytes that all connections of the shard hold together.
    #[inline]
    pub fn held(&self) -> usize {
        self.held.get()
    }

    /// The same, to be kept by what lies under connections.
    pub fn scale(&self) -> Rc<Cell<usize>> {
        self.held.clone()
    }

    /// A connection holds so many bytes more.
    #[inline]
    pub fn hold(&self, bytes: usize) {
        self.held.set(self.held.get() + bytes);
    }

    /// A connection has let go of so many bytes.
    #[inline]
    pub fn let_go(&self, bytes: usize) {
        self.held.set(self.held.get() - bytes);
    }

    /// An empty buffer.
    #[inline]
    pub fn take(&self) -> Vec<u8> {
        let mut free = self.free.borrow_mut();
        let buffer = free.pop().unwrap_or_default();
        self.least.set(self.least.get().min(free.len()));
        buffer
    }

    /// Takes a buffer back. A large one is freed, and any when there are enough.
    #[inline]
    pub fn put(&self, mut buffer: Vec<u8>) {
        let mut free = self.free.borrow_mut();
        if buffer.capacity() <= CONN_BUFFER_KEEP_BYTES && free.len() < ANSWER_BUFFERS {
            buffer.clear();
            free.push(buffer);
        }
    }

    /// Frees half of those that nobody has needed since the last time.
    pub fn trim(&self) {
        let mut free = self.free.borrow_mut();
        let keep = free.len() - self.least.get().min(free.len()).div_ceil(2);
        free.truncate(keep);
        self.least.set(free.len());
    }
}

/// Bytes that a read buffer counts for: an empty one of the usual size is what every connection has.
pub(in crate::shard) fn held_by(buffer: &BytesMut) -> usize {
    if buffer.is_empty() { buffer.capacity().saturating_sub(CONN_BUFFER_KEEP_BYTES) } else { buffer.capacity() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_needs_goes_by_and_by() {
        let buffers = Buffers::default();
        (0..8).for_each(|_| buffers.put(Vec::with_capacity(64)));
        buffers.trim();
        assert_eq!(buffers.free.borrow().len(), 8);
        let taken: Vec<_> = (0..4).map(|_| buffers.take()).collect();
        assert!(taken.iter().all(|buffer| buffer.capacity() == 64));
        taken.into_iter().for_each(|buffer| buffers.put(buffer));
        let mut left = Vec::new();
        for _ in 0..5 {
            buffers.trim();
            left.push(buffers.free.borrow().len());
        }
        assert_eq!(left, [6, 3, 1, 0, 0]);
    }

    #[test]
    fn neither_large_ones_nor_too_many_are_kept() {
        let buffers = Buffers::default();
        buffers.put(Vec::with_capacity(CONN_BUFFER_KEEP_BYTES + 1));
        assert_eq!(buffers.take().capacity(), 0);
        (0..ANSWER_BUFFERS + 1).for_each(|_| buffers.put(vec![1]));
        assert_eq!(buffers.free.borrow().len(), ANSWER_BUFFERS);
        assert!(buffers.take().is_empty());
    }
}
