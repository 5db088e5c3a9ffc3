//! One shard: one thread, one reactor, its own sockets and bytes.
//!
//! A tick: connections read and parse, calls gather in the open batch; then, once, the batch goes to the backend, the
//! inbox is emptied, answers go into the connections' buffers, and the shard parks. Nothing wakes a task from another
//! thread (monoio without `sync`): foreign threads write an eventfd, and only when the shard has said that it sleeps.

mod answers;
mod bounds;
mod calls;
mod connection;
mod door;
mod exchange;
#[doc(hidden)]
pub mod fuzz;
pub(crate) mod life;
mod reactor;
mod request;
mod serve;
mod watch;

pub use door::listener;
pub use reactor::driver;
pub use watch::{counters, timing};

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use monoio::net::TcpStream;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use slab::Slab;

use crate::limits::Limits;
use crate::link::backend::Backend;
use crate::link::batch::{AnswerBatch, CallBatch, CallKey};
use crate::link::latest::Latest;
use crate::link::port::{Inbox, ShardPort, ToShard};
use crate::link::vitals::Vitals;
use crate::link::weight::Scales;
use crate::tunnel::decide::{Exposure, Verdict};
use crate::tunnel::envelope::Refusal;
use crate::tunnel::json::JsonChecker;
use crate::tunnel::request::Request;
use crate::tunnel::request_id::{UUID_TEXT_BYTES, write_uuid_v4};
use crate::wire::body::ChunkLimits;
use crate::wire::field_lines::FieldLines;
use crate::wire::head::{Head, HeadLimits};
use crate::wire::reply::Connection;
use bounds::memory::Ledger;
use calls::slots::SlotTable;
use connection::buffers::Buffers;
use connection::conn::{Conn, Origin};
use connection::idle::{HeldReads, Spell};
use connection::unseen::Unseen;
use door::accept::{Door, Entrance};
use exchange::asking::Advised;
use life::lifecycle::Lifecycle;
use life::supervisor::Legacy;
use reactor::driver::Driver;
use reactor::waiters::{Waiter, Waiters};
use watch::clock::Clock;
use watch::counters::Counters;
use watch::timing::{ShardMeter, Timing};

/// What a shard is started with.
#[derive(Clone)]
pub(crate) struct Setup {
    pub index: usize,
    pub driver: Driver,
    pub limits: Limits,
    pub max_calls: usize,
    /// Bytes that the shard may hold.
    pub max_held: usize,
    /// What is on its way to the host, or waits there, in all of the shard's lives: its batches come home to the next.
    pub with_host: Scales,
    pub exposures: Arc<Latest<Exposure>>,
    pub exact_bodies: bool,
    pub bare_inputs: bool,
    pub reference: bool,
    pub report_refusals: bool,
    pub release_memory: fn(),
    pub backend: Arc<dyn Backend>,
    pub inbox: Inbox,
    /// All shards' letter boxes, to hand connections over; empty on shards that do not accept.
    pub ports: Vec<ShardPort>,
    /// Open connections, by shard.
    pub loads: Arc<[AtomicUsize]>,
    pub counters: Arc<Counters>,
    pub meter: Arc<ShardMeter>,
    /// Set when the shard is given up.
    pub given_up: Arc<AtomicBool>,
    pub vitals: Arc<Vitals>,
}

/// The load of a shard that was given up: nobody hands a connection to it.
pub(crate) const GIVEN_UP: usize = usize::MAX;

/// Connections open on the shards that have these loads.
pub(crate) fn open_connections(loads: &[usize]) -> usize {
    loads.iter().filter(|load| **load != GIVEN_UP).sum()
}

/// State of a shard. Single-threaded; shared by its tasks.
struct Shard {
    index: usize,
    driver: Driver,
    limits: Limits,
    head_limits: HeadLimits,
    chunk_limits: ChunkLimits,
    max_calls: usize,
    exact_bodies: bool,
    bare_inputs: bool,
    reference: bool,
    report_refusals: bool,
    exposures: Arc<Latest<Exposure>>,
    /// What `exposures` held when the last request came.
    exposure: RefCell<Arc<Exposure>>,
    exposure_version: Cell<u64>,
    backend: Arc<dyn Backend>,
    inbox: Inbox,
    ports: Vec<ShardPort>,
    loads: Arc<[AtomicUsize]>,
    counters: Arc<Counters>,
    timing: Timing,
    clock: Clock,
    main_door: Door,
    admin_door: Door,
    vitals: Arc<Vitals>,

    conns: RefCell<Slab<Rc<Conn>>>,
    /// Of those, how many are the admin listener's.
    admin_conns: Cell<usize>,
    slots: RefCell<SlotTable>,
    open: RefCell<Box<CallBatch>>,
    // Boxes, because they are the very boxes that travel.
    #[allow(clippy::vec_box)]
    pool: RefCell<Vec<Box<CallBatch>>>,
    inline: RefCell<AnswerBatch>,
    #[allow(clippy::vec_box)]
    answers_pool: RefCell<Vec<Box<AnswerBatch>>>,
    ledger: Ledger,
    /// Connections that read no further because the open batch is full.
    batch_waiters: RefCell<Vec<u32>>,

    // Scratch space, reused from request to request.
    head: RefCell<Box<Head>>,
    lines: RefCell<Vec<u8>>,
    decoded: RefCell<Vec<u8>>,
    body: RefCell<Vec<u8>>,
    checker: RefCell<JsonChecker>,
    random: RefCell<ChaCha8Rng>,

    /// When deadlines were looked at last.
    swept_ms: Cell<u64>,
    ticking: Cell<bool>,
    tick_task: Waiter,
    tick_waiters: Waiters,
    timer_waiters: Waiters,
    buffers: Rc<Buffers>,
    held_reads: HeldReads,
    unseen: Unseen,
    spell: Spell,
    release_memory: fn(),
    life: Lifecycle,
    main_task: Waiter,
}

impl Shard {
    fn new(setup: Setup, timer: OwnedFd, legacy: Legacy) -> Rc<Self> {
        let head_limits = HeadLimits {
            max_head_bytes: setup.limits.max_head_bytes,
            max_target_bytes: setup.limits.max_target_bytes,
            max_headers: setup.limits.max_headers,
            ignore_fragment: setup.reference,
        };
        let chunk_limits = ChunkLimits {
            max_extension_bytes: setup.limits.max_chunk_extension_bytes,
            max_trailer_bytes: setup.limits.max_trailer_bytes,
            max_trailer_lines: setup.limits.max_headers,
        };
        let (exposure, version) = setup.exposures.get();
        let shard = Shard {
            index: setup.index,
            // The ring has sent before it says so; without it sending is a part of the round.
            timing: Timing::new(setup.meter, setup.driver == Driver::IoUring),
            driver: setup.driver,
            head_limits,
            chunk_limits,
            max_calls: setup.max_calls,
            exact_bodies: setup.exact_bodies,
            bare_inputs: setup.bare_inputs,
            reference: setup.reference,
            report_refusals: setup.report_refusals,
            exposures: setup.exposures,
            exposure: RefCell::new(exposure),
            exposure_version: Cell::new(version),
            backend: setup.backend,
            inbox: setup.inbox,
            ports: setup.ports,
            loads: setup.loads,
            counters: setup.counters,
            clock: Clock::new(timer),
            main_door: Door::default(),
            admin_door: Door::default(),
            vitals: setup.vitals,
            conns: RefCell::new(Slab::new()),
            admin_conns: Cell::new(0),
            slots: RefCell::new(SlotTable::new(setup.max_calls, legacy.generation)),
            open: RefCell::new(legacy.open),
            pool: RefCell::default(),
            inline: RefCell::default(),
            answers_pool: RefCell::default(),
            ledger: Ledger::new(setup.max_held, setup.with_host),
            batch_waiters: RefCell::default(),
            head: RefCell::default(),
            lines: RefCell::default(),
            decoded: RefCell::default(),
            body: RefCell::default(),
            checker: RefCell::new(JsonChecker::new(setup.limits.max_json_depth)),
            random: RefCell::new(ChaCha8Rng::from_os_rng()),
            swept_ms: Cell::new(0),
            ticking: Cell::new(false),
            tick_task: Waiter::default(),
            tick_waiters: Waiters::default(),
            timer_waiters: Waiters::default(),
            buffers: Rc::default(),
            held_reads: HeldReads::default(),
            unseen: Unseen::default(),
            spell: Spell::default(),
            release_memory: setup.release_memory,
            life: Lifecycle::default(),
            main_task: Waiter::default(),
            limits: setup.limits,
        };
        Rc::new(shard)
    }

    /// Milliseconds that the shard has run, as of the last turn of the timer.
    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn stopping(&self) -> bool {
        self.life.is_stopping()
    }

    fn door(&self, entrance: Entrance) -> &Door {
        match entrance {
            Entrance::Main => &self.main_door,
            Entrance::Admin => &self.admin_door,
        }
    }

    /// True while a new connection may still be served. Whom the kernel had let in when the stop came is.
    fn takes(&self, origin: Origin) -> bool {
        match origin {
            Origin::Network => !self.life.is_finished() && !self.life.is_winding_down(),
            Origin::InProcess => !self.stopping(),
            Origin::Admin => !self.life.is_admin_over() && !self.life.is_winding_down(),
        }
    }

    /// Decides on a request; the answer's own header lines go to `lines`.
    fn decide<'a>(
        &self,
        head: &'a Head,
        bytes: &'a [u8],
        advised: Option<&Advised>,
        lines: &mut Vec<u8>,
        decoded: &'a mut Vec<u8>,
    ) -> Verdict<'a> {
        let method = bytes.get(..head.target.start.saturating_sub(1) as usize).unwrap_or_default();
        let request = Request { method, path: head.path.of(bytes), fields: head.fields.of(bytes) };
        if let Some((exposure, version)) = self.exposures.newer_than(self.exposure_version.get()) {
            self.exposure.replace(exposure);
            self.exposure_version.set(version);
        }
        let advice = advised.map(|advised| &advised.advice);
        self.exposure.borrow().decide_advised(&request, advice, lines, decoded, |id| {
            if let Some(asked) =
                advised.and_then(|advised| <&[u8; UUID_TEXT_BYTES]>::try_from(&advised.request_id[..]).ok())
            {
                // The id that JavaScript has heard.
                return id.copy_from_slice(asked);
            }
            let mut random = [0; 16];
            self.random.borrow_mut().fill_bytes(&mut random);
            write_uuid_v4(random, id);
        })
    }

    /// Takes a connection over that was accepted here or elsewhere, or made in this process.
    fn adopt(self: &Rc<Self>, socket: OwnedFd, origin: Origin) {
        let socket = std::net::TcpStream::from(socket);
        // epoll wants EAGAIN; the ring must not get it: it waits by itself.
        let prepared = socket.set_nonblocking(self.driver != Driver::IoUring);
        match prepared.and_then(|()| TcpStream::from_std(socket)) {
            Ok(stream) if self.takes(origin) => {
                self.clock.arm();
                // Entered in the table at once, not by its task: a stop in this very tick has to find it.
                let socket = stream.as_raw_fd();
                let conn = self.register(|id, now_ms| Conn::new(id, socket, origin, now_ms, self.buffers.clone()));
                monoio::spawn(serve::task::serve(self.begin_task(), conn, stream));
            }
            _ => self.forget_load(origin),
        }
    }

    /// A connection has ended, or does not begin. Those of the admin listener count for no load.
    fn forget_load(&self, origin: Origin) {
        if origin != Origin::Admin
            && let Some(load) = self.loads.get(self.index)
        {
            load.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Gives an accepted connection to the shard that has the fewest; closes it when there are too many.
    fn place(self: &Rc<Self>, socket: OwnedFd) {
        let loads: Vec<usize> = self.loads.iter().map(|load| load.load(Ordering::Relaxed)).collect();
        if open_connections(&loads) >= self.limits.max_connections {
            self.counters.turned_away.add(1);
            return self.turn_away(socket);
        }
        // On a tie the accepting shard keeps it: no hop. And at the end: another may have ended by now.
        let least = loads.iter().min().copied().unwrap_or(0);
        let target = if loads.get(self.index) == Some(&least) || self.stopping() {
            self.index
        } else {
            loads.iter().position(|load| *load == least).unwrap_or(self.index)
        };
        if let Some(load) = self.loads.get(target) {
            load.fetch_add(1, Ordering::Relaxed);
        }
        if target == self.index {
            return self.adopt(socket, Origin::Network);
        }
        let sent = self.ports.get(target).map(|port| port.send(ToShard::Socket(socket)));
        if !matches!(sent, Some(Ok(())))
            && let Some(load) = self.loads.get(target)
        {
            load.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Best effort: the socket's buffer is empty, so the answer fits or the peer is gone already.
    fn turn_away(&self, socket: OwnedFd) {
        let mut answer = Vec::new();
        self.with_refusal(Refusal::ServiceUnavailable, FieldLines::NONE, false, |refusal| {
            refusal.encode(&mut answer, Connection::Close);
        });
        let _ = rustix::net::send(
            socket.as_fd(),
            &answer,
            rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL,
        );
        let _ = rustix::net::shutdown(&socket, rustix::net::Shutdown::Write);
    }

    fn register(&self, make: impl FnOnce(u32, u64) -> Conn) -> Rc<Conn> {
        let mut conns = self.conns.borrow_mut();
        let entry = conns.vacant_entry();
        let conn = Rc::new(make(entry.key() as u32, self.now_ms()));
        entry.insert(conn.clone());
        if conn.origin() == Origin::Admin {
            self.admin_conns.set(self.admin_conns.get() + 1);
        } else {
            self.counters.accepted.add(1);
        }
        self.counters.connections.set((conns.len() - self.admin_conns.get()) as u64);
        conn
    }

    fn unregister(&self, conn: &Conn) {
        // Whatever was under way has nobody to answer to.
        self.cut_off(conn);
        let mut conns = self.conns.borrow_mut();
        conns.try_remove(conn.id as usize);
        if conn.origin() == Origin::Admin {
            self.admin_conns.set(self.admin_conns.get() - 1);
        }
        self.spell.note();
        self.counters.connections.set((conns.len() - self.admin_conns.get()) as u64);
        drop(conns);
        self.forget_load(conn.origin());
        self.touch();
    }

    /// Ends a connection at once; its calls are abandoned.
    fn cut_off(&self, conn: &Conn) {
        let mut abandoned: Vec<CallKey> = Vec::new();
        conn.kill(&mut abandoned);
        if !abandoned.is_empty() {
            self.abandon(&abandoned);
        }
    }
}

#[cfg(test)]
mod tests;
