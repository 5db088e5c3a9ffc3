//! The answers of one connection: which are still awaited, which wait for their turn, and the bytes to be sent.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::limits::{ANSWER_FIRST_BYTES, CONN_BUFFER_KEEP_BYTES, STREAM_WRITE_BYTES};
use crate::link::batch::CallKey;
use crate::shard::connection::buffers::Buffers;
use crate::wire::answer_body::{AnswerBody, AnswerFraming};

/// A request that has not been answered to the client yet, in order of arrival.
#[derive(Debug)]
enum Pending {
    /// The backend works on it. What it was asked has so many bytes.
    Waiting { key: CallKey, bytes: u32 },
    /// Answered out of turn: the bytes wait for the answers before it.
    Ready(Vec<u8>),
    /// The backend has begun to answer it.
    Streaming(Box<AnswerStream>),
}

/// An answer whose body comes in pieces. As the first of its connection it is written through; before, it gathers here.
#[derive(Debug)]
struct AnswerStream {
    key: CallKey,
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

/// Bytes to send, in one go.
#[derive(Debug)]
pub(in crate::shard) struct Output {
    pub bytes: Vec<u8>,
    /// The stream that they belong to, and how many of them are bytes of its body.
    pub load: Option<(CallKey, u64)>,
}

/// What became of a piece, or of the end, of a streamed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Progress {
    /// It goes on, or is complete.
    Fine,
    /// The answer is not what its length has promised: what was sent of it is all that can be sent.
    Broken,
}

#[derive(Debug, Default)]
pub(in crate::shard) struct AnswerQueue {
    pending: VecDeque<Pending>,
    /// Sequence number of the first entry of `pending`.
    first: u64,
    out: Vec<u8>,
    /// What `out` holds of the body that streams.
    load: Option<(CallKey, u64)>,
    /// Bytes in `out` and `pending`, and `on_the_way`; a part of what `buffers` has on its books.
    held: usize,
    /// Bytes taken to be sent, and not given back.
    on_the_way: usize,
    /// Bytes that the calls which wait were asked with.
    asked: usize,
    buffers: Rc<Buffers>,
}

impl AnswerQueue {
    pub fn new(buffers: Rc<Buffers>) -> Self {
        let mut queue = AnswerQueue::default();
        queue.buffers = buffers;
        queue
    }

    /// The books of what the shard's connections hold.
    #[inline]
    pub fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    /// Where the first answer goes.
    #[inline]
    fn out(&mut self) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            self.out = self.buffers.take();
        }
        &mut self.out
    }

    /// Requests that are not answered yet.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Bytes to be sent.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn queued_bytes(&self) -> usize {
        self.out.len()
    }

    /// Bytes of answers that are not sent yet, whether it is their turn or not.
    pub fn held_bytes(&self) -> usize {
        self.held
    }

    /// Bytes of the requests that the backend works on.
    pub fn asked_bytes(&self) -> usize {
        self.asked
    }

    /// The calls under way.
    pub fn waiting(&self) -> impl Iterator<Item = CallKey> {
        self.pending.iter().filter_map(Pending::key)
    }

    /// The number that the next request gets.
    pub fn next_sequence(&self) -> u64 {
        self.first + self.pending.len() as u64
    }

    /// Queues a request of so many `bytes` that the backend works on; its number is the `next_sequence` of before.
    pub fn push_waiting(&mut self, key: CallKey, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.asked += bytes as usize;
        self.pending.push_back(Pending::Waiting { key, bytes });
    }

    /// Answers a request that was just read: in its turn at once (then true), otherwise behind the calls before it.
    pub fn answer_now(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.pending.is_empty() {
            self.write_out(write);
            self.first += 1;
            true
        } else {
            let mut bytes = Vec::new();
            write(&mut bytes);
            self.hold(bytes.len());
            self.pending.push_back(Pending::Ready(bytes));
            false
        }
    }

    /// Answers the call with number `sequence`; true when there is something to send now.
    pub fn answer(&mut self, sequence: u64, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        if sequence == self.first {
            if let Some(entry) = self.pending.pop_front() {
                self.drop_entry(&entry);
            }
            self.first += 1;
            self.write_out(write);
            self.advance();
            true
        } else {
            let at = self.index(sequence);
            if let Some(entry) = self.pending.get_mut(at) {
                let mut bytes = Vec::new();
                write(&mut bytes);
                let length = bytes.len();
                let before = std::mem::replace(entry, Pending::Ready(bytes));
                self.drop_entry(&before);
                self.hold(length);
            }
            false
        }
    }

    /// Begins to answer the call with number `sequence`: `head` writes the head.
    pub fn open(&mut self, sequence: u64, body: AnswerBody, head: impl FnOnce(&mut Vec<u8>)) {
        let Some(entry) = self.entry(sequence) else { return };
        let Some(key) = entry.key() else { return };
        let mut early = Vec::new();
        head(&mut early);
        let length = early.len();
        let stream = Pending::Streaming(Box::new(AnswerStream { key, body, early, unsent: 0, due: 0, window: None }));
        let before = std::mem::replace(entry, stream);
        self.drop_entry(&before);
        self.hold(length);
        if sequence == self.first {
            self.advance();
        }
    }

    /// Takes a piece of the body of answer `sequence`.
    pub fn put(&mut self, sequence: u64, piece: &[u8]) -> Progress {
        let (first, at) = (sequence == self.first, self.index(sequence));
        let Some(Pending::Streaming(stream)) = self.pending.get_mut(at) else { return Progress::Broken };
        let out = if first { &mut self.out } else { &mut stream.early };
        if piece.len() > CONN_BUFFER_KEEP_BYTES && out.capacity() < STREAM_WRITE_BYTES {
            // At once, not by doubling: each size on the way would be memory that the allocator keeps for that size.
            out.reserve(4 * STREAM_WRITE_BYTES);
        }
        let before = out.len();
        let put = stream.body.put(piece, out);
        let grown = out.len() - before;
        stream.unsent += put.written as u64;
        stream.due += (piece.len() - put.written) as u64;
        if first {
            add_load(&mut self.load, stream.key, put.written as u64);
        }
        self.hold(grown);
        if put.surplus { Progress::Broken } else { Progress::Fine }
    }

    /// The body of answer `sequence` is complete.
    pub fn end(&mut self, sequence: u64) -> Progress {
        let (first, at) = (sequence == self.first, self.index(sequence));
        let Some(entry) = self.pending.get_mut(at) else { return Progress::Broken };
        let Pending::Streaming(stream) = entry else { return Progress::Broken };
        let out = if first { &mut self.out } else { &mut stream.early };
        let before = out.len();
        let whole = stream.body.finish(out);
        let grown = out.len() - before;
        if whole && first {
            self.pending.pop_front();
            self.first += 1;
            self.advance();
        } else if whole {
            *entry = Pending::Ready(std::mem::take(&mut stream.early));
        }
        self.hold(grown);
        if whole { Progress::Fine } else { Progress::Broken }
    }

    /// Nothing more is answered from request `sequence` on; the calls among those are handed to `abandoned`. What was
    /// written of the first of them stays; one that still waits for its turn is not begun.
    pub fn truncate(&mut self, sequence: u64, abandoned: &mut Vec<CallKey>) {
        let keep = self.index(sequence.max(self.first));
        if keep < self.pending.len() {
            for entry in self.pending.split_off(keep) {
                self.drop_entry(&entry);
                abandoned.extend(entry.key());
            }
        }
    }

    /// Drops everything; the calls under way are handed to `abandoned`.
    pub fn clear(&mut self, abandoned: &mut Vec<CallKey>) {
        self.first += self.pending.len() as u64;
        abandoned.extend(self.pending.drain(..).filter_map(|entry| entry.key()));
        self.out.clear();
        self.load = None;
        self.asked = 0;
        self.let_go(self.held - self.on_the_way);
    }

    /// True while the first answer is one that ends with the connection: only a reset tells that it is not whole.
    pub fn ends_with_connection(&self) -> bool {
        matches!(self.pending.front(), Some(Pending::Streaming(stream)) if stream.body.framing() == AnswerFraming::UntilClose)
    }

    /// True while the first answer streams.
    pub fn streams(&self) -> bool {
        matches!(self.pending.front(), Some(Pending::Streaming(_)))
    }

    /// True when the answer to request `sequence` is the next to be sent.
    pub fn is_first(&self, sequence: u64) -> bool {
        sequence == self.first
    }

    /// The first answer streams and has not been granted its window yet: asks how large it is, and this is the grant.
    pub fn grant(&mut self, window: impl FnOnce() -> u32) -> Option<(CallKey, u32)> {
        match self.pending.front_mut() {
            Some(Pending::Streaming(stream)) if stream.window.is_none() => {
                let bytes = window();
                stream.window = Some(bytes);
                Some((stream.key, bytes.saturating_sub(ANSWER_FIRST_BYTES))).filter(|(_, grant)| *grant > 0)
            }
            _ => None,
        }
    }

    /// So many bytes of the body of the answer to `key` were sent; the grant that follows from it, if any.
    pub fn sent(&mut self, key: CallKey, bytes: u64) -> Option<u32> {
        match self.pending.front_mut() {
            Some(Pending::Streaming(stream)) if stream.key == key => {
                let bytes = bytes.min(stream.unsent);
                stream.unsent -= bytes;
                stream.due += bytes;
                stream.settle()
            }
            _ => None,
        }
    }

    /// The grant for pieces of answer `sequence` that were thrown away, if any.
    pub fn settle(&mut self, sequence: u64) -> Option<u32> {
        match self.entry(sequence) {
            Some(Pending::Streaming(stream)) if stream.due > 0 => stream.settle(),
            _ => None,
        }
    }

    /// The next bytes to send; their buffer comes back through [`Self::recycle`].
    pub fn take_output(&mut self) -> Option<Output> {
        if self.out.is_empty() {
            return None;
        }
        let next = match self.pending.front_mut() {
            Some(Pending::Streaming(stream)) => std::mem::take(&mut stream.early),
            _ => Vec::new(),
        };
        let bytes = std::mem::replace(&mut self.out, next);
        self.on_the_way += bytes.len();
        Some(Output { bytes, load: self.load.take() })
    }

    /// Takes a buffer back whose bytes are sent. While an answer streams it keeps its large ones.
    pub fn recycle(&mut self, mut used: Vec<u8>) {
        self.on_the_way -= used.len();
        self.let_go(used.len());
        if let Some(Pending::Streaming(stream)) = self.pending.front_mut() {
            used.clear();
            stream.early = used;
            return;
        }
        if self.out.is_empty() && self.out.capacity() > CONN_BUFFER_KEEP_BYTES {
            self.out = Vec::new();
        }
        self.buffers.put(used);
    }

    /// Frees all buffers of a queue in which nothing waits; true when there were any.
    pub fn release(&mut self) -> bool {
        if !self.pending.is_empty() || !self.out.is_empty() {
            return false;
        }
        let held = self.pending.capacity() + self.out.capacity() > 0;
        if held {
            (self.pending, self.out) = (VecDeque::new(), Vec::new());
        }
        held
    }

    /// Where in `pending` a request is; nowhere when it is answered.
    fn index(&self, sequence: u64) -> usize {
        sequence.checked_sub(self.first).and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX)
    }

    fn entry(&mut self, sequence: u64) -> Option<&mut Pending> {
        let at = self.index(sequence);
        self.pending.get_mut(at)
    }

    /// Writes an answer whose turn it is.
    #[inline]
    fn write_out(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.out.len();
        write(self.out());
        self.hold(self.out.len() - before);
    }

    #[inline]
    fn hold(&mut self, bytes: usize) {
        self.held += bytes;
        self.buffers.hold(bytes);
    }

    #[inline]
    fn let_go(&mut self, bytes: usize) {
        self.held -= bytes;
        self.buffers.let_go(bytes);
    }

    /// An entry is no longer in the queue, nor its bytes.
    fn drop_entry(&mut self, entry: &Pending) {
        match entry {
            Pending::Waiting { bytes, .. } => self.asked -= *bytes as usize,
            Pending::Ready(bytes) => self.let_go(bytes.len()),
            Pending::Streaming(stream) => self.let_go(stream.early.len()),
        }
    }

    /// Lets the answers leave whose turn has come.
    #[inline]
    fn advance(&mut self) {
        if !matches!(self.pending.front(), Some(Pending::Waiting { .. }) | None) {
            self.advance_ready();
        }
    }

    fn advance_ready(&mut self) {
        loop {
            match self.pending.front_mut() {
                Some(Pending::Ready(bytes)) => {
                    self.out.extend_from_slice(bytes);
                    self.pending.pop_front();
                    self.first += 1;
                }
                Some(Pending::Streaming(stream)) => {
                    self.out.append(&mut stream.early);
                    stream.early = Vec::new();
                    add_load(&mut self.load, stream.key, stream.unsent);
                    return;
                }
                Some(Pending::Waiting { .. }) | None => return,
            }
        }
    }
}

impl Drop for AnswerQueue {
    fn drop(&mut self) {
        self.buffers.let_go(self.held);
    }
}

impl Pending {
    fn key(&self) -> Option<CallKey> {
        match self {
            Pending::Waiting { key, .. } => Some(*key),
            Pending::Streaming(stream) => Some(stream.key),
            Pending::Ready(_) => None,
        }
    }
}

impl AnswerStream {
    /// Grants come in quarters of the window: until then the backend has most of it left.
    fn settle(&mut self) -> Option<u32> {
        if self.due < u64::from(self.window.unwrap_or(ANSWER_FIRST_BYTES) / 4) {
            return None;
        }
        let grant = u32::try_from(self.due).unwrap_or(u32::MAX);
        self.due -= u64::from(grant);
        Some(grant)
    }
}

/// The load of what is queued; what is left of a stream that has ended counts no longer.
fn add_load(load: &mut Option<(CallKey, u64)>, key: CallKey, bytes: u64) {
    match load {
        Some((known, sum)) if *known == key => *sum += bytes,
        _ => *load = Some((key, bytes)),
    }
}

#[cfg(test)]
mod tests;
