//! One life of a shard: from its setting up to its end, whether a thread waits for it or another loop turns it.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

use crate::limits::WIND_DOWN;
use crate::link::batch::CallBatch;
use crate::shard::door::accept::{Acceptors, Homes};
use crate::shard::life::tick::Broken;
use crate::shard::reactor::driver::ShardRuntime;
use crate::shard::reactor::signal::{Signal, set_timer};
use crate::shard::transport::socket::Shutdown;
use crate::shard::{Setup, Shard};

/// What a shard that has failed leaves to the next.
#[derive(Default)]
pub(in crate::shard) struct Legacy {
    /// Generation of its first calls: no answer to a call of before finds one of them.
    pub generation: u32,
    /// What it has not handed over: that its calls are gone, above all.
    pub open: Box<CallBatch>,
}

/// How a life has ended.
pub(super) enum Ending {
    /// As the shard was told to.
    Stopped,
    /// It could not be set up.
    NotBegun(io::Error),
    /// It has failed, and all that it had has ended.
    Failed,
    /// It has failed, and cannot be taken down. Its memory stays, because the kernel may still write into it.
    Stuck,
}

/// What the main future has come to.
pub(super) enum Over {
    /// The shard was told to stop, and everything has ended.
    Stopped,
    /// A task has ended that the shard cannot do without.
    Broken,
    /// What was left of a shard that has failed has ended, or has not in time.
    WoundDown(bool),
}

pub(super) type Main = Pin<Box<dyn Future<Output = Over>>>;

/// See the module. Stays on its thread.
pub(super) struct Life {
    pub shard: Rc<Shard>,
    /// `None` only between two.
    main: Option<Main>,
    winding_down: bool,
    pub runtime: ShardRuntime,
}

impl Life {
    /// Sets a shard up on the current thread.
    ///
    /// # Errors
    /// An ending: it could not be set up, or that has panicked.
    pub fn begin(setup: &Setup, homes: &Homes, legacy: &mut Legacy) -> Result<Self, Ending> {
        let mut runtime = ShardRuntime::build(&setup.driver).map_err(Ending::NotBegun)?;
        let begun = contain(setup, || runtime.block_on(async { set_up(setup, homes, legacy) }));
        let (bell, timer, shard, acceptors) = begun.ok_or(Ending::Failed)?.map_err(Ending::NotBegun)?;
        let own = shard.clone();
        let main: Main = Box::pin(async move {
            match own.run(bell, timer, acceptors).await {
                Ok(()) => Over::Stopped,
                Err(Broken) => Over::Broken,
            }
        });
        Ok(Life { shard, main: Some(main), winding_down: false, runtime })
    }

    /// Goes on, by `drive`, which gives what the main future has come to, or nothing when it waits. Gives the ending, when
    /// there is one.
    pub fn go_on(
        &mut self,
        setup: &Setup,
        legacy: &mut Legacy,
        mut drive: impl FnMut(&mut ShardRuntime, &Shard, &mut Main) -> Option<Over>,
    ) -> Option<Ending> {
        loop {
            let Life { shard, main, winding_down, runtime } = self;
            let main = main.as_mut()?;
            let shard = &**shard;
            let step = catch_unwind(AssertUnwindSafe(|| drive(runtime, shard, main)));
            match step {
                Ok(None) => return None,
                Ok(Some(Over::Stopped)) => return Some(Ending::Stopped),
                Ok(Some(Over::WoundDown(true))) if shard.told_to_stop() => {
                    setup.backend.stopped(setup.index);
                    return Some(Ending::Stopped);
                }
                Ok(Some(Over::WoundDown(true))) => {
                    *legacy = shard.legacy();
                    return Some(Ending::Failed);
                }
                Ok(Some(Over::WoundDown(false))) => return Some(Ending::Stuck),
                Ok(Some(Over::Broken)) => self.wind_down(),
                Err(payload) => {
                    // What a panic carries may panic when it is dropped.
                    std::mem::forget(payload);
                    if *winding_down {
                        return Some(Ending::Stuck);
                    }
                    setup.counters.panics.add(1);
                    self.wind_down();
                }
            }
        }
    }

    /// What is left of it has to end now.
    fn wind_down(&mut self) {
        self.winding_down = true;
        let (shard, before) = (self.shard.clone(), self.main.take());
        self.main = Some(Box::pin(async move {
            // Here, where the runtime is that it belongs to.
            drop(before);
            Over::WoundDown(shard.wind_down().await)
        }));
    }

    /// Lets go of what cannot be taken down.
    pub fn abandon(self) {
        self.shard.shut_sockets();
        // Its callers have others to call.
        if let Ok(mut slots) = self.shard.slots.try_borrow_mut() {
            slots.give_back();
        }
        std::mem::forget(self.main);
        std::mem::forget(self.runtime);
    }
}

/// Runs `work`; `None` when it has panicked.
fn contain<T>(setup: &Setup, work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|payload| {
            setup.counters.panics.add(1);
            std::mem::forget(payload);
        })
        .ok()
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
pub(super) fn timer() -> io::Result<OwnedFd> {
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
            self.note_step();
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
