//! A shard's thread: runs the shard, and starts it anew when it fails, a bounded number of times.
//!
//! A panic in the task of one connection, or in the housekeeping, is contained where it happens (`task`, `tick`). What
//! gets here has ended the whole shard: a panic anywhere else, or a descriptor that it cannot do without. Its connections
//! are cut, the backend hears of the calls under way as of those of clients that have left, and the shard begins again
//! with the same letter box and listening socket. When that does not help, the backend is told that it is given up.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

use crate::limits::{RESTART_PAUSE, SHARD_RESTART_WINDOW, SHARD_RESTARTS, WIND_DOWN};
use crate::link::batch::CallBatch;
use crate::link::port;
use crate::shard::door::accept::{Acceptors, Homes};
use crate::shard::door::listener::Listeners;
use crate::shard::life::tick::Broken;
use crate::shard::reactor::driver::ShardRuntime;
use crate::shard::reactor::signal::{Signal, set_timer};
use crate::shard::transport::socket::Shutdown;
use crate::shard::{GIVEN_UP, Setup, Shard};

/// What a shard that has failed leaves to the next.
#[derive(Default)]
pub(in crate::shard) struct Legacy {
    /// Generation of its first calls: no answer to a call of before finds one of them.
    pub generation: u32,
    /// What it has not handed over: that its calls are gone, above all.
    pub open: Box<CallBatch>,
}

/// How a shard has ended.
enum Ending {
    /// As it was told to.
    Stopped,
    /// It could not be set up.
    NotBegun(io::Error),
    /// It has failed, and all that it had has ended.
    Failed,
    /// It has failed, and cannot be taken down. Its memory stays, because the kernel may still write into it.
    Stuck,
}

/// Tells the others, however the thread ends.
struct Leaving<'a>(&'a Setup);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if self.0.index == 0 {
            self.0.vitals.end_accepting(&self.0.ports);
        }
        self.0.vitals.leave();
    }
}

/// Runs a shard on the current thread until it is told to stop and everything has ended, or until it is given up.
///
/// `ready` is called once, with the outcome of setting up.
pub(crate) fn supervise(setup: &Setup, listeners: Listeners, ready: impl FnOnce(io::Result<()>)) {
    port::enter_shard_thread();
    let _end = Leaving(setup);
    let homes = Homes::new(listeners);
    let mut ready = Some(ready);
    let mut legacy = Legacy::default();
    let mut failures: Vec<Instant> = Vec::new();
    loop {
        let ending = live(setup, &homes, &mut legacy, &mut ready);
        let begun = ready.is_none();
        match ending {
            Ending::Stopped => return,
            Ending::NotBegun(error) => {
                if let Some(ready) = ready.take() {
                    return ready(Err(error));
                }
                std::thread::sleep(RESTART_PAUSE);
            }
            Ending::Failed if begun => {}
            // Before it was ready, the engine says so; a shard that is stuck holds what the next one would need.
            Ending::Failed | Ending::Stuck => break,
        }
        failures.retain(|failure| failure.elapsed() < SHARD_RESTART_WINDOW);
        if failures.len() >= SHARD_RESTARTS {
            break;
        }
        failures.push(Instant::now());
        setup.counters.restarts.add(1);
        legacy.open.restarted = true;
    }
    // Nobody is to wait for it: not a client in the backlog, not a sender at a full letter box.
    homes.shut();
    if let Some(load) = setup.loads.get(setup.index) {
        load.store(GIVEN_UP, Ordering::Relaxed);
    }
    setup.inbox.close();
    setup.given_up.store(true, Ordering::Relaxed);
    setup.backend.failed(setup.index);
}

/// One life of a shard.
fn live<R: FnOnce(io::Result<()>)>(setup: &Setup, homes: &Homes, legacy: &mut Legacy, ready: &mut Option<R>) -> Ending {
    let mut runtime = match ShardRuntime::build(&setup.driver) {
        Ok(runtime) => runtime,
        Err(error) => return Ending::NotBegun(error),
    };
    let born = RefCell::new(None);
    let run = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let (bell, timer, shard, acceptors) = set_up(setup, homes, legacy)?;
            born.replace(Some(shard.clone()));
            if let Some(ready) = ready.take() {
                ready(Ok(()));
            }
            Ok(shard.run(bell, timer, acceptors).await)
        })
    }));
    match run {
        Ok(Ok(Ok(()))) => return Ending::Stopped,
        Ok(Err(error)) => return Ending::NotBegun(error),
        Ok(Ok(Err(Broken))) => {}
        Err(payload) => {
            setup.counters.panics.add(1);
            // What a panic carries may panic when it is dropped.
            std::mem::forget(payload);
        }
    }
    let Some(shard) = born.take() else { return Ending::Failed };
    let wound_down = catch_unwind(AssertUnwindSafe(|| runtime.block_on(shard.wind_down())));
    match wound_down {
        Ok(true) if shard.told_to_stop() => {
            setup.backend.stopped(setup.index);
            Ending::Stopped
        }
        Ok(true) => {
            *legacy = shard.legacy();
            Ending::Failed
        }
        outcome => {
            std::mem::forget(outcome);
            shard.shut_sockets();
            std::mem::forget(runtime);
            Ending::Stuck
        }
    }
}

/// Registers what the shard waits for with the runtime of the current thread.
fn set_up(setup: &Setup, homes: &Homes, legacy: &mut Legacy) -> io::Result<(Signal, Signal, Rc<Shard>, Acceptors)> {
    let clock = timer()?;
    let bell = Signal::new(&setup.driver, setup.inbox.bell.event().try_clone_to_owned()?)?;
    let signal = Signal::new(&setup.driver, clock.try_clone()?)?;
    let acceptors = Acceptors::new(homes)?;
    let begun = Legacy { generation: legacy.generation, open: std::mem::take(&mut legacy.open) };
    Ok((bell, signal, Shard::new(setup.clone(), clock, begun), acceptors))
}

/// A timer descriptor, disarmed.
fn timer() -> io::Result<OwnedFd> {
    timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).map_err(Into::into)
}

impl Shard {
    /// Ends what is left of a shard that has failed; false when it does not end in time.
    async fn wind_down(self: &Rc<Self>) -> bool {
        self.life.wind_down();
        let Ok(bound) = timer() else { return false };
        let Ok(mut signal) = bound.try_clone().and_then(|bound| Signal::new(&self.driver, bound)) else { return false };
        if set_timer(&bound, WIND_DOWN, Duration::ZERO).is_err() {
            return false;
        }
        // The tick that was broken off has not parked.
        self.pulse.break_off();
        self.cut_all();
        let mut late = pin!(signal.wait());
        let ended = std::future::poll_fn(|cx| {
            self.main_task.remember(cx);
            if self.life.is_empty() { Poll::Ready(true) } else { late.as_mut().poll(cx).map(|_| false) }
        })
        .await;
        if ended {
            // No operation may be in flight when the ring goes.
            let _ = set_timer(&bound, Duration::from_nanos(1), Duration::ZERO);
            let _ = late.await;
        }
        ended
    }

    /// `Stop` has come before it failed, or since.
    fn told_to_stop(&self) -> bool {
        self.life.was_told_to_stop()
    }

    fn legacy(&self) -> Legacy {
        Legacy { generation: self.slots.borrow().next_generation(), open: self.open.take() }
    }

    /// The last resort: whoever is connected, or wants to be, sees the end.
    fn shut_sockets(&self) {
        self.doors.shut();
        for resident in catch_unwind(AssertUnwindSafe(|| self.conns.residents(|_| true))).unwrap_or_default() {
            resident.socket().shutdown(Shutdown::Both);
        }
    }
}
