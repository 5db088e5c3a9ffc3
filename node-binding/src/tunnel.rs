//! The class that TypeScript sees: start, poll, complete, stop.

use std::cell::{Cell, RefCell};
use std::os::fd::IntoRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fasttunnel_engine::facts;
use fasttunnel_engine::host::{Bridge, RawParts};
use fasttunnel_engine::host::{codes, layout};
use fasttunnel_engine::link::access_log::AccessLog;
use fasttunnel_engine::link::batch::Outcome;
use fasttunnel_engine::link::beat::Beat;
use fasttunnel_engine::link::clock;
use fasttunnel_engine::link::host::Host;
use fasttunnel_engine::link::hosts::Hosts;
use fasttunnel_engine::placement::{Placement, available_cores as cores_of_process};
use fasttunnel_engine::shard::report::json;
use fasttunnel_engine::tunnel::target::Destination;
use fasttunnel_engine::{ConnectError, Engine, Listen};
use napi::bindgen_prelude::{BufferSlice, Function, Uint8ArraySlice, Uint32Array};
use napi::{Env, JsString};
use napi_derive::napi;

use crate::callers::NativeCaller;
use crate::inline::{self, Inline, Rung};
use crate::options::{CodedError, NativeAllow, NativeHandler, NativeOptions, Rules, bad_option, offers};
use crate::raw::{CleanupHook, append_utf8, elements, keep_freed_memory};
use crate::ring::Ring;
use crate::rows::{Table, answers};
use crate::shared::{Shared, bad_handlers, table_of};
use crate::start_error::{coded, connect_error, start_error};
use crate::stats::{log_json, members_json};
use crate::tls::{NativePeer, NativeTls};

/// A running tunnel, or another event loop of one. All methods on the JavaScript thread that made it.
#[napi]
pub struct NativeTunnel {
    rules: Arc<Rules>,
    /// By which other threads find it.
    number: u32,
    life: Rc<Life>,
    table: RefCell<Uint32Array>,
    /// Nothing, where the engine is another thread's.
    engine_facts: Option<Facts>,
    hook: Rc<RefCell<Option<CleanupHook>>>,
    /// A frame has been fetched: bodies travel here.
    streams: Cell<bool>,
    /// Numbers of the handlers that it was made with.
    numbers: Vec<u32>,
}

/// What has to end before the environment does. Not every runtime collects the objects of an environment that ends (Deno
/// does not for a worker that is terminated): what is left to their end stays.
struct Life {
    running: RefCell<Option<Running>>,
    /// Where the shard has no thread.
    inline: RefCell<Option<Rc<Inline>>>,
    bridge: RefCell<Bridge>,
    shared: RefCell<Option<Arc<Shared>>>,
    /// Shards that were given up, as of the last look.
    failed_shards: Cell<usize>,
    /// The access log, which outlives the engine: what it has said last is read then.
    log: Option<Arc<AccessLog>>,
    #[cfg(feature = "fault-injection")]
    saboteur: RefCell<Option<Arc<crate::saboteur::Saboteur>>>,
}

struct Running {
    /// Nothing, where it is another thread's.
    engine: Option<Engine>,
    ring: Rc<Ring>,
}

impl Life {
    /// Cuts everything off, joins the threads, lets go of the letter boxes, and of the ring last.
    fn end(&self) {
        let running = self.running.borrow_mut().take();
        let Some(Running { engine, ring }) = running else { return };
        let is_its_own = engine.is_some();
        if let Some(engine) = engine {
            self.failed_shards.set(engine.failed_shards());
            engine.stop(Duration::ZERO);
            if let Some(inline) = self.inline.take() {
                inline.end();
            }
            engine.join();
        }
        self.bridge.borrow_mut().detach();
        if let Some(shared) = self.shared.take().filter(|_| !is_its_own) {
            // Calls are to name handlers of those who stay. An error would have been one when they registered.
            let _ = shared.publish(None, || Ok(()));
        }
        // It holds the host, and with it the letter boxes.
        #[cfg(feature = "fault-injection")]
        self.saboteur.take();
        drop(ring);
    }
}

/// What does not change while the tunnel runs.
struct Facts {
    address: Listen,
    admin: Option<Listen>,
    agent: Option<Listen>,
    driver: &'static str,
    driver_reason: Option<String>,
    shards: u32,
    ring: &'static str,
    placement: &'static str,
    placement_reason: Option<String>,
}

#[napi]
impl NativeTunnel {
    /// Starts listening. `ring` is called when calls wait and JavaScript is idle; it should call `poll`.
    /// `table` is written by `poll` and `complete` (see `layout`).
    ///
    /// Throws with `code` set to the operating system's name (`EADDRINUSE`, …) or `FASTTUNNEL_BAD_OPTION`.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        mut options: NativeOptions,
        handlers: Vec<NativeHandler>,
        allow: NativeAllow,
        table: Uint32Array,
        ring: Function<'_, (), ()>,
    ) -> Result<Self, CodedError> {
        check_table(&table)?;
        let rules = Arc::new(options.rules()?);
        let mut config = options.config(&rules)?;
        let allow = allow.policy()?;
        // Before the cleanup hook: hooks run last-in-first-out, and this one must still be alive then.
        let (ring, wake) = Ring::new(&env, &ring, options.loop_ring).map_err(coded)?;
        let ring = Rc::new(ring);
        let placed = inline::place(options.decide()?, &ring, config.driver);
        let is_inline = placed.arrangement.placement == Placement::Inline;
        config.shards = placed.arrangement.shards;
        let rung = Rung::default();
        let wake = if is_inline { rung.wake(wake) } else { wake };
        let hosts = Hosts::new(config.shards, config.limits.queue_timeout_ms);
        // Nobody but the admin listener tells it.
        let hosts = Arc::new(if config.admin.is_some() { hosts.metering_tasks() } else { hosts });
        // Whoever connects first finds the handlers: they are registered, or announced, before anything listens.
        let (bridge, numbers) = if options.workers {
            hosts.announce(&offers(handlers)).map_err(bad_handlers)?;
            (Bridge::observe(hosts.clone(), wake), Vec::new())
        } else {
            let bridge = Bridge::attach(hosts.clone(), wake).map_err(bad_option)?;
            #[cfg(fasttunnel_benches)]
            crate::line::stand_in(&hosts, bridge.link());
            let numbers = bridge.register(&offers(handlers)).map_err(bad_handlers)?;
            (bridge, numbers)
        };
        config.exposure = Arc::new(rules.exposure(table_of(&hosts, &allow)?));
        #[cfg(not(feature = "fault-injection"))]
        let backend = hosts.clone();
        #[cfg(feature = "fault-injection")]
        let backend = Arc::new(crate::saboteur::Saboteur::new(hosts.clone()));
        #[cfg(feature = "fault-injection")]
        let saboteur = backend.clone();
        let (engine, shard) = if is_inline {
            Engine::start_inline(config, backend).map(|(engine, shard)| (engine, Some(shard)))
        } else {
            Engine::start(config, backend).map(|engine| (engine, None))
        }
        .map_err(|error| start_error(&error))?;
        let inline = match shard {
            Some(shard) => Some(Inline::new(&env, shard, bridge.link().clone(), ring.clone(), rung).map_err(coded)?),
            None => None,
        };
        let engine_facts = Facts {
            address: engine.address().clone(),
            admin: engine.admin_address().cloned(),
            agent: engine.agent_address().cloned(),
            driver: engine.driver().name(),
            driver_reason: engine.driver().reason().map(str::to_owned),
            shards: engine.shards() as u32,
            ring: ring.name(),
            placement: placed.arrangement.placement.name(),
            placement_reason: placed.reason,
        };
        let log = engine.log().cloned();
        let shared = Shared::new(hosts, rules, &engine, allow);
        if options.workers {
            shared.open();
        }
        let life = Life {
            running: RefCell::new(Some(Running { engine: Some(engine), ring })),
            inline: RefCell::new(inline),
            bridge: RefCell::new(bridge),
            shared: RefCell::new(Some(shared.clone())),
            failed_shards: Cell::new(0),
            log,
            #[cfg(feature = "fault-injection")]
            saboteur: RefCell::new(Some(saboteur)),
        };
        Self::begin(&env, &shared, life, table, Some(engine_facts), numbers)
    }

    /// Attaches the event loop of this thread to a tunnel of another one, that was made with `workers` and has this number.
    /// It runs the calls of these handlers from now on.
    ///
    /// Throws with `code` `FASTTUNNEL_CLOSED` when there is no such tunnel (any more).
    #[napi(factory, catch_unwind)]
    pub fn attach(
        env: Env,
        number: u32,
        loop_ring: bool,
        handlers: Vec<NativeHandler>,
        table: Uint32Array,
        ring: Function<'_, (), ()>,
    ) -> Result<Self, CodedError> {
        check_table(&table)?;
        let shared = Shared::find(number)
            .ok_or_else(|| CodedError::new(codes::CLOSED.to_owned(), "the tunnel of this worker has ended"))?;
        let (ring, wake) = Ring::new(&env, &ring, loop_ring).map_err(coded)?;
        let bridge = Bridge::attach(shared.hosts().clone(), wake).map_err(bad_option)?;
        let numbers = shared.publish(None, || bridge.register(&offers(handlers)))?;
        let life = Life {
            running: RefCell::new(Some(Running { engine: None, ring: Rc::new(ring) })),
            inline: RefCell::default(),
            bridge: RefCell::new(bridge),
            shared: RefCell::new(Some(shared.clone())),
            failed_shards: Cell::new(0),
            log: None,
            #[cfg(feature = "fault-injection")]
            saboteur: RefCell::default(),
        };
        Self::begin(&env, &shared, life, table, None, numbers)
    }

    /// Sees to it that what was begun ends before the environment does.
    fn begin(
        env: &Env,
        shared: &Shared,
        life: Life,
        table: Uint32Array,
        engine_facts: Option<Facts>,
        numbers: Vec<u32>,
    ) -> Result<Self, CodedError> {
        let life = Rc::new(life);
        let hook = Rc::new(RefCell::new(None));
        let (ending, place) = (life.clone(), hook.clone());
        let added = CleanupHook::add(env, move || {
            // It runs now: nobody may remove it any more.
            let _: Option<CleanupHook> = place.borrow_mut().take();
            ending.end();
        })
        .map_err(coded)?;
        hook.replace(Some(added));
        Ok(NativeTunnel {
            rules: shared.rules().clone(),
            number: shared.number(),
            life,
            table: RefCell::new(table),
            engine_facts,
            hook,
            streams: Cell::new(false),
            numbers,
        })
    }

    /// Drains waiting calls: fills the table, returns the JSON array of their bodies, or null when there are none.
    /// At most `max_calls`, but one at least. When there is nothing at all, the next call rings.
    #[napi(catch_unwind)]
    pub fn poll<'env>(&self, env: &'env Env, max_calls: u32) -> napi::Result<Option<JsString<'env>>> {
        if let Some(inline) = &*self.life.inline.borrow() {
            inline.looked();
        }
        let mut table = self.table.borrow_mut();
        let mut bridge = self.life.bridge.borrow_mut();
        let mut table = Table(elements(&mut table));
        let drained = bridge.drain(&mut table, max_calls as usize);
        table.write_header(&drained);
        match bridge.text() {
            _ if drained.calls == 0 => Ok(None),
            text if text.is_ascii() => env.create_string_latin1(text).map(Some),
            // The engine passes UTF-8 only; a copy with U+FFFD costs less than a crash if that were ever wrong.
            text => env.create_string(String::from_utf8_lossy(text)).map(Some),
        }
    }

    /// Answers calls: `rows` holds `count` pairs of ticket and outcome, `text` the texts that they need: a JSON array,
    /// then others behind a zero each. Then drains like `poll`, unless `max_calls` is 0: the caller has to poll later.
    #[napi(catch_unwind)]
    pub fn complete<'env>(
        &self,
        env: &'env Env,
        text: JsString<'_>,
        mut rows: Uint32Array,
        count: u32,
        max_calls: u32,
    ) -> napi::Result<Option<JsString<'env>>> {
        let rows = elements(&mut rows);
        let used = rows.get(..count as usize * layout::PER_ANSWER).unwrap_or_default();
        let answer = || self.life.bridge.borrow_mut().answer(answers(used), |out| append_utf8(env, text, out));
        match &*self.life.inline.borrow() {
            Some(inline) => inline.send(answer),
            None => answer(),
        }?;
        if max_calls > 0 { self.poll(env, max_calls) } else { Ok(None) }
    }

    /// The effective request id of a call that is not answered yet.
    #[napi(catch_unwind)]
    pub fn request_id<'env>(&self, env: &'env Env, ticket: u32) -> napi::Result<Option<JsString<'env>>> {
        self.life.bridge.borrow().request_id(ticket).map(|id| env.create_string_latin1(id)).transpose()
    }

    /// The head, as received (latin-1), of a call that is not answered yet.
    #[napi(catch_unwind)]
    pub fn head<'env>(&self, env: &'env Env, ticket: u32) -> napi::Result<Option<JsString<'env>>> {
        self.life.bridge.borrow().head(ticket).map(|head| env.create_string_latin1(head)).transpose()
    }

    /// Milliseconds that a call has waited for the event loop, while it is not answered.
    #[napi(catch_unwind)]
    pub fn queued_ms(&self, ticket: u32) -> f64 {
        self.life.bridge.borrow().queued_ns(ticket).unwrap_or(0) as f64 / 1e6
    }

    /// Says what a request that was asked about may do; it leaves with the next `complete`.
    #[napi(catch_unwind)]
    pub fn advise(&self, ticket: u32, passed: bool, origin: Option<String>) {
        self.life.bridge.borrow_mut().advise(ticket, passed, origin.as_deref());
    }

    /// Answers a call with a status, header lines (names and values in turn) and a body of its own; it leaves with the
    /// next `complete`. What may not be written gives a 500.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)]
    pub fn raw(
        &self,
        ticket: u32,
        status: f64,
        reason: String,
        headers: Vec<String>,
        body: Uint8ArraySlice<'_>,
        cors: bool,
        security: bool,
    ) {
        let parts = RawParts { status, reason: &reason, headers: &headers, body: &body, cors, security };
        self.life.bridge.borrow_mut().answer_raw(ticket, &parts);
    }

    /// The next of the frames of which the table has told: what it is goes into the table, its bytes are copied.
    #[napi(catch_unwind)]
    pub fn frame<'env>(&self, env: &'env Env) -> napi::Result<Option<BufferSlice<'env>>> {
        if !self.streams.replace(true) {
            keep_freed_memory();
        }
        let mut table = self.table.borrow_mut();
        let mut bridge = self.life.bridge.borrow_mut();
        let frame = bridge.next_frame();
        Table(elements(&mut table)).write_frame(frame.map(|(ticket, kind, _)| (ticket, kind)));
        let bytes = frame.map(|(_, _, bytes)| bytes).filter(|bytes| !bytes.is_empty());
        bytes.map(|bytes| BufferSlice::copy_from(env, bytes)).transpose()
    }

    /// Begins an answer whose body follows in pieces: `length` bytes, or any number if it is negative. Leaves with the
    /// next `complete`, like all that follows. False when it may not be written, which gives a 500.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)]
    pub fn open_stream(
        &self,
        ticket: u32,
        status: f64,
        reason: String,
        headers: Vec<String>,
        length: f64,
        cors: bool,
        security: bool,
    ) -> bool {
        let parts = RawParts { status, reason: &reason, headers: &headers, body: b"", cors, security };
        let length = (length >= 0.0).then_some(length as u64);
        self.life.bridge.borrow_mut().open_stream(ticket, &parts, length)
    }

    /// The next piece of that body.
    #[napi(catch_unwind)]
    pub fn send_data(&self, ticket: u32, bytes: Uint8ArraySlice<'_>) {
        self.life.bridge.borrow_mut().append(ticket, Outcome::Data, &bytes);
    }

    /// That body is complete.
    #[napi(catch_unwind)]
    pub fn end_stream(&self, ticket: u32) {
        self.life.bridge.borrow_mut().close_stream(ticket, Outcome::End);
    }

    /// That body breaks off.
    #[napi(catch_unwind)]
    pub fn cut_stream(&self, ticket: u32) {
        self.life.bridge.borrow_mut().close_stream(ticket, Outcome::Cut);
    }

    /// So many bytes of the request's body are used up.
    #[napi(catch_unwind)]
    pub fn credit_body(&self, ticket: u32, bytes: u32) {
        self.life.bridge.borrow_mut().append(ticket, Outcome::Credit(bytes), b"");
    }

    /// Nobody wants the rest of the request's body.
    #[napi(catch_unwind)]
    pub fn discard_body(&self, ticket: u32) {
        self.life.bridge.borrow_mut().append(ticket, Outcome::Discard, b"");
    }

    /// The refusals of which the table has told: the members of a JSON array.
    #[napi(catch_unwind)]
    pub fn notices<'env>(&self, env: &'env Env) -> napi::Result<JsString<'env>> {
        env.create_string_latin1(self.life.bridge.borrow_mut().take_notices())
    }

    /// The numbers by which calls name the handlers that it was made with, in their order.
    #[napi(getter)]
    pub fn handler_numbers(&self) -> Vec<u32> {
        self.numbers.clone()
    }

    /// Replaces the handlers; counts from the next request on. Returns their numbers, in their order.
    #[napi(catch_unwind)]
    pub fn set_handlers(&self, handlers: Vec<NativeHandler>, allow: NativeAllow) -> Result<Vec<u32>, CodedError> {
        let (allow, bridge) = (allow.policy()?, self.life.bridge.borrow());
        let register = || bridge.register(&offers(handlers));
        match &*self.life.shared.borrow() {
            Some(shared) => shared.publish(Some(allow), register),
            None => register().map_err(bad_handlers),
        }
    }

    /// By which a thread of this process attaches to it.
    #[napi(getter)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The engine's number of this event loop.
    #[napi(getter)]
    pub fn member(&self) -> u32 {
        self.life.bridge.borrow().link().number()
    }

    /// The event loop says how it is: how late it was for its last timer, the most that was, and the part of the time in
    /// which it did not wait for events. `worker` is negative for the one that has opened the tunnel.
    #[napi(catch_unwind)]
    pub fn beat(&self, delay_ms: f64, delay_max_ms: f64, utilization: f64, worker: i32, restarts: u32) {
        self.life.bridge.borrow().link().beat(&Beat {
            worker: u32::try_from(worker).ok(),
            restarts: u64::from(restarts),
            // A float becomes an integer by saturation.
            delay_us: (delay_ms * 1e3) as u64,
            delay_max_us: (delay_max_ms * 1e3) as u64,
            utilization_ppm: (utilization * 1e6) as u64,
        });
    }

    /// Calls that it has begun and not answered.
    #[napi(getter)]
    pub fn live(&self) -> u32 {
        self.life.bridge.borrow().live() as u32
    }

    /// Takes no more calls: what this event loop has not begun goes to others. Then answer what is live, and call `finish`.
    #[napi(catch_unwind)]
    pub fn leave(&self) {
        self.life.bridge.borrow_mut().retire();
        if let Some(shared) = &*self.life.shared.borrow() {
            let _ = shared.publish(None, || Ok(()));
        }
    }

    /// Replaces what clients are spoken to with; counts from the next connection on.
    #[napi(catch_unwind)]
    pub fn set_tls(&self, tls: NativeTls) -> Result<(), CodedError> {
        let tls = tls.read()?;
        let mut is_set = true;
        self.with_engine(|engine| is_set = engine.set_tls(tls));
        if !is_set {
            return Err(bad_option("tls: the engine was started without"));
        }
        Ok(())
    }

    /// Replaces what the admin listener encrypts with, where it has something of its own.
    #[napi(catch_unwind)]
    pub fn set_admin_tls(&self, tls: NativeTls) -> Result<(), CodedError> {
        let tls = tls.read()?;
        let mut is_set = true;
        self.with_engine(|engine| is_set = engine.set_admin_tls(tls));
        if !is_set {
            return Err(bad_option("admin.tls: the engine was started without"));
        }
        Ok(())
    }

    /// What is known of the client of a call that is not answered yet, where it came by TLS and is connected.
    #[napi(catch_unwind)]
    pub fn peer<'env>(&self, env: &'env Env, ticket: u32) -> napi::Result<Option<NativePeer<'env>>> {
        let Some(number) = self.life.bridge.borrow().peer(ticket) else { return Ok(None) };
        let shared = self.life.shared.borrow();
        let peer = shared.as_ref().and_then(|shared| shared.peers().get(number));
        peer.and_then(|peer| peer.tls.as_ref().map(|tls| NativePeer::new(env, tls))).transpose()
    }

    /// Who has made a call that is not answered yet, while the peer is connected; nothing of one of this process.
    #[napi(catch_unwind)]
    pub fn caller(&self, ticket: u32) -> Option<NativeCaller> {
        let bridge = self.life.bridge.borrow();
        let shared = self.life.shared.borrow();
        let shared = shared.as_ref()?;
        let peer = shared.peers().get(bridge.peer(ticket)?)?;
        Some(NativeCaller::new(&peer, shared.callers().client(peer.address, bridge.head(ticket)?)))
    }

    /// Makes a connection to the engine. The descriptor belongs to the caller, who has to close it.
    ///
    /// Throws with `code` `FASTTUNNEL_FULL`, `FASTTUNNEL_CLOSED`, or the operating system's name.
    #[napi(catch_unwind)]
    pub fn connect(&self) -> Result<i32, CodedError> {
        let running = self.life.running.borrow();
        let engine = running.as_ref().and_then(|running| running.engine.as_ref());
        let socket = engine.ok_or(ConnectError::Ended).and_then(Engine::connect);
        socket.map(IntoRawFd::into_raw_fd).map_err(|error| connect_error(&error))
    }

    /// Where a request target leads: see `Destination`. Also when it no longer runs.
    #[napi(catch_unwind)]
    pub fn route(&self, target: String) -> &'static str {
        Destination::of(self.rules.base_path(), target.as_bytes()).name()
    }

    /// Lets `/readyz` say that no calls are wanted any more.
    #[napi(catch_unwind)]
    pub fn retire(&self) {
        self.with_engine(Engine::retire);
    }

    /// Stops accepting, lets calls under way finish within `drain_ms`. When every shard has ended, the ring is called
    /// and the table says so; then call `finish`.
    #[napi(catch_unwind)]
    pub fn stop(&self, drain_ms: f64) {
        self.with_engine(|engine| engine.stop(Duration::from_millis(drain_ms as u64)));
    }

    fn with_engine(&self, use_it: impl FnOnce(&Engine)) {
        let running = self.life.running.borrow();
        if let Some(engine) = running.as_ref().and_then(|running| running.engine.as_ref()) {
            use_it(engine);
        }
    }

    /// Goes on with the access log in this file, which is opened to be appended to.
    #[napi(catch_unwind)]
    pub fn reopen_log(&self, path: String) -> Result<(), CodedError> {
        let mut outcome = Ok(());
        self.with_engine(|engine| outcome = engine.reopen_log(path.as_ref()));
        outcome.map_err(|error| start_error(&error))
    }

    /// The next lines of the access log as a JSON array, at most so many; nothing where there are none. Also after `finish`.
    #[napi(catch_unwind)]
    pub fn read_log(&self, most: u32) -> Option<String> {
        let mut text = vec![b'['];
        if self.life.log.as_ref()?.read(&mut text, most as usize) == 0 {
            return None;
        }
        text.push(b']');
        // What the engine writes is UTF-8.
        String::from_utf8(text).ok()
    }

    /// Why the access log could not be written, once for each time that it began.
    #[napi(catch_unwind)]
    pub fn log_failure(&self) -> Option<String> {
        self.life.log.as_ref()?.take_failure()
    }

    /// Joins the threads and lets the ring go. Cuts off what has not ended.
    #[napi(catch_unwind)]
    pub fn finish(&self) {
        self.life.end();
        if let Some(hook) = self.hook.borrow_mut().take() {
            hook.remove();
        }
    }

    /// TCP port, 0 where it does not listen on one.
    #[napi(getter)]
    pub fn port(&self) -> u32 {
        self.engine_facts.as_ref().map_or(0, |facts| port_of(&facts.address))
    }

    /// TCP port of the admin listener, 0 where there is none.
    #[napi(getter)]
    pub fn admin_port(&self) -> u32 {
        self.engine_facts.as_ref().and_then(|facts| facts.admin.as_ref()).map_or(0, port_of)
    }

    /// TCP port where balancers are told, 0 where there is none.
    #[napi(getter)]
    pub fn agent_port(&self) -> u32 {
        self.engine_facts.as_ref().and_then(|facts| facts.agent.as_ref()).map_or(0, port_of)
    }

    /// The driver that runs.
    #[napi(getter)]
    pub fn driver(&self) -> &'static str {
        self.engine_facts.as_ref().map_or("", |facts| facts.driver)
    }

    /// Why it is epoll.
    #[napi(getter)]
    pub fn driver_reason(&self) -> Option<String> {
        self.engine_facts.as_ref().and_then(|facts| facts.driver_reason.clone())
    }

    /// How JavaScript is woken: `loop` or `threadsafe`.
    #[napi(getter)]
    pub fn ring(&self) -> &'static str {
        self.engine_facts.as_ref().map_or("", |facts| facts.ring)
    }

    /// Where the shards run: `threads` or `inline`.
    #[napi(getter)]
    pub fn placement(&self) -> &'static str {
        self.engine_facts.as_ref().map_or(Placement::Threads.name(), |facts| facts.placement)
    }

    /// Why it is `threads`, where `inline` was asked for; what decided, where that was left open.
    #[napi(getter)]
    pub fn placement_reason(&self) -> Option<String> {
        self.engine_facts.as_ref().and_then(|facts| facts.placement_reason.clone())
    }

    /// Number of shards.
    #[napi(getter)]
    pub fn shards(&self) -> u32 {
        self.engine_facts.as_ref().map_or(0, |facts| facts.shards)
    }

    /// JSON: `{"shards":[…],"failedShards":n,"live":n,"members":[…]}`, see [`json::shards`] and [`members_json`]; without
    /// shards and members after `finish`.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> String {
        let bridge = self.life.bridge.borrow();
        let mut shards = String::new();
        self.with_engine(|engine| {
            self.life.failed_shards.set(engine.failed_shards());
            shards = json::shards(engine.figures());
        });
        let members = bridge.hosts().members();
        let is_own = |host: &Host| std::ptr::eq(host, &**bridge.link());
        let log = self.life.log.as_ref().map(|log| log_json(log.tally())).unwrap_or_default();
        format!(
            "{{{log}\"shards\":[{shards}],\"failedShards\":{},\"live\":{},\"members\":[{}]}}",
            self.life.failed_shards.get(),
            bridge.live() as u64 + members.iter().filter(|host| !is_own(host)).map(|host| host.running()).sum::<u64>(),
            members_json(&members)
        )
    }
}

/// Only in the addon that the tests run against.
#[cfg(feature = "fault-injection")]
#[napi]
impl NativeTunnel {
    /// The next calls that this shard hands over end it as a whole.
    #[napi]
    pub fn sabotage(&self, shard: u32) {
        if let Some(saboteur) = &*self.life.saboteur.borrow() {
            saboteur.arm(shard);
        }
    }
}

impl Drop for NativeTunnel {
    fn drop(&mut self) {
        self.finish();
    }
}

fn check_table(table: &Uint32Array) -> Result<(), CodedError> {
    if table.len() == layout::LENGTH {
        return Ok(());
    }
    Err(CodedError::new(codes::INTERNAL.to_owned(), "the call table has the wrong length"))
}

fn port_of(address: &Listen) -> u32 {
    match address {
        Listen::Tcp(address) => u32::from(address.port()),
        Listen::Unix(_) | Listen::Inherited(_) | Listen::InProcess => 0,
    }
}

/// Milliseconds of processor time that the calling thread has used.
#[cfg_attr(test, allow(dead_code))]
#[napi]
pub fn thread_cpu_ms() -> f64 {
    clock::thread_cpu_ns() as f64 / 1e6
}

/// Cores that the process may use: by its affinity, and by the quotas of its control groups.
#[cfg_attr(test, allow(dead_code))]
#[napi]
pub fn available_cores() -> u32 {
    cores_of_process() as u32
}

/// The hash of all that TypeScript states as well, for it to compare: the addon and the script must be of one build.
// `--all-targets` compiles the library for tests as well, where nothing registers exports.
#[cfg_attr(test, allow(dead_code))]
#[napi]
pub fn facts_hash() -> String {
    facts::hash()
}
