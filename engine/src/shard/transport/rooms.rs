//! What halves read into and write from: buffers of the runtime that can be filled and looked at as well.

use bytes::BytesMut;
use monoio::buf::{IoBuf, IoBufMut, Slice, SliceMut};

/// A buffer for a read.
pub(in crate::shard) trait Room: IoBufMut {
    /// Bytes that a read may bring.
    fn free(&self) -> usize;

    /// Puts bytes where a read would; no more than are free.
    fn put(&mut self, bytes: &[u8]);
}

/// An empty one.
impl Room for Vec<u8> {
    fn free(&self) -> usize {
        self.capacity() - self.len()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// An empty one.
impl Room for BytesMut {
    fn free(&self) -> usize {
        self.capacity() - self.len()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// The free part of a buffer.
impl Room for SliceMut<BytesMut> {
    fn free(&self) -> usize {
        self.end() - self.begin()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.get_mut().extend_from_slice(bytes);
    }
}

/// What is to be written.
pub(in crate::shard) trait Content: IoBuf {
    fn bytes(&self) -> &[u8];
}

impl Content for Slice<Vec<u8>> {
    fn bytes(&self) -> &[u8] {
        self.get_ref().get(self.begin()..self.end()).unwrap_or_default()
    }
}
