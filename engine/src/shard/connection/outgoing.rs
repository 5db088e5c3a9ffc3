//! The bytes that a connection is to send next.

use crate::limits::CONN_BUFFER_KEEP_BYTES;
use crate::link::batch::CallKey;
use crate::shard::connection::buffers::Buffers;

/// Bytes to send, in one go.
#[derive(Debug)]
pub(in crate::shard) struct Output {
    pub bytes: Vec<u8>,
    /// The stream that they belong to, and how many of them are bytes of its body.
    pub load: Option<(CallKey, u64)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::shard) struct Outgoing {
    bytes: Vec<u8>,
    /// What they hold of the body that streams.
    load: Option<(CallKey, u64)>,
}

impl Outgoing {
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Where the first answer goes: a buffer of its own only while there is something to send.
    #[inline]
    pub fn buffer(&mut self, buffers: &Buffers) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = buffers.take();
        }
        &mut self.bytes
    }

    /// Where it goes behind what is there.
    #[inline]
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// So many bytes of it are of the body of `key`; what is left of a stream that has ended counts no longer.
    pub fn add_load(&mut self, key: CallKey, bytes: u64) {
        match &mut self.load {
            Some((known, sum)) if *known == key => *sum += bytes,
            load => *load = Some((key, bytes)),
        }
    }

    /// Takes all of it; what follows goes to `next`.
    pub fn take(&mut self, next: Vec<u8>) -> Output {
        Output { bytes: std::mem::replace(&mut self.bytes, next), load: self.load.take() }
    }

    /// Drops all of it.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.load = None;
    }

    /// Lets go of a large buffer that is empty.
    pub fn shrink(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > CONN_BUFFER_KEEP_BYTES {
            self.bytes = Vec::new();
        }
    }

    /// True when it has a buffer.
    pub fn has_buffer(&self) -> bool {
        self.bytes.capacity() > 0
    }
}
