//! One connection: its queue of answers, what it waits for and since when. `serve` reads and writes it.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::limits::Limits;
use crate::link::batch::CallKey;
use crate::shard::connection::answer_queue::{AnswerQueue, Output};
use crate::shard::connection::buffers::Buffers;
use crate::shard::exchange::asking::{Advised, Asking};
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
    /// Bytes that requests take which are not complete, or not looked at.
    input_bytes: Cell<usize>,
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
    pub fn new(id: u32, socket: Socket, service: &'static Service, now_ms: u64, buffers: Rc<Buffers>) -> Self {
        Conn {
            id,
            service,
            socket,
            phase: Cell::new(Phase::Fresh),
            phase_since_ms: Cell::new(now_ms),
            phase_bytes: Cell::new(0),
            progress_ms: Cell::new(now_ms),
            writing_since_ms: Cell::new(u64::MAX),
            closing: Cell::new(false),
            dead: Cell::new(false),
            answers: RefCell::new(AnswerQueue::new(buffers)),
            answered: Cell::default(),
            asking: RefCell::default(),
            inflow: Cell::new(None),
            input_bytes: Cell::new(0),
            waker: RefCell::new(None),
            turn: Cell::default(),
        }
    }

    /// What it was let in for.
    pub fn service(&self) -> &'static Service {
        self.service
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
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

    /// Nobody reads the socket: the reader waits for room for further requests or for more of a body, or has given up. Or
    /// somebody does again.
    pub fn set_unread(&self, unread: bool) {
        self.socket.set_unread(unread);
    }

    /// True when no request has come for a while, nor any part of one.
    pub fn idles(&self, now_ms: u64) -> bool {
        idles(self.phase.get(), self.phase_since_ms.get(), now_ms)
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
            let answers = self.answers.borrow();
            answers.buffers().let_go(before);
            answers.buffers().hold(bytes);
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
    pub fn answer_now(&self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.dead.get() {
            return;
        }
        if self.answers().answer_now(write) {
            self.wake();
        }
    }

    /// Answers the call with number `sequence`; true when there is something to send now.
    pub fn answer(&self, sequence: u64, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.dead.get() {
            return false;
        }
        let in_turn = self.answers().answer(sequence, write);
        // Out of turn it makes room for further requests all the same: its own bytes no longer wait.
        if in_turn || self.socket.is_unread() {
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
        self.answers.get_mut().buffers().let_go(self.input_bytes.get());
    }
}
