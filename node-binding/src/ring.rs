//! How JavaScript is woken: through its event loop where that is libuv's, by a threadsafe function elsewhere.

use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Result, Status};

use crate::raw_ring::LoopRing;

/// Weak: listening keeps the process alive through a handle of TypeScript's, which can be unref'd.
type Threadsafe = ThreadsafeFunction<(), (), (), Status, false, true>;

/// Called by the engine's threads.
pub type Wake = Box<dyn Fn() + Send + Sync>;

/// Calls a JavaScript function when other threads say so, until it is dropped. Drop it on the environment's thread, when
/// those threads have ended.
pub enum Ring {
    /// A handle of libuv, which its end closes.
    Loop(LoopRing),
    /// A threadsafe function; the wake-ups share it.
    Threadsafe(Arc<Mutex<Option<Threadsafe>>>),
}

impl Ring {
    /// A ring for `callback`, and what rings it. `by_loop`: through libuv, if the process has it.
    ///
    /// # Errors
    /// What Node-API refuses.
    pub fn new(env: &Env, callback: &Function<'_, (), ()>, by_loop: bool) -> Result<(Self, Wake)> {
        let ring = if by_loop { LoopRing::new(env, callback)? } else { None };
        if let Some(ring) = ring {
            let ringer = ring.ringer();
            return Ok((Ring::Loop(ring), Box::new(move || ringer.ring())));
        }
        let ring = callback.build_threadsafe_function::<()>().weak::<true>().build()?;
        let ring = Arc::new(Mutex::new(Some(ring)));
        let bell = ring.clone();
        let wake = move || {
            if let Some(ring) = &*bell.lock().unwrap_or_else(PoisonError::into_inner) {
                ring.call((), ThreadsafeFunctionCallMode::NonBlocking);
            }
        };
        Ok((Ring::Threadsafe(ring), Box::new(wake)))
    }

    /// Calls the function now, on the environment's thread, outside of JavaScript. Only what libuv wakes can do that.
    pub fn enter(&self) {
        if let Ring::Loop(ring) = self {
            ring.enter();
        }
    }

    /// It is libuv that wakes.
    pub fn is_loop(&self) -> bool {
        matches!(self, Ring::Loop(_))
    }

    /// As in `stats()`.
    pub fn name(&self) -> &'static str {
        match self {
            Ring::Loop(_) => "loop",
            Ring::Threadsafe(_) => "threadsafe",
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if let Ring::Threadsafe(ring) = self {
            ring.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}
