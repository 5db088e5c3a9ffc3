//! What is decided between two lives of a shard, the same wherever it runs.
//!
//! A panic in the task of one connection, or in the housekeeping, is contained where it happens (`task`, `tick`). What
//! gets here has ended the whole shard: a panic anywhere else, or a descriptor that it cannot do without. Its connections
//! are cut, the backend hears of the calls under way as of those of clients that have left, and the shard begins again
//! with the same letter box and listening socket. When that does not help, the backend is told that it is given up.

use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::limits::{SHARD_RESTART_WINDOW, SHARD_RESTARTS};
use crate::shard::door::accept::Homes;
use crate::shard::door::listener::Listeners;
use crate::shard::life::living::{Ending, Legacy, Life};
use crate::shard::{GIVEN_UP, Setup};

/// What comes after a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: it has stopped, or was given up.
    Over,
    /// Another life.
    Again,
    /// Another life, after `RESTART_PAUSE`: it could not be set up.
    AgainLater,
}

/// See the module. Tells the others, however the shard ends.
pub(super) struct Supervision {
    pub setup: Setup,
    homes: Homes,
    pub legacy: Legacy,
    failures: Vec<Instant>,
}

impl Supervision {
    pub fn new(setup: Setup, listeners: Listeners) -> Self {
        Supervision { setup, homes: Homes::new(listeners), legacy: Legacy::default(), failures: Vec::new() }
    }

    /// Begins a life, on the current thread.
    ///
    /// # Errors
    /// An ending, for [`Self::judge`].
    pub fn begin(&mut self) -> Result<Life, Ending> {
        Life::begin(&self.setup, &self.homes, &mut self.legacy)
    }

    /// What follows an ending.
    pub fn judge(&mut self, ending: &Ending) -> Next {
        let next = match ending {
            Ending::Stopped => return Next::Over,
            Ending::NotBegun(_) => Next::AgainLater,
            Ending::Failed => Next::Again,
            // It holds what the next one would need.
            Ending::Stuck => return self.give_up(),
        };
        self.failures.retain(|failure| failure.elapsed() < SHARD_RESTART_WINDOW);
        if self.failures.len() >= SHARD_RESTARTS {
            return self.give_up();
        }
        self.failures.push(Instant::now());
        self.setup.counters.restarts.add(1);
        self.legacy.open.restarted = true;
        next
    }

    /// Nobody is to wait for it any more: not a client in the backlog, not a sender at a full letter box.
    pub fn give_up(&self) -> Next {
        let setup = &self.setup;
        self.homes.shut();
        if let Some(load) = setup.loads.get(setup.index) {
            load.store(GIVEN_UP, Ordering::Relaxed);
        }
        setup.inbox.close();
        setup.given_up.store(true, Ordering::Relaxed);
        setup.backend.failed(setup.index);
        Next::Over
    }
}

impl Drop for Supervision {
    fn drop(&mut self) {
        if self.setup.index == 0 {
            self.setup.vitals.end_accepting(&self.setup.ports);
        }
        self.setup.vitals.leave();
    }
}
