//! A body on its way to the host: how much of it may be under way.

use crate::limits::{BODY_WINDOW_BYTES, READ_BUFFER_MAX_BYTES, STREAM_READ_BYTES};
use crate::link::batch::CallKey;

/// What the reader of a body and the shard share of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::shard) struct Inflow {
    /// The call that reads it.
    pub key: CallKey,
    /// Bytes that may be on their way to the host or wait there.
    window: u32,
    /// Bytes that are.
    in_flight: u32,
    /// The open batch has no room for more.
    batch_full: bool,
    /// Bytes still to come; 0 where the head has not said how many.
    rest: u64,
    /// The client wants no other request answered after this one.
    last: bool,
}

impl Inflow {
    /// This inflow, but no other request is answered after its own.
    pub fn as_last(self) -> Self {
        Inflow { last: true, ..self }
    }

    /// The inflow of a body of which `rest` bytes are still to come, as far as the head has said.
    pub fn new(key: CallKey, window: u32, rest: u64, last: bool) -> Self {
        Inflow { key, window, in_flight: 0, batch_full: false, rest, last }
    }

    /// The client wants no other request answered after this one.
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Bytes still to come; 0 where the head has not said how many.
    pub fn rest(&self) -> u64 {
        self.rest
    }

    /// Bytes that may be read now.
    pub fn room(&self) -> usize {
        (self.window - self.in_flight.min(self.window)) as usize
    }

    /// So many bytes are on their way to the host, and `rest` are still to come.
    pub fn took(self, bytes: u32, rest: u64) -> Self {
        Inflow { in_flight: self.in_flight.saturating_add(bytes), rest, ..self }
    }

    /// The host has used up so many bytes.
    pub fn credited(self, bytes: u32) -> Self {
        Inflow { in_flight: self.in_flight.saturating_sub(bytes), ..self }
    }

    /// The open batch has no room for more, or has some.
    pub fn with_batch_full(self, batch_full: bool) -> Self {
        Inflow { batch_full, ..self }
    }

    /// True when only the open batch is in the way.
    pub fn waits_for_batch(&self) -> bool {
        self.batch_full
    }

    /// The largest read buffer that pays: a large one only for a body with a whole window.
    pub fn read_buffer_max(&self) -> usize {
        if self.window == BODY_WINDOW_BYTES { STREAM_READ_BYTES } else { READ_BUFFER_MAX_BYTES }
    }

    /// True when more may be read.
    pub fn is_open(&self) -> bool {
        self.in_flight < self.window && !self.batch_full
    }
}
