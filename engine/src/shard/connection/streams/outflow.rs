//! The content of one answer on its way to h2, which gets no more of it than the client's windows have room for: what it has
//! not got is counted by the shard, and known to the host that streams it.

use bytes::Bytes;
use h2::SendStream;

use crate::link::batch::CallKey;
use crate::shard::connection::answer_stream::{AnswerStream, Written};

/// Bytes that are handed over in one piece.
const PIECE_BYTES: usize = 64 * 1024;

/// See the module.
pub(super) struct Outflow {
    send: SendStream<Bytes>,
    /// Content that comes in pieces; `None`: it is whole.
    source: Option<AnswerStream>,
    /// What is to be handed over next.
    next: Bytes,
    /// Nothing follows.
    complete: bool,
    /// Since when a window is missing.
    stalled_since_ms: Option<u64>,
}

/// What was handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::shard) struct Pumped {
    /// Bytes of content.
    pub bytes: usize,
    /// The credit that follows for the host.
    pub grant: Option<(CallKey, u32)>,
    /// The answer has ended, or its stream has.
    pub over: bool,
}

impl Outflow {
    /// Content that is there.
    pub fn whole(send: SendStream<Bytes>, content: Bytes) -> Self {
        Outflow { send, source: None, next: content, complete: true, stalled_since_ms: None }
    }

    /// Content that comes.
    pub fn streamed(send: SendStream<Bytes>, source: AnswerStream) -> Self {
        Outflow { send, source: Some(source), next: Bytes::new(), complete: false, stalled_since_ms: None }
    }

    pub fn send(&mut self) -> &mut SendStream<Bytes> {
        &mut self.send
    }

    /// Bytes that are not handed over.
    pub fn held_bytes(&self) -> usize {
        self.next.len() + self.source.as_ref().map_or(0, AnswerStream::early_bytes)
    }

    pub fn stalled_since_ms(&self) -> Option<u64> {
        self.stalled_since_ms
    }

    /// Takes a piece; also says what credit the host has for what was thrown away.
    pub fn put(&mut self, piece: &[u8]) -> (Written, Option<u32>) {
        match &mut self.source {
            Some(source) => (source.put(piece, None), source.settle()),
            None => (Written { bytes: 0, content: 0, broken: true }, None),
        }
    }

    /// Nothing follows.
    pub fn end(&mut self) -> Written {
        self.complete = true;
        match &mut self.source {
            Some(source) => source.finish(None),
            None => Written { bytes: 0, content: 0, broken: true },
        }
    }

    /// The content has its window now, if it has not been granted one.
    pub fn grant(&mut self, window: impl FnOnce() -> u32) -> Option<(CallKey, u32)> {
        let source = self.source.as_mut().filter(|_| !self.complete)?;
        source.grant(window).map(|bytes| (source.key, bytes))
    }

    /// Hands over what the windows have room for, and no more than `room`.
    pub fn pump(&mut self, mut room: usize, now_ms: u64) -> Pumped {
        let mut pumped = Pumped::default();
        loop {
            if self.next.is_empty()
                && let Some(source) = &mut self.source
            {
                self.next = Bytes::from(source.take_early());
            }
            if self.next.is_empty() {
                self.stalled_since_ms = None;
                if self.complete {
                    let _ = self.send.send_data(Bytes::new(), true);
                    pumped.over = true;
                }
                return pumped;
            }
            let wanted = self.next.len().min(room).min(PIECE_BYTES);
            if wanted == 0 {
                return pumped;
            }
            self.send.reserve_capacity(wanted);
            let bytes = self.send.capacity().min(wanted);
            if bytes == 0 {
                self.stalled_since_ms.get_or_insert(now_ms);
                return pumped;
            }
            self.stalled_since_ms = None;
            let piece = self.next.split_to(bytes);
            let is_last = self.complete
                && self.next.is_empty()
                && self.source.as_ref().is_none_or(|source| source.early_bytes() == 0);
            let sent = self.send.send_data(piece, is_last).is_ok();
            room -= bytes;
            pumped.bytes += bytes;
            if let Some(source) = &mut self.source
                && let Some(grant) = source.sent(bytes as u64)
            {
                let before = pumped.grant.map_or(0, |(_, before)| before);
                pumped.grant = Some((source.key, before.saturating_add(grant)));
            }
            if is_last || !sent {
                pumped.over = true;
                return pumped;
            }
        }
    }
}
