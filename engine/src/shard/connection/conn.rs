//! One connection: its queue of answers, what it waits for and since when. `serve` reads and writes it.

use std::cell::{Cell, OnceCell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use crate::limits::Limits;
use crate::link::batch::CallKey;
use crate::link::peers::{Entered, Peer, Peers};
use crate::shard::connection::answer_queue::AnswerQueue;
use crate::shard::connection::buffers::Buffers;
use crate::shard::connection::conn_log::ConnLog;
use crate::shard::connection::outgoing::Output;
use crate::shard::connection::streams::Streams;
use crate::shard::connection::wakeup::Wakeup;
use crate::shard::exchange::incoming::Incoming;
use crate::shard::exchange::inflow::Inflow;
pub(in crate::shard) use crate::shard::exchange::phase::Phase;
use crate::shard::resident::standing::idles;
use crate::shard::service::Service;
use crate::shard::transport::socket::Socket;
use crate::shard::watch::timing::Answered;

/// State of one connection, shared by its task and the shard. Single-threaded.
pub(in crate::shard) struct Conn {
    /// Index in the shard's table of connections.
    pub id: u32,
    service: &'static Service,
    socket: Socket,
    /// Its peer, once somebody has asked.
    peer: OnceCell<Entered>,
    /// The request half of its exchanges.
    incoming: Incoming,
    /// `u64::MAX`: no send is under way.
    writing_since_ms: Cell<u64>,
    /// No request is taken any more; the connection ends after the last answer.
    closing: Cell<bool>,
    /// Its client wants to be told when no further request is read.
    notice: Cell<bool>,
    /// The peer is gone or was cut off: nothing can be sent.
    dead: Cell<bool>,
    answers: RefCell<AnswerQueue>,
    /// Where it speaks HTTP/2: then `answers` has the bytes of frames, and no exchange of its own.
    streams: OnceCell<Rc<Streams>>,
    answered: Cell<Answered>,
    /// Bytes that requests take which are not complete, or not looked at.
    input_bytes: Cell<usize>,
    wakeup: Wakeup,
    /// Where its requests are written down, if they are.
    log: Option<Box<ConnLog>>,
}

impl Conn {
    /// `log`: its requests are written down there.
    pub fn new(
        id: u32,
        socket: Socket,
        service: &'static Service,
        now_ms: u64,
        buffers: Rc<Buffers>,
        log: Option<Box<ConnLog>>,
    ) -> Self {
        Conn {
            id,
            service,
            socket,
            peer: OnceCell::new(),
            incoming: Incoming::new(now_ms),
            writing_since_ms: Cell::new(u64::MAX),
            closing: Cell::new(false),
            notice: Cell::new(false),
            dead: Cell::new(false),
            answers: RefCell::new(AnswerQueue::new(buffers)),
            streams: OnceCell::new(),
            answered: Cell::default(),
            input_bytes: Cell::new(0),
            wakeup: Wakeup::default(),
            log,
        }
    }

    /// What it was let in for.
    pub fn service(&self) -> &'static Service {
        self.service
    }

    /// Where its requests are written down, if they are.
    #[inline]
    pub fn log(&self) -> Option<&ConnLog> {
        self.log.as_deref()
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Its peer, known by its number from now on; one that never calls is not entered. `None`: nothing is said of those who call
    /// by its service.
    #[inline]
    pub fn peer(&self, peers: &Arc<Peers>) -> Option<&Entered> {
        // Where something depends on it, it was met before its first request. Of one that is gone only handlers would be told.
        let address = || self.socket.peer_address().ok().flatten();
        let enter = || peers.enter(Peer { address: address(), ..Peer::default() });
        self.service.has_callers.then(|| self.peer.get_or_init(enter))
    }

    /// More is known of its peer than the kernel knows.
    pub fn meet(&self, peer: Entered) {
        // Once: what comes later would be another handshake, and there is none.
        let _ = self.peer.set(peer);
    }

    /// Its streams, where it speaks HTTP/2.
    #[inline]
    pub fn streams(&self) -> Option<&Rc<Streams>> {
        self.streams.get()
    }

    /// It speaks HTTP/2 from now on.
    pub fn begin_streams(&self) -> Rc<Streams> {
        self.streams.get_or_init(|| Rc::new(Streams::new(self.answers.borrow().shared_buffers()))).clone()
    }

    /// The request half of its exchanges: what it waits for of them.
    pub fn incoming(&self) -> &Incoming {
        &self.incoming
    }

    /// What the read side waits for, since when, and the bytes that have come since.
    pub fn phase(&self) -> (Phase, u64, u64) {
        let clock = &self.incoming.clock;
        (clock.phase(), clock.since_ms(), clock.bytes())
    }

    /// Enters a phase; its clock starts only when it is a new one.
    pub fn enter(&self, phase: Phase, now_ms: u64) {
        self.incoming.clock.enter(phase, now_ms);
    }

    /// Enters a phase and starts its clock anew.
    pub fn restart(&self, phase: Phase, now_ms: u64) {
        self.incoming.clock.restart(phase, now_ms);
    }

    /// So many bytes have come.
    pub fn count_bytes(&self, bytes: usize, now_ms: u64) {
        self.incoming.clock.count_bytes(bytes, now_ms);
    }

    /// Since when a send makes no progress.
    pub fn writing_since_ms(&self) -> Option<u64> {
        Some(self.writing_since_ms.get()).filter(|since| *since != u64::MAX)
    }

    pub fn closing(&self) -> bool {
        self.closing.get()
    }

    /// Its client wants to be told when no further request is read.
    pub fn want_notice(&self) {
        self.notice.set(true);
    }

    pub fn wants_notice(&self) -> bool {
        self.notice.get()
    }

    /// True when nothing can be sent any more: the peer is gone or was cut off.
    pub fn is_dead(&self) -> bool {
        self.dead.get()
    }

    /// Takes no further request; ends when the last answer is out.
    pub fn begin_close(&self) {
        self.closing.set(true);
        self.wake();
    }

    /// Requests that are not answered yet.
    pub fn pending(&self) -> usize {
        let streams = self.streams.get().map_or(0, |streams| streams.len());
        self.answers.borrow().len() + usize::from(self.incoming.is_asking()) + streams
    }

    /// The calls and the question under way.
    pub fn waiting(&self) -> Vec<CallKey> {
        let streams = self.streams.get().map(|streams| streams.waiting()).unwrap_or_default();
        self.answers.borrow().waiting().chain(self.incoming.question()).chain(streams).collect()
    }

    /// Nobody reads the socket: the reader waits for room for further requests or for more of a body, or has given up. Or
    /// somebody does again.
    pub fn set_unread(&self, unread: bool) {
        self.socket.set_unread(unread);
    }

    /// True when no request has come for a while, nor any part of one.
    pub fn idles(&self, now_ms: u64) -> bool {
        let (phase, since_ms, _) = self.phase();
        idles(phase, since_ms, now_ms)
    }

    /// The connection is idle: gives its buffers back. True when there were any.
    pub fn rest(&self) -> bool {
        let reader = self.socket.cancel_read();
        let writer = self.settled() && self.answers().release();
        reader || writer
    }

    /// True when nothing waits to be answered or sent.
    pub fn settled(&self) -> bool {
        self.pending() == 0 && self.answers.borrow().held_bytes() == 0 && self.writing_since_ms.get() == u64::MAX
    }

    /// True when the connection has room for one more request.
    pub fn has_room(&self, max_pipelined: usize, max_buffered_bytes: usize) -> bool {
        let answers = self.answers.borrow();
        answers.len() < max_pipelined
            && answers.held_bytes() < max_buffered_bytes
            && answers.asked_bytes() < max_buffered_bytes
    }

    /// True when the reader has something to do: take requests or more of a body, or see that there is no more to take.
    pub fn may_read(&self, limits: &Limits) -> bool {
        self.closing()
            || match self.incoming.inflow() {
                Some(inflow) => inflow.is_open(),
                None => self.has_room(limits.max_pipelined, limits.max_buffered_bytes),
            }
    }

    /// The body that a call reads as it comes.
    pub fn inflow(&self) -> Option<Inflow> {
        self.incoming.inflow()
    }

    /// True while the first answer streams.
    pub fn streams_answer(&self) -> bool {
        self.answers.borrow().streams()
    }

    /// The answers, to be changed. What is ready to be sent leaves when the task is woken.
    pub fn answers(&self) -> RefMut<'_, AnswerQueue> {
        self.answers.borrow_mut()
    }

    /// So many bytes of requests are held now that are not complete, or not looked at.
    #[inline]
    pub fn hold_input(&self, bytes: usize) {
        let before = self.input_bytes.replace(bytes);
        if bytes != before {
            let answers = self.answers.borrow();
            answers.buffers().let_go(before);
            answers.buffers().hold(bytes);
        }
    }

    /// Bytes that the shard holds for this connection.
    pub fn held_bytes(&self) -> usize {
        let streams = self.streams.get().map_or(0, |streams| streams.held_bytes());
        self.input_bytes.get() + self.answers.borrow().held_bytes() + self.socket.beneath_bytes() + streams
    }

    /// True when an answer to this request must say `Connection: close`: it is the last one.
    pub fn is_last(&self, sequence: u64) -> bool {
        self.closing.get() && sequence + 1 >= self.answers.borrow().next_sequence()
    }

    /// Notes when a whole answer was given.
    pub fn note_answered(&self, since_ns: u64, in_turn: bool) {
        self.answered.set(self.answered.get().add(since_ns, in_turn));
    }

    /// The answers that leave with the next output.
    pub fn take_answered(&self) -> Answered {
        if self.answered.get().is_due() { self.answered.take() } else { Answered::default() }
    }

    /// Nothing is answered from request `sequence` on: what is written goes out, and the connection ends.
    pub fn end_before(&self, sequence: u64, abandoned: &mut Vec<CallKey>) {
        self.answers().truncate(sequence, abandoned);
        self.incoming.give_up(abandoned);
        self.begin_close();
    }

    /// Cuts the connection off: what waits is dropped, the calls under way are returned, both directions end.
    pub fn kill(&self, abandoned: &mut Vec<CallKey>) {
        self.dead.set(true);
        self.closing.set(true);
        let reset = {
            let mut answers = self.answers();
            let reset = answers.ends_with_connection();
            answers.clear(abandoned);
            reset
        };
        self.incoming.give_up(abandoned);
        if let Some(streams) = self.streams.get() {
            streams.give_up(abandoned);
        }
        self.socket.cut(reset);
        self.wake();
    }

    /// A send begins (or makes progress) now; `None`: it has ended.
    pub fn note_writing(&self, since_ms: Option<u64>) {
        self.writing_since_ms.set(since_ms.unwrap_or(u64::MAX));
    }

    /// True when the reader waits for room and there is some.
    pub fn may_go_on_reading(&self, limits: &Limits) -> bool {
        self.socket.is_unread() && self.may_read(limits)
    }

    /// True while nobody reads the socket.
    pub fn is_unread(&self) -> bool {
        self.socket.is_unread()
    }

    /// Its task, to be told when something has changed.
    pub fn wakeup(&self) -> &Wakeup {
        &self.wakeup
    }

    /// Makes the task look at the queue again.
    pub fn wake(&self) {
        self.wakeup.wake();
    }

    /// The next bytes to send; `None` when everything is said.
    pub fn poll_output(&self) -> Poll<Option<Output>> {
        if self.dead.get() {
            return Poll::Ready(None);
        }
        let output = self.answers().take_output();
        match output {
            Some(output) => Poll::Ready(Some(output)),
            None if self.closing.get() && self.pending() == 0 => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.answers.get_mut().buffers().let_go(self.input_bytes.get());
    }
}
