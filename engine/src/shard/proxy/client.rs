//! A client of the proxy as a resident of its shard, and what its task waits for.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use crate::limits::{PROXY_HALF_CLOSE_MS, TIMER_MS};
use crate::link::contexts::Context;
use crate::proxy::fault::Fault;
use crate::shard::Shard;
use crate::shard::connection::buffers::Buffers;
use crate::shard::exchange::phase::{Phase, PhaseClock};
use crate::shard::resident::standing::Standing;
use crate::shard::resident::{Resident, Verdict};
use crate::shard::service::Service;
use crate::shard::transport::socket::{Shutdown, Socket};
use crate::shard::upstream::line::SharedLine;

/// What the task of a client may wait for, beside its client, each with a deadline of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// That a server takes something.
    Send,
    /// That a server says something, or that there is one.
    Hear,
}

/// A deadline, and what it means to miss it.
type Deadline = Option<(u64, Fault)>;

/// See the module.
pub(in crate::shard) struct Client {
    pub id: Cell<u32>,
    service: &'static Service,
    socket: Socket,
    pub clock: PhaseClock,
    writing_since_ms: Cell<Option<u64>>,
    /// When something was sent to it last.
    sent_ms: Cell<u64>,
    /// A request or a tunnel is under way.
    busy: Cell<bool>,
    closing: Cell<bool>,
    dead: Cell<bool>,
    /// The content of a request is being read.
    receives: Cell<bool>,
    send: Cell<Deadline>,
    hear: Cell<Deadline>,
    /// The deadline that was missed first.
    late: Cell<Option<Fault>>,
    line: RefCell<Option<SharedLine>>,
    /// The status that it was told for what is under way, and what went wrong with that.
    told: Cell<(u16, Option<&'static str>)>,
    context: RefCell<Option<Arc<Context>>>,
    held: Cell<usize>,
    buffers: Rc<Buffers>,
}

impl Client {
    pub fn new(socket: Socket, service: &'static Service, now_ms: u64, buffers: Rc<Buffers>) -> Self {
        Client {
            id: Cell::default(),
            service,
            socket,
            clock: PhaseClock::new(Phase::Fresh, now_ms),
            writing_since_ms: Cell::default(),
            sent_ms: Cell::new(now_ms),
            busy: Cell::default(),
            closing: Cell::default(),
            dead: Cell::default(),
            receives: Cell::default(),
            send: Cell::default(),
            hear: Cell::default(),
            late: Cell::default(),
            line: RefCell::default(),
            told: Cell::default(),
            context: RefCell::default(),
            held: Cell::default(),
            buffers,
        }
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// A request is under way: for this context, once it is known.
    pub fn begin(&self, now_ms: u64) {
        self.busy.set(true);
        self.told.set((0, None));
        self.sent_ms.set(now_ms);
        self.unread(now_ms);
    }

    /// It is over.
    pub fn end(&self) {
        self.busy.set(false);
        self.late.set(None);
        self.let_go();
        self.context.replace(None);
        self.socket.set_unread(false);
        self.receives.set(false);
    }

    /// It is told this status.
    pub fn tell(&self, status: u16) {
        self.told.set((status, self.told.get().1));
    }

    /// This went wrong.
    pub fn blame(&self, fault: Fault) {
        self.told.set((self.told.get().0, fault.error()));
    }

    /// The status that it was told, or 0, and what went wrong.
    pub fn told(&self) -> (u16, Option<&'static str>) {
        self.told.get()
    }

    /// Whom it is asked for, by the name of a context.
    pub fn context_id(&self) -> Option<String> {
        self.context.borrow().as_ref().map(|context| context.id.clone())
    }

    /// Whom it is asked for.
    pub fn set_context(&self, context: Arc<Context>) {
        self.context.replace(Some(context));
    }

    /// Nobody reads it: it would be for content, which has not come.
    pub fn unread(&self, now_ms: u64) {
        self.clock.enter(Phase::Held, now_ms);
        self.receives.set(false);
        self.socket.set_unread(true);
    }

    /// The content of a request is read; its time stands still while that is not so.
    pub fn read(&self, now_ms: u64) {
        self.clock.restart(Phase::Stream, now_ms);
        self.receives.set(true);
        self.socket.set_unread(false);
    }

    /// It is read all the time, as in a tunnel, where nothing has a time of its own.
    pub fn read_freely(&self, now_ms: u64) {
        self.clock.enter(Phase::Held, now_ms);
        self.receives.set(false);
        self.socket.set_unread(false);
    }

    /// What is waited for from now on can be told to end.
    pub fn hold(&self, line: SharedLine) {
        if self.dead.get() || self.late.get().is_some() {
            line.cut();
        }
        self.line.replace(Some(line));
    }

    /// Nothing is waited for any more.
    pub fn let_go(&self) {
        self.line.replace(None);
        self.send.set(None);
        self.hear.set(None);
    }

    /// Ends what is waited for, on the other side.
    pub fn cut_line(&self) {
        let line = self.line.borrow().clone();
        if let Some(line) = line {
            line.cut();
        }
    }

    /// Something has to come about by then.
    pub fn expect(&self, wait: Wait, deadline: Deadline) {
        match wait {
            Wait::Send => self.send.set(deadline),
            Wait::Hear => self.hear.set(deadline),
        }
    }

    /// It is waited for what a server says.
    pub fn hears(&self) -> bool {
        self.hear.get().is_some()
    }

    /// The deadline that was missed.
    pub fn late(&self) -> Option<Fault> {
        self.late.get()
    }

    pub fn is_dead(&self) -> bool {
        self.dead.get()
    }

    pub fn closing(&self) -> bool {
        self.closing.get()
    }

    pub fn begin_close(&self) {
        self.closing.set(true);
    }

    /// A send makes progress now; `None`: it has ended.
    pub fn note_writing(&self, since_ms: Option<u64>) {
        if let Some(now_ms) = since_ms.or(self.writing_since_ms.get()) {
            self.sent_ms.set(now_ms);
        }
        self.writing_since_ms.set(since_ms);
    }

    /// So many bytes are held for it.
    pub fn weigh(&self, bytes: usize) {
        let before = self.held.replace(bytes);
        self.buffers.let_go(before);
        self.buffers.hold(bytes);
    }

    /// Ends both sides at once; with a reset, where the end alone would look like that of an answer.
    pub fn cut(&self, reset: bool) {
        self.dead.set(true);
        self.closing.set(true);
        self.cut_line();
        self.socket.cut(reset);
    }

    fn miss(&self, fault: Fault) {
        if self.late.get().is_none() {
            self.late.set(Some(fault));
        }
    }

    /// Looks at what the task waits for.
    fn look(&self, now_ms: u64) {
        for wait in [&self.send, &self.hear] {
            if let Some((deadline, fault)) = wait.get()
                // It was set by the time of a turn before: nothing ends early.
                && now_ms.saturating_sub(TIMER_MS) >= deadline
            {
                wait.set(None);
                self.miss(fault);
                self.cut_line();
            }
        }
        let line = self.line.borrow().clone();
        if let Some(line) = line {
            line.look();
        }
    }
}

impl Resident for Client {
    fn service(&self) -> &'static Service {
        self.service
    }

    fn socket(&self) -> &Socket {
        &self.socket
    }

    fn standing(&self) -> Standing {
        let busy = self.busy.get();
        Standing {
            phase: self.clock.phase(),
            since_ms: self.clock.since_ms(),
            bytes: self.clock.bytes(),
            progressed_ms: self.clock.progressed_ms(),
            writing_since_ms: self.writing_since_ms.get(),
            stalled_since_ms: None,
            pending: usize::from(busy),
            settled: !busy && self.writing_since_ms.get().is_none(),
            asking: false,
            inflow: self.receives.get(),
            unread: self.socket.is_unread(),
            closing: self.closing.get(),
            dead: self.dead.get(),
            partial: self.socket.has_partial_input(),
        }
    }

    fn judge_exchanges(&self, _: &Shard, _: &dyn Fn(&Standing) -> Verdict) {
        // One at a time, which is judged as the connection.
    }

    fn is_released(&self) -> bool {
        self.context.borrow().as_ref().is_some_and(|context| context.is_released())
    }

    fn held_bytes(&self) -> usize {
        self.held.get()
    }

    fn carry_out(&self, _: &Shard, verdict: Verdict, now_ms: u64) {
        match verdict {
            Verdict::Wait | Verdict::Rest => self.look(now_ms),
            Verdict::HoldClock(for_ms) => {
                self.clock.hold(for_ms, now_ms);
                self.look(now_ms);
            }
            // It may be waiting for its answer; one that has left can be told from that only by what is sent to it.
            Verdict::HalfClosed(_) => {
                if now_ms.saturating_sub(self.sent_ms.get()) >= PROXY_HALF_CLOSE_MS {
                    self.cut(false);
                }
            }
            Verdict::LastAnswers => {
                self.closing.set(true);
                if !self.busy.get() {
                    self.cut(false);
                }
            }
            Verdict::TimedOut if self.busy.get() => {
                self.miss(Fault::ContentLate);
                self.socket.cancel_read();
            }
            Verdict::TimedOut => {
                self.miss(Fault::HeadLate);
                self.socket.shutdown(Shutdown::Read);
            }
            Verdict::Close | Verdict::Forsake | Verdict::Evicted | Verdict::Cut => {
                // What it was being sent is not to look whole.
                self.cut(self.busy.get());
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.buffers.let_go(self.held.get());
    }
}
