//! What all event loops of a tunnel share, and where those of other threads find it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use fasttunnel_engine::Engine;
use fasttunnel_engine::caller::rules::Rules as CallerRules;
use fasttunnel_engine::link::hosts::Hosts;
use fasttunnel_engine::link::latest::Latest;
use fasttunnel_engine::link::peers::Peers;
use fasttunnel_engine::tunnel::decide::Exposure;
use fasttunnel_engine::tunnel::table::{Allow, HandlerTable, TableError};

use crate::options::{CodedError, Rules, bad_option};

/// Tunnels that other threads may attach to, while somebody holds them. All threads of a process have one image of the
/// addon, and with it this list; a tunnel leaves it when its last event loop lets go.
static OPEN: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());
static NEXT: AtomicU32 = AtomicU32::new(1);

/// See the module.
pub struct Shared {
    number: u32,
    hosts: Arc<Hosts>,
    rules: Arc<Rules>,
    exposures: Arc<Latest<Exposure>>,
    peers: Arc<Peers>,
    callers: Arc<CallerRules>,
    /// Which ids may be called. Held while a table is built and put in force, so that the last one is the newest.
    allow: Mutex<Allow>,
}

impl Shared {
    /// Of a tunnel that this engine serves.
    pub fn new(hosts: Arc<Hosts>, rules: Arc<Rules>, engine: &Engine, allow: Allow) -> Arc<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (exposures, peers) = (engine.exposures().clone(), engine.peers().clone());
        let callers = engine.callers().clone();
        Arc::new(Shared { number, hosts, rules, exposures, peers, callers, allow: Mutex::new(allow) })
    }

    /// Lets other threads of the process find it.
    pub fn open(self: &Arc<Self>) {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(self));
    }

    /// The tunnel of that number, if it is there and open.
    pub fn find(number: u32) -> Option<Arc<Self>> {
        let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().filter_map(Weak::upgrade).find(|shared| shared.number == number)
    }

    /// By which other threads find it.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// All its event loops.
    pub fn hosts(&self) -> &Arc<Hosts> {
        &self.hosts
    }

    /// Those that are connected to it.
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// What holds of its callers.
    pub fn callers(&self) -> &CallerRules {
        &self.callers
    }

    /// What decides on requests besides the handlers.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Makes a change to the handlers of an event loop, and puts the table of all of them in force; with `allow`, which ids
    /// may be called changes as well.
    pub fn publish<T>(
        &self,
        allow: Option<Allow>,
        change: impl FnOnce() -> Result<T, TableError>,
    ) -> Result<T, CodedError> {
        let mut place = self.allow.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change().map_err(bad_handlers)?;
        if let Some(allow) = allow {
            *place = allow;
        }
        let table = table_of(&self.hosts, &place)?;
        self.exposures.set(Arc::new(self.rules.exposure(table)));
        Ok(changed)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody can take hold of this one any more.
        open.retain(|shared| shared.strong_count() > 0);
    }
}

/// The table of what all event loops offer.
pub fn table_of(hosts: &Hosts, allow: &Allow) -> Result<HandlerTable, CodedError> {
    HandlerTable::new(&hosts.registrations(), allow).map_err(bad_handlers)
}

/// What is wrong with handlers.
pub fn bad_handlers(error: TableError) -> CodedError {
    bad_option(format!("handlers: {error}"))
}
