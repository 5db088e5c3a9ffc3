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
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod http2;
pub(crate) mod life;
mod multiplex;
mod proxy;
mod reactor;
pub mod report;
mod request;
mod resident;
mod serve;
mod service;
mod transport;
mod upstream;
mod watch;

pub use door::listener;
pub use life::inline;
pub use reactor::driver;
pub use watch::{counters, timing};

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::caller::rules::Rules;
use crate::limits::Limits;
use crate::link::access_log::AccessLog;
use crate::link::backend::Backend;
use crate::link::batch::{AnswerBatch, CallBatch};
use crate::link::callers::CallerLimits;
use crate::link::latest::Latest;
use crate::link::peers::Peers;
use crate::link::port::{Inbox, ShardPort};
use crate::link::proxy::ProxyLink;
use crate::link::vitals::Vitals;
use crate::link::weight::Scales;
use crate::tls::Tls;
use crate::tunnel::decide::{Exposure, Verdict};
use crate::tunnel::json::JsonChecker;
use crate::tunnel::request::Request;
use crate::tunnel::request_id::{UUID_TEXT_BYTES, write_uuid_v4};
use crate::wire::body::ChunkLimits;
use crate::wire::head::{Head, HeadLimits};
use bounds::memory::Ledger;
use calls::slots::SlotTable;
use connection::buffers::Buffers;
use connection::idle::{HeldReads, Spell};
use connection::table::Table;
use connection::unseen::Unseen;
use door::doors::Doors;
use exchange::asking::Advised;
use life::lifecycle::Lifecycle;
use life::living::Legacy;
use life::pulse::Pulse;
use reactor::driver::Driver;
use reactor::waiters::Waiter;
use report::figures::Figures;
use report::reports::Reports;
use resident::Resident;
use serve::handshakes::Handshakes;
use upstream::Upstreams;
use watch::access_log::ShardLog;
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
    /// What clients are spoken to with; `None`: nothing is encrypted.
    pub tls: Option<Arc<Latest<Tls>>>,
    /// The same of the admin listener.
    pub admin_tls: Option<Arc<Latest<Tls>>>,
    /// Peers that have called or shaken hands.
    pub peers: Arc<Peers>,
    /// What holds of callers.
    pub callers: Arc<Rules>,
    /// What each caller may ask, of all shards together.
    pub caller_limits: Arc<CallerLimits>,
    /// Handshakes under way in this shard.
    pub max_handshakes: usize,
    /// Bytes that the shard may hold.
    pub max_held: usize,
    /// What is on its way to the host, or waits there, in all of the shard's lives: its batches come home to the next.
    pub with_host: Scales,
    pub exposures: Arc<Latest<Exposure>>,
    /// What a proxy has; the shard's own letter box beside it.
    pub proxy: Option<(Arc<ProxyLink>, ShardPort)>,
    pub exact_bodies: bool,
    pub bare_inputs: bool,
    pub reference: bool,
    pub report_refusals: bool,
    /// Where requests are written down.
    pub log: Option<Arc<AccessLog>>,
    pub release_memory: fn(),
    pub backend: Arc<dyn Backend>,
    pub inbox: Inbox,
    /// All shards' letter boxes, to hand connections over; empty on shards that do not accept.
    pub ports: Vec<ShardPort>,
    /// Open connections, by shard.
    pub loads: Arc<[AtomicUsize]>,
    pub counters: Arc<Counters>,
    /// Those of all shards.
    pub figures: Arc<Figures>,
    /// Viewers may come.
    pub dashboard: bool,
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
    tls: Option<Arc<Latest<Tls>>>,
    admin_tls: Option<Arc<Latest<Tls>>>,
    peers: Arc<Peers>,
    callers: Arc<Rules>,
    caller_limits: Arc<CallerLimits>,
    /// Each request is asked who has sent it.
    asks_callers: bool,
    handshakes: Handshakes<Rc<dyn Resident>>,
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
    doors: Doors,
    reports: Reports,
    vitals: Arc<Vitals>,
    log: Option<Rc<ShardLog>>,
    /// Of a proxy.
    upstreams: Option<Upstreams>,

    conns: Table,
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
    /// Runs of tasks: each may have asked something of the kernel.
    steps: Cell<u64>,
    pulse: Pulse,
    buffers: Rc<Buffers>,
    held_reads: HeldReads,
    unseen: Unseen,
    spell: Spell,
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
            // Without a proxy there are no tunnels to other hosts.
            connect: setup.proxy.is_some(),
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
            tls: setup.tls,
            admin_tls: setup.admin_tls,
            peers: setup.peers,
            asks_callers: setup.callers.asks_requests(),
            callers: setup.callers,
            caller_limits: setup.caller_limits,
            handshakes: Handshakes::new(setup.max_handshakes),
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
            doors: Doors::default(),
            reports: Reports::new(setup.figures, setup.dashboard),
            vitals: setup.vitals,
            log: setup.log.map(|log| Rc::new(ShardLog::new(log, setup.index))),
            upstreams: setup.proxy.map(|(link, port)| Upstreams::new(link, port)),
            conns: Table::default(),
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
            steps: Cell::new(0),
            pulse: Pulse::default(),
            buffers: Rc::default(),
            held_reads: HeldReads::default(),
            unseen: Unseen::default(),
            spell: Spell::new(setup.release_memory),
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

    fn random_bytes(&self) -> [u8; 16] {
        let mut random = [0; 16];
        self.random.borrow_mut().fill_bytes(&mut random);
        random
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
            write_uuid_v4(self.random_bytes(), id);
        })
    }
}

#[cfg(test)]
mod tests;
