//! What JavaScript asks of a tunnel that runs.

use std::os::fd::IntoRawFd;
use std::time::Duration;

use fasttunnel_engine::link::beat::Beat;
use fasttunnel_engine::tunnel::target::Destination;
use fasttunnel_engine::{ConnectError, Engine};
use napi_derive::napi;

use super::NativeTunnel;
use crate::options::{CodedError, NativeAllow, NativeHandler, bad_option, offers};
use crate::shared::bad_handlers;
use crate::start_error::{connect_error, start_error};
use crate::tls::NativeTls;

#[napi]
impl NativeTunnel {
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

    /// Goes on with the access log in this file, which is opened to be appended to.
    #[napi(catch_unwind)]
    pub fn reopen_log(&self, path: String) -> Result<(), CodedError> {
        let mut outcome = Ok(());
        self.with_engine(|engine| outcome = engine.reopen_log(path.as_ref()));
        outcome.map_err(|error| start_error(&error))
    }
}
