//! Connections to servers that carry several requests at a time (RFC 9113). As with those that carry one, each belongs to one context.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};

use crate::limits::{
    KNOWN_HTTP1, RELAY_BYTES, UPSTREAM_RESETS, UPSTREAM_STREAM_WINDOW_BYTES, UPSTREAM_STREAMS, UPSTREAM_WINDOW_BYTES,
};
use crate::link::http2_counts::{CountedConnection, Side};
use crate::proxy::fault::Fault;
use crate::shard::Shard;
use crate::shard::multiplex::drive::{Role, drive};
use crate::shard::multiplex::head_watch::HeadWatch;
use crate::shard::multiplex::memory::{Memory, Pipe};
use crate::shard::multiplex::stream::Stream;
use crate::shard::transport::halves::{ReadHalf, WriteHalf};
use crate::shard::transport::socket::Socket;
use crate::shard::upstream::counted::{Counted, Place};
use crate::shard::upstream::end::End;
use crate::shard::upstream::flow::{Inlet, Outlet};
use crate::shard::upstream::known::Known;
use crate::shard::upstream::pool::{Key, Upstream};
use crate::wire::head::HeadLimits;

/// The task of a connection, to whoever does not wait for it.
struct Carrier {
    socket: Rc<Socket>,
    /// Since when a send makes no progress.
    writing_since_ms: Cell<Option<u64>>,
    over: Cell<bool>,
}

/// A connection that takes requests.
struct Share {
    key: Key,
    send: SendRequest<Bytes>,
    carrier: Rc<Carrier>,
    memory: Rc<Memory>,
    /// It counts as long as anybody uses it.
    counted: Rc<Counted>,
    streams: Rc<Cell<usize>>,
    /// Its server has said how many streams it takes.
    settled: Rc<Cell<bool>>,
    side: Arc<Side>,
    /// Since when it carries nothing, as of the last sweep.
    idle_since_ms: u64,
}

/// See the module.
pub(in crate::shard) struct Shares {
    all: RefCell<Vec<Share>>,
    carriers: RefCell<Vec<Rc<Carrier>>>,
    /// Servers that want HTTP/1.1 (RFC 9113 7, `HTTP_1_1_REQUIRED`).
    http1: Known,
    most_idle: usize,
    idle_ms: u64,
    send_ms: u64,
    side: Arc<Side>,
}

impl Share {
    fn open(&mut self, limits: HeadLimits, reused: bool) -> Upstream {
        let place = Place::new(self.streams.clone(), self.counted.clone());
        let stream = Rc::new(Stream::asking(self.send.clone(), self.memory.clone(), self.side.clone()));
        let (inlet, outlet) = (Inlet::of(stream.clone()), Outlet::Stream(stream.clone(), limits));
        Upstream::on(inlet, outlet, End::Stream(stream), self.key.clone(), place, reused)
    }

    /// It takes one more request.
    fn has_room(&self) -> bool {
        self.streams.get() < self.send.current_max_send_streams().min(UPSTREAM_STREAMS)
    }

    /// It takes no more: so many were reset, its server says so, or that has left.
    fn is_over(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.memory.resets() >= UPSTREAM_RESETS
            || self.carrier.over.get()
            || matches!(self.send.poll_ready(&mut cx), Poll::Ready(Err(_)))
    }
}

impl Shares {
    pub fn new(most_idle: usize, idle_ms: u64, send_ms: u64, side: Arc<Side>) -> Self {
        let (all, carriers, http1) = (RefCell::default(), RefCell::default(), Known::new(KNOWN_HTTP1));
        Shares { all, carriers, http1, most_idle, idle_ms, send_ms, side }
    }

    /// A stream of a connection that there is; `websocket`: one on which an extended `CONNECT` may be sent; `bare`: for a request
    /// that may be sent again when there were too many, which a server that has not said how many it takes refuses.
    pub fn take(&self, key: &Key, websocket: bool, bare: bool, limits: HeadLimits, now_ms: u64) -> Option<Upstream> {
        let mut all = self.all.borrow_mut();
        all.retain_mut(|share| share.key != *key || !share.is_over());
        let fits = |share: &&mut Share| {
            share.key == *key
                && share.has_room()
                && (bare || share.settled.get())
                && (!websocket || share.send.is_extended_connect_protocol_enabled())
        };
        all.iter_mut().find(fits).map(|share| {
            share.idle_since_ms = now_ms;
            share.open(limits, true)
        })
    }

    /// Begins a connection whose server has agreed on HTTP/2, and the first stream of it.
    pub fn begin(
        &self,
        shard: &Rc<Shard>,
        key: Key,
        socket: Rc<Socket>,
        halves: (ReadHalf, WriteHalf),
        counted: Counted,
    ) -> Result<Upstream, Fault> {
        let memory = Rc::<Memory>::default();
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .max_send_buffer_size(RELAY_BYTES)
            .initial_window_size(UPSTREAM_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(UPSTREAM_WINDOW_BYTES)
            .max_header_list_size(shard.limits.max_head_bytes as u32)
            // What is still on its way to clients that have left is no error of the server. Each frame of it would count as one if
            // its stream were forgotten, and too many end all requests of the connection: no stream that is reset is forgotten.
            .max_concurrent_reset_streams(UPSTREAM_RESETS + UPSTREAM_STREAMS)
            .reset_stream_duration(Duration::MAX);
        let handshake = pin!(builder.handshake(Pipe(memory.clone())));
        // It is over when the preface is written, for which there is room.
        let Poll::Ready(Ok((send, connection))) = handshake.poll(&mut Context::from_waker(Waker::noop())) else {
            return Err(Fault::Unavailable);
        };
        let carrier = Rc::new(Carrier { socket, writing_since_ms: Cell::default(), over: Cell::default() });
        let (counted, streams) = (Rc::new(counted), Rc::<Cell<usize>>::default());
        let settled = Rc::<Cell<bool>>::default();
        let task = Task {
            shard: shard.clone(),
            carrier: carrier.clone(),
            memory: memory.clone(),
            connection,
            streams: streams.clone(),
            settled: settled.clone(),
            watch: HeadWatch::default(),
            held: 0,
            _counted: self.side.connection(),
        };
        shard.spawn(carry(task, halves));
        self.carriers.borrow_mut().push(carrier.clone());
        let (side, idle_since_ms) = (self.side.clone(), shard.now_ms());
        let mut share = Share { key, send, carrier, memory, counted, streams, settled, side, idle_since_ms };
        let upstream = share.open(shard.head_limits, false);
        self.all.borrow_mut().push(share);
        Ok(upstream)
    }

    /// A server wants HTTP/1.1.
    pub fn note_http1(&self, key: &Key) {
        self.http1.note(key);
    }

    pub fn wants_http1(&self, key: &Key) -> bool {
        self.http1.contains(key)
    }

    /// Lets go of those that have carried nothing for long enough, or that are too many. Their tasks end by that.
    pub fn sweep(&self, now_ms: u64) {
        let mut all = self.all.borrow_mut();
        all.retain_mut(|share| {
            if share.streams.get() > 0 {
                share.idle_since_ms = now_ms;
            }
            now_ms.saturating_sub(share.idle_since_ms) < self.idle_ms && !share.is_over()
        });
        let idle = all.iter().filter(|share| share.streams.get() == 0).count();
        let mut surplus = idle.saturating_sub(self.most_idle);
        all.retain(|share| {
            let goes = surplus > 0 && share.streams.get() == 0;
            surplus -= usize::from(goes);
            !goes
        });
        drop(all);
        self.carriers.borrow_mut().retain(|carrier| {
            let since = carrier.writing_since_ms.get();
            if since.is_some_and(|since| now_ms.saturating_sub(since) >= self.send_ms) {
                carrier.socket.cut(true);
            }
            !carrier.over.get()
        });
    }

    /// Makes room for another connection, by one of that context where one is named; false when all of them carry something.
    pub fn drop_idle(&self, context: Option<&str>) -> bool {
        let mut all = self.all.borrow_mut();
        let fits = |share: &Share| context.is_none_or(|context| share.key.context == context);
        let idle = all.iter().position(|share| share.streams.get() == 0 && fits(share));
        idle.map(|at| all.remove(at)).is_some()
    }

    /// Closes those of contexts that are no more, by their names.
    pub fn forget(&self, is_gone: impl Fn(&str) -> bool) {
        self.all.borrow_mut().retain(|share| !is_gone(&share.key.context));
    }

    /// None takes a further request; those that carry nothing end.
    pub fn clear(&self) {
        self.all.borrow_mut().clear();
    }

    /// Cuts all of them off, so that their tasks end.
    pub fn cut(&self) {
        self.clear();
        self.carriers
            .borrow()
            .iter()
            .filter(|carrier| !carrier.over.get())
            .for_each(|carrier| carrier.socket.cut(true));
    }

    /// No task is there any more.
    pub fn is_empty(&self) -> bool {
        self.carriers.borrow().iter().all(|carrier| carrier.over.get())
    }
}

struct Task {
    shard: Rc<Shard>,
    carrier: Rc<Carrier>,
    memory: Rc<Memory>,
    connection: h2::client::Connection<Pipe, Bytes>,
    streams: Rc<Cell<usize>>,
    settled: Rc<Cell<bool>>,
    watch: HeadWatch,
    /// Bytes that the shard counts for it.
    held: usize,
    _counted: CountedConnection,
}

impl Role for Task {
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(bytes) = self.memory.take_arrived() {
            let Some(content) = self.watch.take(&bytes) else {
                self.shard.counters.http2_floods.add(1);
                return Poll::Ready(());
            };
            self.settled.set(self.watch.is_settled());
            self.watch.spoiled().iter().for_each(|(stream, flaw)| self.memory.spoil(*stream, *flaw));
            self.memory.count_unread(content, UPSTREAM_WINDOW_BYTES);
            self.memory.feed(bytes);
        }
        let step = pin!(&mut self.connection).poll(cx).map(drop);
        self.memory.bound_unread(self.streams.get(), UPSTREAM_STREAM_WINDOW_BYTES, UPSTREAM_WINDOW_BYTES);
        let before = std::mem::replace(&mut self.held, self.memory.held_bytes());
        self.shard.buffers.let_go(before);
        self.shard.buffers.hold(self.held);
        step
    }

    fn note_writing(&self, writing: bool) {
        self.carrier.writing_since_ms.set(writing.then(|| self.shard.now_ms()));
    }

    fn lingers(&self) -> bool {
        false
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.shard.buffers.let_go(self.held);
    }
}

async fn carry(mut task: Task, (reader, writer): (ReadHalf, WriteHalf)) {
    let (shard, carrier, memory) = (task.shard.clone(), task.carrier.clone(), task.memory.clone());
    {
        let mut driving = Box::pin(drive(&shard, &memory, &carrier.socket, reader, writer, &mut task));
        std::future::poll_fn(|cx| {
            // A panic costs this connection, not the shard.
            catch_unwind(AssertUnwindSafe(|| driving.as_mut().poll(cx))).unwrap_or_else(|_| {
                shard.counters.panics.add(1);
                carrier.socket.cut(true);
                Poll::Ready(())
            })
        })
        .await;
    }
    carrier.over.set(true);
}
