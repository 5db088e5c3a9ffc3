//! A client of the proxy, and what its task waits for: one connection, or one stream of a connection that has several.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use crate::limits::TIMER_MS;
use crate::link::contexts::Context;
use crate::proxy::fault::Fault;
use crate::shard::connection::buffers::Buffers;
use crate::shard::exchange::phase::{Phase, PhaseClock};
use crate::shard::multiplex::stream::Stream;
use crate::shard::proxy::carried::Carried;
use crate::shard::service::Service;
use crate::shard::transport::layer::Layer;
use crate::shard::transport::socket::Socket;
use crate::shard::upstream::end::End;
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
    pub(super) service: &'static Service,
    socket: Rc<Socket>,
    /// It is one of those that the socket has.
    stream: Option<Rc<Stream>>,
    /// Its streams, where it is a connection that has some.
    pub(super) carried: Carried<Client>,
    pub clock: PhaseClock,
    pub(super) writing_since_ms: Cell<Option<u64>>,
    /// When something was sent to it last.
    pub(super) sent_ms: Cell<u64>,
    /// A request or a tunnel is under way.
    pub(super) busy: Cell<bool>,
    pub(super) closing: Cell<bool>,
    pub(super) dead: Cell<bool>,
    /// The content of a request is being read.
    pub(super) receives: Cell<bool>,
    send: Cell<Deadline>,
    hear: Cell<Deadline>,
    /// The deadline that was missed first.
    late: Cell<Option<Fault>>,
    line: RefCell<Option<SharedLine>>,
    /// The status that it was told for what is under way, and what went wrong with that.
    told: Cell<(u16, Option<&'static str>)>,
    pub(super) context: RefCell<Option<Arc<Context>>>,
    held: Cell<usize>,
    /// TLS of its own, within its tunnel.
    layer: RefCell<Option<Rc<Layer>>>,
    buffers: Rc<Buffers>,
}

impl Client {
    /// A connection.
    pub fn new(socket: Socket, service: &'static Service, now_ms: u64, buffers: Rc<Buffers>) -> Self {
        Client::over(Rc::new(socket), None, service, now_ms, buffers)
    }

    /// A stream of a connection.
    pub fn on(connection: &Client, stream: Rc<Stream>, now_ms: u64) -> Self {
        Client::over(connection.socket.clone(), Some(stream), connection.service, now_ms, connection.buffers.clone())
    }

    fn over(
        socket: Rc<Socket>,
        stream: Option<Rc<Stream>>,
        service: &'static Service,
        now_ms: u64,
        buffers: Rc<Buffers>,
    ) -> Self {
        Client {
            id: Cell::default(),
            service,
            socket,
            stream,
            carried: Carried::default(),
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
            layer: RefCell::default(),
            buffers,
        }
    }

    /// That which it goes over, with others perhaps.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// What ends it, and no other.
    pub fn end_of(&self) -> End {
        match &self.stream {
            Some(stream) => End::Stream(stream.clone()),
            None => End::Socket(self.socket.clone()),
        }
    }

    /// It is one of those that its socket has.
    pub fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// It is the stream of this number, and its answer has begun.
    pub fn is_answered(&self, number: u32) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.is_answered(number))
    }

    /// Takes the read back that is under way.
    pub fn cancel_read(&self) {
        self.end_of().cancel_read();
    }

    /// Nobody reads it, or somebody does again.
    fn set_unread(&self, unread: bool) {
        // A stream that is not read does not keep others from being read.
        if !self.is_stream() {
            self.socket.set_unread(unread);
        }
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
        self.set_unread(false);
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
        self.set_unread(true);
    }

    /// The content of a request is read; its time stands still while that is not so.
    pub fn read(&self, now_ms: u64) {
        self.clock.restart(Phase::Stream, now_ms);
        self.receives.set(true);
        self.set_unread(false);
    }

    /// It is read all the time, as in a tunnel, where nothing has a time of its own.
    pub fn read_freely(&self, now_ms: u64) {
        self.clock.enter(Phase::Held, now_ms);
        self.receives.set(false);
        self.set_unread(false);
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

    /// What it says comes under TLS from now on.
    pub fn go_under(&self, layer: Rc<Layer>) {
        self.layer.replace(Some(layer));
    }

    /// Bytes of a record that is not complete.
    pub(super) fn layer_bytes(&self) -> usize {
        self.layer.borrow().as_ref().map_or(0, |layer| layer.held_bytes())
    }

    /// Bytes that are held for it.
    pub(super) fn own_bytes(&self) -> usize {
        self.held.get() + self.layer_bytes()
    }

    /// Ends both sides at once; with a reset, where the end alone would look like that of an answer.
    pub fn cut(&self, reset: bool) {
        self.dead.set(true);
        self.closing.set(true);
        self.cut_line();
        self.carried.each(|stream| stream.cut(true));
        self.end_of().cut(reset);
    }

    pub(super) fn miss(&self, fault: Fault) {
        if self.late.get().is_none() {
            self.late.set(Some(fault));
        }
    }

    /// Looks at what the task waits for.
    pub(super) fn look(&self, now_ms: u64) {
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

impl Drop for Client {
    fn drop(&mut self) {
        self.buffers.let_go(self.held.get());
    }
}
