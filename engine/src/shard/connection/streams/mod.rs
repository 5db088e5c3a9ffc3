//! The streams of one HTTP/2 connection: each is an exchange. What reads and writes their frames is in `shard::http2`; here is
//! what the rest of the shard finds of them.

mod outflow;
mod response;
pub(in crate::shard) mod stream;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use h2::server::SendResponse;
use slab::Slab;

use crate::link::batch::CallKey;
use crate::shard::connection::buffers::Buffers;
pub(in crate::shard) use response::is_of_connection;
use stream::Stream;

/// What the connection is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::shard) enum Order {
    #[default]
    GoOn,
    /// It takes no further stream, and ends when those that there are have (RFC 9113 6.8).
    Finish,
    /// It ends at once, for this reason.
    End(h2::Reason),
}

/// See the module. Single-threaded.
pub(in crate::shard) struct Streams {
    all: RefCell<Slab<Rc<Stream>>>,
    /// Those with which something has happened, by their index.
    touched: RefCell<Vec<usize>>,
    order: Cell<Order>,
    /// Bytes of answers that wait for a window, or for room in the connection's queue.
    held: Cell<usize>,
    /// Of those, what `h2` has.
    handed: Cell<usize>,
    /// When the first stream of those there are has begun to wait for its client, as of the last sweep.
    stalled_since_ms: Cell<Option<u64>>,
    buffers: Rc<Buffers>,
}

impl Streams {
    pub fn new(buffers: Rc<Buffers>) -> Self {
        Streams {
            all: RefCell::default(),
            touched: RefCell::default(),
            order: Cell::default(),
            held: Cell::default(),
            handed: Cell::default(),
            stalled_since_ms: Cell::default(),
            buffers,
        }
    }

    /// Enters a stream whose request has come.
    pub fn begin(&self, respond: SendResponse<Bytes>, now_ms: u64) -> Rc<Stream> {
        let mut all = self.all.borrow_mut();
        let entry = all.vacant_entry();
        let stream = Rc::new(Stream::new(entry.key(), respond, now_ms));
        entry.insert(stream.clone());
        stream
    }

    /// The stream of the exchange with this number, unless that is over.
    pub fn get(&self, sequence: u64) -> Option<Rc<Stream>> {
        let all = self.all.borrow();
        all.get(Stream::index_of(sequence)).filter(|stream| stream.sequence() == sequence).cloned()
    }

    /// That with this index.
    pub fn at(&self, index: usize) -> Option<Rc<Stream>> {
        self.all.borrow().get(index).cloned()
    }

    /// All there are.
    pub fn all(&self) -> Vec<Rc<Stream>> {
        self.all.borrow().iter().map(|(_, stream)| stream.clone()).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.borrow().len()
    }

    /// A stream is over.
    pub fn leave(&self, stream: &Stream) {
        self.let_go(stream.drop_content());
        self.all.borrow_mut().try_remove(stream.index());
    }

    /// All are over; the calls under way are handed to `abandoned`.
    pub fn give_up(&self, abandoned: &mut Vec<CallKey>) {
        for stream in self.all() {
            stream.give_up(abandoned);
            self.leave(&stream);
        }
    }

    /// The calls and the questions under way.
    pub fn waiting(&self) -> Vec<CallKey> {
        self.all.borrow().iter().filter_map(|(_, stream)| stream.waiting()).collect()
    }

    /// Something has happened with a stream.
    pub fn touch(&self, stream: &Stream) {
        if stream.touch() {
            self.touched.borrow_mut().push(stream.index());
        }
    }

    pub fn is_touched(&self) -> bool {
        !self.touched.borrow().is_empty() || self.order.get() != Order::GoOn
    }

    /// Those with which something has happened, and to whom it may happen again.
    pub fn take_touched(&self) -> Vec<Rc<Stream>> {
        let touched = std::mem::take(&mut *self.touched.borrow_mut());
        let streams: Vec<_> = touched.into_iter().filter_map(|index| self.at(index)).collect();
        streams.iter().for_each(|stream| stream.end_touch());
        streams
    }

    /// Asks for something; what is more urgent stays.
    pub fn order(&self, order: Order) {
        if !matches!(self.order.get(), Order::End(_)) {
            self.order.set(order);
        }
    }

    /// True when the connection is asked to end, soon or at once.
    pub fn is_told_to_end(&self) -> bool {
        self.order.get() != Order::GoOn
    }

    pub fn take_order(&self) -> Order {
        self.order.take()
    }

    /// So many of the bytes that are held are with `h2` now.
    pub fn hand(&self, bytes: usize) {
        self.handed.set(self.handed.get() + bytes);
    }

    /// Those that are.
    pub fn handed_bytes(&self) -> usize {
        self.handed.get()
    }

    /// Of those, at most so many have gone into the connection's queue, which counts them.
    pub fn take_over(&self, bytes: usize) {
        let bytes = bytes.min(self.handed.get());
        self.handed.set(self.handed.get() - bytes);
        self.let_go(bytes);
    }

    /// Bytes of answers that wait for a window, or for room in the connection's queue.
    pub fn held_bytes(&self) -> usize {
        self.held.get()
    }

    /// So many bytes more.
    pub fn hold(&self, bytes: usize) {
        self.held.set(self.held.get() + bytes);
        self.buffers.hold(bytes);
    }

    /// So many bytes are gone.
    pub fn let_go(&self, bytes: usize) {
        self.held.set(self.held.get() - bytes);
        self.buffers.let_go(bytes);
    }

    pub fn stalled_since_ms(&self) -> Option<u64> {
        self.stalled_since_ms.get()
    }

    pub fn note_stalled(&self, since_ms: Option<u64>) {
        self.stalled_since_ms.set(since_ms);
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.buffers.let_go(self.held.get());
    }
}
