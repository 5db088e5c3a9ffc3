//! One connection: its queue of answers, what it waits for and since when. `serve` reads and writes it.

use std::cell::{Cell, RefCell, RefMut};
use std::os::fd::RawFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use monoio::io::{CancelHandle, Canceller};

use crate::limits::{Limits, REST_AFTER_MS};
use crate::link::batch::CallKey;
use crate::shard::connection::answer_queue::{AnswerQueue, Output};
use crate::shard::connection::buffers::Buffers;
use crate::shard::exchange::asking::{Advised, Asking};
use crate::shard::exchange::inflow::Inflow;
use crate::shard::watch::timing::Answered;
use crate::sys::{self, Shutdown};
use crate::wire::answer::Answer;
use crate::wire::reply::Connection;

/// What the read side is waiting for; each phase has its own deadline (`deadlines`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Phase {
    /// The first byte after accepting.
    Fresh,
    /// The first byte of the next request.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body that a call waits for.
    Body,
    /// More of a body that a call reads as it comes.
    Stream,
    /// The call that reads the body, which is behind: the socket is not read.
    Held,
    /// The rest of a body that nobody wants; its request is answered already.
    Skip,
    /// FIN came while calls were under way.
    HalfClosed,
    /// No request is taken any more, and none was cut short; once everything is answered, the client should close. What
    /// it sends instead belongs to no request.
    Stray,
    /// As `Stray`, for a client that has been late: whatever it sends, the time is short.
    Linger,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Origin {
    /// A client, over TCP or a unix socket.
    Network,
    /// This process. It closes when it has no more to ask, and never half-closes: the end of its input is its leaving.
    InProcess,
    /// Somebody who asks how the engine is.
    Admin,
}

/// State of one connection, shared by its task and the shard. Single-threaded.
pub(in crate::shard) struct Conn {
    /// Index in the shard's table of connections.
    pub id: u32,
    origin: Origin,
    socket: RawFd,
    open: Cell<bool>,
    phase: Cell<Phase>,
    phase_since_ms: Cell<u64>,
    phase_bytes: Cell<u64>,
    /// When the last bytes of the phase came, or it began.
    progress_ms: Cell<u64>,
    /// `u64::MAX`: no send is under way.
    writing_since_ms: Cell<u64>,
    /// No request is taken any more; the connection ends after the last answer.
    closing: Cell<bool>,
    /// The peer is gone or was cut off: nothing can be sent.
    dead: Cell<bool>,
    answers: RefCell<AnswerQueue>,
    answered: Cell<Answered>,
    asking: RefCell<Asking>,
    /// The body that the call which came last reads as it comes, until it is complete or nobody wants it.
    inflow: Cell<Option<Inflow>>,
    /// Nobody reads the socket: the reader waits for room for further requests or for more of a body, or has given up.
    unread: Cell<bool>,
    /// Takes the read back that is under way, where that has a large buffer.
    canceller: Cell<Option<Canceller>>,
    /// Bytes that requests take which are not complete, or not looked at.
    input_bytes: Cell<usize>,
    buffers: Rc<Buffers>,
    waker: RefCell<Option<Waker>>,
    /// Its task runs right now; if it was woken meanwhile, [`Self::end_turn`] says so.
    turn: Cell<Turn>,
}

/// What its task does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    /// It waits to be woken.
    #[default]
    Over,
    Runs,
    /// It runs, and was woken.
    Again,
}

impl Conn {
    pub fn new(id: u32, socket: RawFd, origin: Origin, now_ms: u64, buffers: Rc<Buffers>) -> Self {
        Conn {
            id,
            origin,
            socket,
            open: Cell::new(true),
            phase: Cell::new(Phase::Fresh),
            phase_since_ms: Cell::new(now_ms),
            phase_bytes: Cell::new(0),
            progress_ms: Cell::new(now_ms),
            writing_since_ms: Cell::new(u64::MAX),
            closing: Cell::new(false),
            dead: Cell::new(false),
            answers: RefCell::new(AnswerQueue::new(buffers.clone())),
            answered: Cell::default(),
            asking: RefCell::default(),
            inflow: Cell::new(None),
            unread: Cell::new(false),
            canceller: Cell::new(None),
            input_bytes: Cell::new(0),
            buffers,
            waker: RefCell::new(None),
            turn: Cell::default(),
        }
    }

    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// What the read side waits for, since when, and the bytes that have come since.
    pub fn phase(&self) -> (Phase, u64, u64) {
        (self.phase.get(), self.phase_since_ms.get(), self.phase_bytes.get())
    }

    /// Enters a phase; its clock starts only when it is a new one.
    pub fn enter(&self, phase: Phase, now_ms: u64) {
        if self.phase.get() != phase {
            self.restart(phase, now_ms);
        }
    }

    /// Enters a phase and starts its clock anew.
    pub fn restart(&self, phase: Phase, now_ms: u64) {
        self.phase.set(phase);
        self.phase_since_ms.set(now_ms);
        self.phase_bytes.set(0);
        self.progress_ms.set(now_ms);
    }

    /// Milliseconds from the beginning of the phase to its last bytes.
    pub fn progressed_ms(&self) -> u64 {
        self.progress_ms.get().saturating_sub(self.phase_since_ms.get())
    }

    /// The phase's clock has stood still for so long.
    pub fn hold_clock(&self, for_ms: u64, now_ms: u64) {
        for clock in [&self.phase_since_ms, &self.progress_ms] {
            clock.set(clock.get().saturating_add(for_ms).min(now_ms));
        }
    }

    /// So many bytes have come.
    pub fn count_bytes(&self, bytes: usize, now_ms: u64) {
        if bytes > 0 {
            self.phase_bytes.set(self.phase_bytes.get() + bytes as u64);
            self.progress_ms.set(now_ms);
        }
    }

    /// Since when a send makes no progress.
    pub fn writing_since_ms(&self) -> Option<u64> {
        Some(self.writing_since_ms.get()).filter(|since| *since != u64::MAX)
    }

    pub fn closing(&self) -> bool {
        self.closing.get()
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
        self.answers.borrow().len() + usize::from(self.is_asking())
    }

    /// The calls and the question under way.
    pub fn waiting(&self) -> Vec<CallKey> {
        let asked = match *self.asking.borrow() {
            Asking::Waiting(key) => Some(key),
            Asking::Nothing | Asking::Advised(_) => None,
        };
        self.answers.borrow().waiting().chain(asked).collect()
    }

    /// True while a request cannot be decided without JavaScript's word, or has not been since it came.
    pub fn is_asking(&self) -> bool {
        !matches!(*self.asking.borrow(), Asking::Nothing)
    }

    /// JavaScript is asked about the next request; what it says comes to [`Self::advise`].
    pub fn begin_ask(&self, key: CallKey) {
        self.asking.replace(Asking::Waiting(key));
    }

    /// The request is answered without JavaScript's word.
    pub fn end_ask(&self) {
        self.asking.replace(Asking::Nothing);
    }

    pub fn advise(&self, advised: Box<Advised>) {
        self.asking.replace(Asking::Advised(advised));
        self.wake();
    }

    pub fn is_advised(&self) -> bool {
        matches!(*self.asking.borrow(), Asking::Advised(_))
    }

    /// The word on the request that is to be decided now.
    pub fn take_advice(&self) -> Option<Box<Advised>> {
        match self.asking.take() {
            Asking::Advised(advised) => Some(advised),
            Asking::Nothing | Asking::Waiting(_) => None,
        }
    }

    /// Nobody reads the socket (or somebody does again).
    pub fn set_unread(&self, unread: bool) {
        self.unread.set(unread);
    }

    /// True when no request has come for a while, nor any part of one.
    pub fn idles(&self, now_ms: u64) -> bool {
        self.phase.get() == Phase::Idle && now_ms.saturating_sub(self.phase_since_ms.get()) >= REST_AFTER_MS
    }

    /// What a read needs to be taken back by [`Self::rest`].
    pub fn cancel_handle(&self) -> CancelHandle {
        let canceller = self.canceller.take().unwrap_or_default();
        let handle = canceller.handle();
        self.canceller.set(Some(canceller));
        handle
    }

    /// The connection is idle: gives its buffers back. True when there were any.
    pub fn rest(&self) -> bool {
        // What the read has got by now comes all the same.
        let reader = self.canceller.take().map(Canceller::cancel).is_some();
        let writer = self.settled() && self.answers().release();
        reader || writer
    }

    /// True when nothing waits to be answered or sent.
    pub fn settled(&self) -> bool {
        self.pending() == 0 && self.answers.borrow().held_bytes() == 0 && self.writing_since_ms.get() == u64::MAX
    }

    /// True when nothing has been asked that is not answered, nor any part of a request has come.
    pub fn asks_nothing(&self) -> bool {
        matches!(self.phase.get(), Phase::Fresh | Phase::Idle) && self.pending() == 0
    }

    /// The socket, if it is open.
    pub fn open_socket(&self) -> Option<RawFd> {
        (self.open.get() && !self.dead.get()).then_some(self.socket)
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
            || match self.inflow.get() {
                Some(inflow) => inflow.is_open(),
                None => self.has_room(limits.max_pipelined, limits.max_buffered_bytes),
            }
    }

    /// The body that a call reads as it comes.
    pub fn inflow(&self) -> Option<Inflow> {
        self.inflow.get()
    }

    pub fn set_inflow(&self, inflow: Option<Inflow>) {
        self.inflow.set(inflow);
    }

    /// True while the first answer streams.
    pub fn streams_answer(&self) -> bool {
        self.answers.borrow().streams()
    }

    /// The answers, to be changed. What is ready to be sent leaves when the task is woken.
    pub fn answers(&self) -> RefMut<'_, AnswerQueue> {
        self.answers.borrow_mut()
    }

    /// The number that the next request gets.
    pub fn next_sequence(&self) -> u64 {
        self.answers.borrow().next_sequence()
    }

    /// Queues a request of so many `bytes` that the backend works on; its number is the `next_sequence` of before.
    pub fn push_waiting(&self, key: CallKey, bytes: usize) {
        self.answers().push_waiting(key, bytes);
    }

    /// So many bytes of requests are held now that are not complete, or not looked at.
    #[inline]
    pub fn hold_input(&self, bytes: usize) {
        let before = self.input_bytes.replace(bytes);
        if bytes != before {
            self.buffers.let_go(before);
            self.buffers.hold(bytes);
        }
    }

    /// Bytes that the shard holds for this connection.
    pub fn held_bytes(&self) -> usize {
        self.input_bytes.get() + self.answers.borrow().held_bytes()
    }

    /// True when an answer to this request must say `Connection: close`: it is the last one.
    pub fn is_last(&self, sequence: u64) -> bool {
        self.closing.get() && sequence + 1 >= self.next_sequence()
    }

    /// Answers a request that was just read: in its turn at once, otherwise behind the calls before it.
    pub fn answer_now(&self, answer: &Answer<'_>, connection: Connection) {
        self.put_now(|out| answer.encode(out, connection));
    }

    /// Puts an interim answer to the next request behind the answers before it.
    pub fn interim(&self, text: &'static [u8]) {
        self.put_now(|out| out.extend_from_slice(text));
    }

    fn put_now(&self, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.dead.get() && self.answers().answer_now(write) {
            self.wake();
        }
    }

    /// Answers the call with number `sequence`; true when there is something to send now.
    pub fn answer(&self, sequence: u64, answer: &Answer<'_>, connection: Connection) -> bool {
        if self.dead.get() {
            return false;
        }
        let in_turn = self.answers().answer(sequence, |out| answer.encode(out, connection));
        // Out of turn it makes room for further requests all the same: its own bytes no longer wait.
        if in_turn || self.unread.get() {
            self.wake();
        }
        in_turn
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
        if let Asking::Waiting(key) = self.asking.take() {
            abandoned.push(key);
        }
        self.inflow.set(None);
        self.begin_close();
    }

    /// Cuts the connection off: what waits is dropped, the calls under way are returned, both directions end.
    pub fn kill(&self, abandoned: &mut Vec<CallKey>) {
        self.dead.set(true);
        self.closing.set(true);
        self.inflow.set(None);
        let reset = {
            let mut answers = self.answers();
            let reset = answers.ends_with_connection();
            answers.clear(abandoned);
            reset
        };
        if let Asking::Waiting(key) = self.asking.take() {
            abandoned.push(key);
        }
        if reset && self.open.get() {
            sys::reset(self.socket);
        }
        self.shutdown(Shutdown::Both);
        self.wake();
    }

    /// Shuts a direction down, unless the socket is closed already.
    pub fn shutdown(&self, how: Shutdown) {
        if self.open.get() {
            sys::shutdown(self.socket, how);
        }
    }

    /// A send begins (or makes progress) now; `None`: it has ended.
    pub fn note_writing(&self, since_ms: Option<u64>) {
        self.writing_since_ms.set(since_ms.unwrap_or(u64::MAX));
    }

    /// True when the reader waits for room and there is some.
    pub fn may_go_on_reading(&self, limits: &Limits) -> bool {
        self.unread.get() && self.may_read(limits)
    }

    /// True while nobody reads the socket.
    pub fn is_unread(&self) -> bool {
        self.unread.get()
    }

    /// True when bytes have come that were not read yet.
    pub fn has_input(&self) -> bool {
        self.open.get() && sys::has_input(self.socket)
    }

    /// The socket, if it is open and no read is under way.
    pub fn unread_socket(&self) -> Option<RawFd> {
        (self.unread.get() && self.open.get() && !self.dead.get()).then_some(self.socket)
    }

    /// The socket is about to be closed: nobody may touch it by number any more.
    pub fn forget_socket(&self) {
        self.open.set(false);
    }

    /// The task runs: the reader first, then the writer, which looks at the queue anyhow. Called before each of them.
    pub fn begin_turn(&self) {
        self.turn.set(Turn::Runs);
    }

    /// The task has run; true when it was woken by its own writer.
    pub fn end_turn(&self) -> bool {
        self.turn.replace(Turn::Over) == Turn::Again
    }

    /// Makes the task look at the queue again. One that runs must not wake itself, because it would run again before all
    /// others, and again, as long as there is something to read.
    pub fn wake(&self) {
        if self.turn.get() != Turn::Over {
            return self.turn.set(Turn::Again);
        }
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// What `wake` wakes.
    pub fn remember_waker(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
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
        self.buffers.let_go(self.input_bytes.get());
    }
}
