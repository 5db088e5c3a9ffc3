//! How a resident stands: all that is judged by.

use crate::limits::{FRESH_GRACE_MS, REST_AFTER_MS};
use crate::shard::exchange::phase::Phase;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(in crate::shard) struct Standing {
    /// What its read side waits for.
    pub phase: Phase,
    /// Since when.
    pub since_ms: u64,
    /// Bytes that have come since.
    pub bytes: u64,
    /// Milliseconds from the beginning of the phase to the last of them.
    pub progressed_ms: u64,
    /// Since when a send makes no progress.
    pub writing_since_ms: Option<u64>,
    /// Since when an exchange of its own waits for its client, as of the turn before.
    pub stalled_since_ms: Option<u64>,
    /// Requests that are not answered yet.
    pub pending: usize,
    /// Nothing waits to be answered or sent.
    pub settled: bool,
    /// A request cannot be decided without JavaScript's word.
    pub asking: bool,
    /// A call reads a body as it comes.
    pub inflow: bool,
    /// A part of something has come that cannot be told yet, because it is encrypted.
    pub partial: bool,
    /// Nobody reads the socket.
    pub unread: bool,
    /// No further request is taken.
    pub closing: bool,
    /// It was cut off.
    pub dead: bool,
}

impl Standing {
    /// True when no request has come for a while, nor any part of one.
    pub fn idles(&self, now_ms: u64) -> bool {
        idles(self.phase, self.since_ms, now_ms)
    }

    /// True when nothing has been asked that is not answered, nor any part of a request has come.
    pub fn asks_nothing(&self) -> bool {
        matches!(self.phase, Phase::Handshake | Phase::Fresh | Phase::Idle) && self.pending == 0
    }

    /// True when it was accepted just now, and its first request may be on its way.
    pub fn is_new(&self, now_ms: u64) -> bool {
        self.phase == Phase::Fresh && now_ms.saturating_sub(self.since_ms) < FRESH_GRACE_MS
    }

    /// True while a request is being received, or its body.
    pub fn receives(&self) -> bool {
        matches!(self.phase, Phase::Head | Phase::Body) || self.inflow
    }
}

/// True when no request has come for a while, nor any part of one: since then the next is waited for.
pub(in crate::shard) fn idles(phase: Phase, since_ms: u64, now_ms: u64) -> bool {
    phase == Phase::Idle && now_ms.saturating_sub(since_ms) >= REST_AFTER_MS
}
