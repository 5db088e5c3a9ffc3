//! What travels: calls out, answers home. Flat buffers, reused; a fixed-size record per call.

use std::time::Instant;

use super::weight::{Scales, Weight};
use crate::limits::{ARRIVAL_RESOLUTION, BATCH_BUFFER_KEEP_BYTES, BATCH_DATA_KEEP_BYTES};
use crate::wire::fields::Span;

/// Names one call in flight: the shard's slot, and the generation that tells a reused slot from the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallKey {
    /// Index in the shard's slot table.
    pub slot: u32,
    /// Counts the uses of that slot.
    pub generation: u32,
}

/// Bits of [`CallRecord::flags`].
pub mod flags {
    stated! {
        /// The call is an event, not a task.
        pub const EVENT: u32 = 1;
        /// The body was empty: the value is `undefined`. Its text in the batch is `null`, to keep the count right.
        pub const EMPTY: u32 = 1 << 1;
        /// The body may hold typed records or unsafe keys: JavaScript has to look at the value.
        pub const MARKED: u32 = 1 << 2;
        /// The text in the batch is a JSON string that holds the body's text, for a serializer to parse.
        pub const TEXT: u32 = 1 << 3;
        /// No call: a request that cannot be decided without an answer of [`super::Outcome::Advice`], namely which
        /// origin it allows. Its text in the batch is `null`.
        pub const ASK_ORIGIN: u32 = 1 << 4;
        /// No call either: whether the request may pass.
        pub const ASK_AUTH: u32 = 1 << 5;
        /// [`ASK_ORIGIN`] or [`ASK_AUTH`].
        pub const ASK: u32 = ASK_ORIGIN | ASK_AUTH;
        /// The body follows in frames, as it comes: untouched bytes (CONTRACT 12). [`EMPTY`] is set as well. The text in the
        /// batch is a number: how many bytes of it may be under way, until some are credited.
        pub const STREAM: u32 = 1 << 6;
        /// The body follows in frames, as manifest and files of a multipart form (CONTRACT 13). Otherwise as [`STREAM`].
        pub const MULTIPART: u32 = 1 << 7;
        /// The text is the value of the body's only member, `input` ([`crate::Config::bare_inputs`]).
        pub const INPUT: u32 = 1 << 8;
    }
}

/// One call: fixed size, the bytes are in the batch.
#[derive(Clone, Copy, Debug)]
pub struct CallRecord {
    /// Who asked.
    pub key: CallKey,
    /// Index that the handler was registered with.
    pub handler: u32,
    /// See [`flags`].
    pub flags: u32,
    /// The JSON text, in [`CallBatch::json`].
    pub body: Span,
    /// The effective request id, in [`CallBatch::heads`]; directly behind it stands the request line as received.
    pub request_id: Span,
    /// The field lines as received, in [`CallBatch::heads`], directly behind the request line.
    pub fields: Span,
    /// Names the peer that it came from in [`super::peers::Peers`].
    pub peer: u64,
}

impl CallRecord {
    /// The head as received, request line and field lines, each with its CRLF; in [`CallBatch::heads`].
    #[inline]
    #[must_use]
    pub fn head(&self) -> Span {
        Span { start: self.request_id.end, end: self.fields.end }
    }
}

/// A request that was refused for want of authentication: 401, or 500 `AUTH_NOT_CONFIGURED`. For the host's log.
#[derive(Clone, Copy, Debug)]
pub struct Notice {
    /// HTTP status.
    pub status: u16,
    /// The envelope's `code`.
    pub code: &'static str,
    /// The effective request id, in [`CallBatch::heads`], like the two below.
    pub request_id: Span,
    /// The method.
    pub method: Span,
    /// The path as received, without the query.
    pub path: Span,
}

/// What a frame tells of a body that travels in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Bytes of the request's body; of the open file, where it is multipart.
    Data,
    /// The request's body is complete.
    End,
    /// The `__manifest` field of a multipart body, whole: its bytes.
    Manifest,
    /// A file of a multipart body begins: its bytes are JSON, `{"name","filename"?,"type"}`.
    File,
    /// The open file of a multipart body is complete.
    FileEnd,
    /// The body is refused, for the reason with this number; nothing more of it follows.
    Refused(u8),
    /// So many more bytes of the call's answer stream may be sent.
    Credit(u32),
}

/// A piece of a body that travels in pieces. Frames of a batch come after its calls; those of one call are in order.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Of which call.
    pub key: CallKey,
    /// What it tells.
    pub kind: FrameKind,
    /// Its bytes, in [`CallBatch::data`].
    pub data: Span,
}

/// When calls of a batch were ready for the host.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The first calls of the batch, so many of them, less those of the entry before.
    pub calls: usize,
    /// When.
    pub at: Instant,
}

/// The calls of one shard tick.
#[derive(Debug, Default)]
pub struct CallBatch {
    /// One record per call.
    pub records: Vec<CallRecord>,
    /// How many of them are no calls: [`flags::ASK`].
    pub asks: usize,
    /// When it was first offered to the host ([`super::clock`]); 0 before that.
    pub handed_over_ns: u64,
    /// When they came: one entry, unless the host had no room for the batch and it grew.
    pub arrivals: Vec<Arrival>,
    /// The bodies' JSON texts, separated by commas: between brackets, one JSON array.
    pub json: Vec<u8>,
    /// Request ids and heads.
    pub heads: Vec<u8>,
    /// Pieces of bodies, of calls in this batch and in earlier ones.
    pub frames: Vec<Frame>,
    /// What the frames point into.
    pub data: Vec<u8>,
    /// Calls whose client has left (or whose time is over): nobody waits for their answer any more.
    pub gone: Vec<CallKey>,
    /// The shard has failed and was started anew: its calls in earlier batches are gone, as `gone` says one by one.
    pub restarted: bool,
    /// Refusals to be told, at most [`crate::limits::MAX_NOTICES`].
    pub notices: Vec<Notice>,
    /// Answer batches that the shard is done with: empty, with their memory, for the next answers.
    // Boxes, because they are the very boxes that travel.
    #[allow(clippy::vec_box)]
    pub answers_home: Vec<Box<AnswerBatch>>,
    weight: Weight,
}

impl CallBatch {
    /// True when there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.frames.is_empty()
            && self.gone.is_empty()
            && self.notices.is_empty()
            && !self.restarted
    }

    /// Bytes of its calls and frames.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.json.len() + self.heads.len() + self.data.len()
    }

    /// Those of them that are not on its shard's scales.
    #[inline]
    #[must_use]
    pub fn unweighed_bytes(&self) -> usize {
        self.bytes().saturating_sub(self.weight.bytes())
    }

    /// Puts its bytes on the scales of its shard, until it is emptied or dropped.
    pub fn weigh(&mut self, scales: &Scales) {
        self.weight.set(scales, self.bytes());
    }

    /// Puts its bytes on the scales that `other` is on, if any: it holds a part of that batch.
    pub(super) fn weigh_as(&mut self, other: &CallBatch) {
        if let Some(scales) = other.weight.scales() {
            self.weight.set(scales, self.bytes());
        }
    }

    /// Its calls, without the requests that are only asked about.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.records.len().saturating_sub(self.asks)
    }

    /// Notes that the calls which have no arrival time yet came at `now`.
    #[inline]
    pub fn note_arrival(&mut self, now: Instant) {
        let calls = self.records.len();
        match self.arrivals.last_mut() {
            Some(last) if now.saturating_duration_since(last.at) < ARRIVAL_RESOLUTION => last.calls = calls,
            Some(last) if last.calls == calls => {}
            None if calls == 0 => {}
            _ => self.arrivals.push(Arrival { calls, at: now }),
        }
    }

    /// When the call at `index` came; `None` where that is not known.
    #[must_use]
    pub fn arrival_of(&self, index: usize) -> Option<Instant> {
        let entry = self.arrivals.partition_point(|arrival| arrival.calls <= index);
        self.arrivals.get(entry).map(|arrival| arrival.at)
    }

    /// Forgets the content, keeps the memory unless a large body has blown it up.
    pub fn reset(&mut self) {
        self.records.clear();
        self.asks = 0;
        self.handed_over_ns = 0;
        self.arrivals.clear();
        self.frames.clear();
        self.gone.clear();
        self.notices.clear();
        self.restarted = false;
        reset_bytes(&mut self.data, BATCH_DATA_KEEP_BYTES);
        reset_bytes(&mut self.json, BATCH_BUFFER_KEEP_BYTES);
        reset_bytes(&mut self.heads, BATCH_BUFFER_KEEP_BYTES);
        self.weight.clear();
    }

    /// Opens the text of the next call: writes the comma and returns where its JSON starts.
    pub fn open_body(&mut self) -> u32 {
        if !self.json.is_empty() {
            self.json.push(b',');
        }
        self.json.len() as u32
    }

    /// The span of the text opened at `start` and written since.
    #[must_use]
    pub fn close_body(&self, start: u32) -> Span {
        Span { start, end: self.json.len() as u32 }
    }

    /// Copies a request id and a whole head (with its empty line) behind the heads; the spans of the id and of the
    /// field lines, as [`CallRecord`] wants them.
    pub fn push_call_head(&mut self, request_id: &[u8], head: &[u8]) -> (Span, Span) {
        let line = memchr::memchr(b'\n', head).map_or(head.len(), |at| at + 1);
        let request_id = self.push_head(request_id);
        let whole = self.push_head(head.get(..head.len().saturating_sub(2)).unwrap_or_default());
        (request_id, Span { start: (whole.start + line as u32).min(whole.end), end: whole.end })
    }

    /// Copies `bytes` behind the heads and returns their span.
    pub fn push_head(&mut self, bytes: &[u8]) -> Span {
        let start = self.heads.len() as u32;
        self.heads.extend_from_slice(bytes);
        Span { start, end: self.heads.len() as u32 }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 200 with the JSON text as the result.
    Result,
    /// 200 without a result (an event).
    Done,
    /// An error that the host has put into words: the JSON text is the whole body, with its own status.
    Failed {
        /// HTTP status, 400..=599.
        status: u16,
    },
    /// 500 `Internal Error`, no details.
    InternalError,
    /// 400 `Invalid JSON body`: a serializer refused it.
    InvalidJson,
    /// 504: it took longer than `handler_timeout_ms`.
    TimedOut,
    /// 503: it has waited too long for the host.
    Overloaded,
    /// 503: its host has begun it, and has ended before it answered.
    Lost,
    /// A whole answer of the host's own; its bytes are in [`AnswerBatch::raw`].
    Raw(RawAnswer),
    /// The head of an answer whose body follows in pieces; reason and lines are in [`AnswerBatch::raw`].
    Open(StreamHead),
    /// The next piece of that body, in [`AnswerBatch::raw`].
    Data,
    /// That body is complete: the call is over.
    End,
    /// That body breaks off: the connection is cut, so that the client sees it. The call is over.
    Cut,
    /// So many bytes of the request's body are used up: as many more may be sent to the host.
    Credit(u32),
    /// Nobody wants the rest of the request's body: no more frames of it, please.
    Discard,
    /// The word on a request that was asked about; the origin to allow, if any, is in [`AnswerBatch::raw`].
    Advice {
        /// It may pass.
        passed: bool,
    },
}

/// What of a raw answer is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawAnswer {
    /// HTTP status, 200..=599; anything else is sent as a 500.
    pub status: u16,
    /// Bytes of the reason phrase, at the start of the answer's bytes; 0 for the usual one.
    pub reason_len: u32,
    /// Bytes of fields behind it, as [`crate::wire::field_lines::put_field`] writes them. The rest is the body.
    pub lines_len: u32,
    /// The contract's CORS lines go along.
    pub cors: bool,
    /// The contract's security lines go along.
    pub security: bool,
}

/// What of the head of a streamed answer is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamHead {
    /// Status, reason, lines and own lines, as of any raw answer.
    pub head: RawAnswer,
    /// Bytes of the body, where the application has promised how many: `Content-Length`. Otherwise chunked, or until
    /// the connection ends (HTTP/1.0).
    pub length: Option<u64>,
}

/// One answer: fixed size, the bytes are in the batch.
#[derive(Clone, Copy, Debug)]
pub struct AnswerRecord {
    /// Whom it is for.
    pub key: CallKey,
    /// How the call ended.
    pub outcome: Outcome,
    /// JSON text in [`AnswerBatch::json`] (or bytes in [`AnswerBatch::raw`], where the outcome says so); empty where
    /// the outcome needs none.
    pub body: Span,
}

/// Answers for one shard.
#[derive(Debug, Default)]
pub struct AnswerBatch {
    /// When the host gave the first of them ([`super::clock`]); 0 where it does not say.
    pub answered_ns: u64,
    /// One record per answer.
    pub records: Vec<AnswerRecord>,
    /// The texts that the records point into. Bytes between them are not looked at.
    pub json: Vec<u8>,
    /// What is not JSON text.
    pub raw: Vec<u8>,
}

impl AnswerBatch {
    /// Adds an answer whose text is copied in.
    pub fn push(&mut self, key: CallKey, outcome: Outcome, text: &[u8]) {
        let start = self.json.len() as u32;
        self.json.extend_from_slice(text);
        self.records.push(AnswerRecord { key, outcome, body: Span { start, end: self.json.len() as u32 } });
    }

    /// Adds an answer whose bytes are no JSON text; `write` appends them. Too many for one batch: a 500.
    pub fn push_raw(&mut self, key: CallKey, outcome: Outcome, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.raw.len();
        write(&mut self.raw);
        match (u32::try_from(before), u32::try_from(self.raw.len())) {
            (Ok(start), Ok(end)) => self.records.push(AnswerRecord { key, outcome, body: Span { start, end } }),
            _ => {
                self.raw.truncate(before);
                self.push(key, Outcome::InternalError, b"");
            }
        }
    }

    /// Adds the word on a request that was asked about; an empty `origin` allows none.
    pub fn push_advice(&mut self, key: CallKey, passed: bool, origin: &[u8]) {
        self.push_raw(key, Outcome::Advice { passed }, |raw| raw.extend_from_slice(origin));
    }

    /// Forgets the content, keeps the memory unless a large answer has blown it up.
    pub fn reset(&mut self) {
        self.records.clear();
        self.answered_ns = 0;
        reset_bytes(&mut self.raw, BATCH_DATA_KEEP_BYTES);
        reset_bytes(&mut self.json, BATCH_BUFFER_KEEP_BYTES);
    }
}

/// A buffer that a large message has grown is let go, so that a batch pool stays small.
fn reset_bytes(bytes: &mut Vec<u8>, keep: usize) {
    if bytes.capacity() > keep {
        *bytes = Vec::new();
    } else {
        bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_form_one_array_text() {
        let mut batch = CallBatch::default();
        for text in ["1", "{\"a\":[2]}", "null"] {
            let start = batch.open_body();
            batch.json.extend_from_slice(text.as_bytes());
            assert_eq!(batch.close_body(start).of(&batch.json), text.as_bytes());
        }
        assert_eq!(batch.json, b"1,{\"a\":[2]},null");
    }

    #[test]
    fn calls_have_their_arrival_times() {
        let (mut batch, start) = (CallBatch::default(), Instant::now());
        batch.note_arrival(start);
        assert!(batch.arrivals.is_empty());
        let record = CallRecord {
            key: CallKey { slot: 0, generation: 0 },
            handler: 0,
            flags: 0,
            body: Span::default(),
            request_id: Span::default(),
            fields: Span::default(),
            peer: 0,
        };
        let later = start + ARRIVAL_RESOLUTION;
        for at in [start, start + ARRIVAL_RESOLUTION / 2, later] {
            batch.records.push(record);
            batch.note_arrival(at);
        }
        batch.note_arrival(later + ARRIVAL_RESOLUTION);
        let times: Vec<_> = (0..4).map(|index| batch.arrival_of(index)).collect();
        assert_eq!(times, [Some(start), Some(start), Some(later), None]);
    }

    #[test]
    fn large_buffers_are_let_go_small_ones_kept() {
        let mut batch = CallBatch::default();
        batch.json.resize(crate::limits::BATCH_BUFFER_KEEP_BYTES, b' ');
        batch.reset();
        assert!(batch.json.capacity() > 0);
        batch.json.resize(crate::limits::BATCH_BUFFER_KEEP_BYTES + 1, b' ');
        batch.reset();
        assert_eq!(batch.json.capacity(), 0);
    }
}
