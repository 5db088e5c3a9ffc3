//! The answers of one connection: which are still awaited, which wait for their turn, and the bytes to be sent.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::link::batch::CallKey;
use crate::shard::connection::answer_stream::AnswerStream;
use crate::shard::connection::books::Books;
use crate::shard::connection::buffers::Buffers;
use crate::shard::connection::outgoing::{Outgoing, Output};
use crate::shard::connection::pending::Pending;
use crate::shard::exchange::sink::Progress;
use crate::wire::answer_body::AnswerBody;

#[derive(Debug, Default)]
pub(in crate::shard) struct AnswerQueue {
    pending: VecDeque<Pending>,
    /// Sequence number of the first entry of `pending`.
    first: u64,
    out: Outgoing,
    /// Of what is in `out` and `pending`, and on the way.
    books: Books,
}

impl AnswerQueue {
    pub fn new(buffers: Rc<Buffers>) -> Self {
        AnswerQueue { books: Books::new(buffers), ..AnswerQueue::default() }
    }

    /// The books of what the shard's connections hold.
    #[inline]
    pub fn buffers(&self) -> &Buffers {
        self.books.buffers()
    }

    /// The same, for whoever has books of its own.
    pub fn shared_buffers(&self) -> Rc<Buffers> {
        self.books.shared_buffers()
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
        self.books.held()
    }

    /// Bytes of the requests that the backend works on.
    pub fn asked_bytes(&self) -> usize {
        self.books.asked()
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
        self.books.ask(bytes);
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
            self.books.hold(bytes.len());
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
                self.books.hold(length);
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
        let stream = Pending::Streaming(Box::new(AnswerStream::new(key, body, early)));
        let before = std::mem::replace(entry, stream);
        self.drop_entry(&before);
        self.books.hold(length);
        if sequence == self.first {
            self.advance();
        }
    }

    /// Takes a piece of the body of answer `sequence`.
    pub fn put(&mut self, sequence: u64, piece: &[u8]) -> Progress {
        let (first, at) = (sequence == self.first, self.index(sequence));
        let Some(Pending::Streaming(stream)) = self.pending.get_mut(at) else { return Progress::Broken };
        let written = stream.put(piece, first.then_some(self.out.bytes()));
        if first {
            self.out.add_load(stream.key, written.content);
        }
        self.books.hold(written.bytes);
        if written.broken { Progress::Broken } else { Progress::Fine }
    }

    /// The body of answer `sequence` is complete.
    pub fn end(&mut self, sequence: u64) -> Progress {
        let (first, at) = (sequence == self.first, self.index(sequence));
        let Some(entry) = self.pending.get_mut(at) else { return Progress::Broken };
        let Pending::Streaming(stream) = entry else { return Progress::Broken };
        let written = stream.finish(first.then_some(self.out.bytes()));
        if !written.broken && first {
            self.pending.pop_front();
            self.first += 1;
            self.advance();
        } else if !written.broken {
            *entry = Pending::Ready(stream.take_early());
        }
        self.books.hold(written.bytes);
        if written.broken { Progress::Broken } else { Progress::Fine }
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
        self.books.clear();
    }

    /// True while the first answer is one that ends with the connection: only a reset tells that it is not whole.
    pub fn ends_with_connection(&self) -> bool {
        matches!(self.pending.front(), Some(Pending::Streaming(stream)) if stream.ends_with_connection())
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
            Some(Pending::Streaming(stream)) => stream.grant(window).map(|grant| (stream.key, grant)),
            _ => None,
        }
    }

    /// So many bytes of the body of the answer to `key` were sent; the grant that follows from it, if any.
    pub fn sent(&mut self, key: CallKey, bytes: u64) -> Option<u32> {
        match self.pending.front_mut() {
            Some(Pending::Streaming(stream)) if stream.key == key => stream.sent(bytes),
            _ => None,
        }
    }

    /// The grant for pieces of answer `sequence` that were thrown away, if any.
    pub fn settle(&mut self, sequence: u64) -> Option<u32> {
        match self.entry(sequence) {
            Some(Pending::Streaming(stream)) => stream.settle(),
            _ => None,
        }
    }

    /// The next bytes to send; their buffer comes back through [`Self::recycle`].
    pub fn take_output(&mut self) -> Option<Output> {
        if self.out.is_empty() {
            return None;
        }
        let next = match self.pending.front_mut() {
            Some(Pending::Streaming(stream)) => stream.take_early(),
            _ => Vec::new(),
        };
        let output = self.out.take(next);
        self.books.send(output.bytes.len());
        Some(output)
    }

    /// Takes a buffer back whose bytes are sent. While an answer streams it keeps its large ones.
    pub fn recycle(&mut self, used: Vec<u8>) {
        self.books.sent(used.len());
        if let Some(Pending::Streaming(stream)) = self.pending.front_mut() {
            return stream.keep(used);
        }
        self.out.shrink();
        self.books.buffers().put(used);
    }

    /// Frees all buffers of a queue in which nothing waits; true when there were any.
    pub fn release(&mut self) -> bool {
        if !self.pending.is_empty() || !self.out.is_empty() {
            return false;
        }
        let held = self.pending.capacity() > 0 || self.out.has_buffer();
        if held {
            (self.pending, self.out) = (VecDeque::new(), Outgoing::default());
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
        let out = self.out.buffer(self.books.buffers());
        let before = out.len();
        write(out);
        let grown = out.len() - before;
        self.books.hold(grown);
    }

    /// An entry is no longer in the queue, nor its bytes.
    fn drop_entry(&mut self, entry: &Pending) {
        match entry {
            Pending::Waiting { bytes, .. } => self.books.end_ask(*bytes),
            Pending::Ready(bytes) => self.books.let_go(bytes.len()),
            Pending::Streaming(stream) => self.books.let_go(stream.early_bytes()),
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
                    self.out.bytes().extend_from_slice(bytes);
                    self.pending.pop_front();
                    self.first += 1;
                }
                Some(Pending::Streaming(stream)) => {
                    self.out.bytes().append(&mut stream.take_early());
                    self.out.add_load(stream.key, stream.unsent());
                    return;
                }
                Some(Pending::Waiting { .. }) | None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
