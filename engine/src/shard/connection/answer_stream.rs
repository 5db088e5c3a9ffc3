//! An answer whose body comes in pieces, as HTTP/1.1 sends it. As the first of its connection it is written through;
//! before, it gathers here.

use crate::limits::{ANSWER_FIRST_BYTES, CONN_BUFFER_KEEP_BYTES, STREAM_WRITE_BYTES};
use crate::link::batch::CallKey;
use crate::wire::answer_body::{AnswerBody, AnswerFraming};

/// See the module.
#[derive(Debug)]
pub(in crate::shard) struct AnswerStream {
    pub key: CallKey,
    body: AnswerBody,
    /// Head and pieces that wait for the answers before it. Of the first: empty, the buffer that was sent before.
    early: Vec<u8>,
    /// Bytes of the body that were taken from the backend and are not sent yet.
    unsent: u64,
    /// Bytes that were sent, or thrown away, and that the backend has not been told of.
    due: u64,
    /// Bytes that may be under way; known when it is the first.
    window: Option<u32>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct Written {
    /// Bytes, those that frame the content included.
    pub bytes: usize,
    /// Bytes of content.
    pub content: u64,
    /// The answer is not what its length has promised.
    pub broken: bool,
}

impl AnswerStream {
    /// A stream that begins with `head`.
    pub fn new(key: CallKey, body: AnswerBody, head: Vec<u8>) -> Self {
        AnswerStream { key, body, early: head, unsent: 0, due: 0, window: None }
    }

    /// Takes a piece: to `out`, if it is the first of its connection.
    pub fn put(&mut self, piece: &[u8], out: Option<&mut Vec<u8>>) -> Written {
        let out = out.unwrap_or(&mut self.early);
        if piece.len() > CONN_BUFFER_KEEP_BYTES && out.capacity() < STREAM_WRITE_BYTES {
            // At once, not by doubling: each size on the way would be memory that the allocator keeps for that size.
            out.reserve(4 * STREAM_WRITE_BYTES);
        }
        let before = out.len();
        let put = self.body.put(piece, out);
        let bytes = out.len() - before;
        self.unsent += put.written as u64;
        self.due += (piece.len() - put.written) as u64;
        Written { bytes, content: put.written as u64, broken: put.surplus }
    }

    /// Ends the body: in `out`, if it is the first of its connection.
    pub fn finish(&mut self, out: Option<&mut Vec<u8>>) -> Written {
        let out = out.unwrap_or(&mut self.early);
        let before = out.len();
        let whole = self.body.finish(out);
        Written { bytes: out.len() - before, content: 0, broken: !whole }
    }

    /// What has gathered: the stream is the first of its connection now, or complete.
    pub fn take_early(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.early)
    }

    /// Bytes that have gathered.
    pub fn early_bytes(&self) -> usize {
        self.early.len()
    }

    /// Keeps the buffer of the first for its next pieces.
    pub fn keep(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.early = buffer;
    }

    /// Bytes of the body that are not sent yet.
    pub fn unsent(&self) -> u64 {
        self.unsent
    }

    /// True when only a reset tells that it is not whole.
    pub fn ends_with_connection(&self) -> bool {
        self.body.framing() == AnswerFraming::UntilClose
    }

    /// Asks how large the window is, unless that is known; the bytes that are granted by it.
    pub fn grant(&mut self, window: impl FnOnce() -> u32) -> Option<u32> {
        if self.window.is_some() {
            return None;
        }
        let bytes = window();
        self.window = Some(bytes);
        Some(bytes.saturating_sub(ANSWER_FIRST_BYTES)).filter(|grant| *grant > 0)
    }

    /// So many bytes of the body were sent; the grant that follows from it, if any.
    pub fn sent(&mut self, bytes: u64) -> Option<u32> {
        let bytes = bytes.min(self.unsent);
        self.unsent -= bytes;
        self.due += bytes;
        self.settle()
    }

    /// The grant for bytes that are done with, if any. In quarters of the window: until then the backend has most of it
    /// left.
    pub fn settle(&mut self) -> Option<u32> {
        if self.due == 0 || self.due < u64::from(self.window.unwrap_or(ANSWER_FIRST_BYTES) / 4) {
            return None;
        }
        let grant = u32::try_from(self.due).unwrap_or(u32::MAX);
        self.due -= u64::from(grant);
        Some(grant)
    }
}
