//! The class that TypeScript sees: how it starts and ends; what travels ([`calls`]), what is asked of it ([`control`]), and
//! what it tells of itself ([`told`]).

mod calls;
mod control;
mod told;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fasttunnel_engine::host::{Bridge, codes, layout};
use fasttunnel_engine::link::access_log::AccessLog;
use fasttunnel_engine::link::hosts::Hosts;
use fasttunnel_engine::placement::Placement;
use fasttunnel_engine::{Engine, Listen};
use napi::Env;
use napi::bindgen_prelude::{Function, Uint32Array};
use napi_derive::napi;

use crate::inline::{self, Inline, Rung};
use crate::options::{CodedError, NativeAllow, NativeHandler, NativeOptions, Rules, bad_option, offers};
use crate::raw::CleanupHook;
use crate::ring::Ring;
use crate::shared::{Shared, bad_handlers, table_of};
use crate::start_error::{coded, start_error};

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

    /// Nothing happens where the engine is another thread's, or has ended.
    fn with_engine(&self, use_it: impl FnOnce(&Engine)) {
        let running = self.life.running.borrow();
        if let Some(engine) = running.as_ref().and_then(|running| running.engine.as_ref()) {
            use_it(engine);
        }
    }

    /// Joins the threads and lets the ring go. Cuts off what has not ended.
    #[napi(catch_unwind)]
    pub fn finish(&self) {
        self.life.end();
        if let Some(hook) = self.hook.borrow_mut().take() {
            hook.remove();
        }
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
