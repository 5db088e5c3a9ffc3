//! The tick as others see it: whether one is to follow, and who waits for it, or for the timer.

use std::cell::Cell;
use std::task::{Context, Waker};

use crate::shard::reactor::waiters::{Waiter, Waiters};

/// See the module.
#[derive(Debug, Default)]
pub(in crate::shard) struct Pulse {
    ticking: Cell<bool>,
    tick_task: Waiter,
    after_tick: Waiters,
    after_timer: Waiters,
}

impl Pulse {
    /// A tick is to follow; false when that is known.
    #[inline]
    pub fn begin(&self) -> bool {
        !self.ticking.replace(true)
    }

    /// True when a tick is to follow.
    pub fn is_begun(&self) -> bool {
        self.ticking.get()
    }

    /// The tick was broken off: the next does not follow by itself.
    pub fn break_off(&self) {
        self.ticking.set(false);
    }

    /// The tick is over: those who have waited for it go on.
    pub fn end(&self) {
        self.ticking.set(false);
        self.after_tick.wake_all();
    }

    /// The current task is the one that ticks.
    pub fn remember(&self, cx: &Context<'_>) {
        self.tick_task.remember(cx);
    }

    #[inline]
    pub fn wake_task(&self) {
        self.tick_task.wake();
    }

    /// Wakes a task after the next tick.
    pub fn push(&self, waker: Waker) {
        self.after_tick.push(waker);
    }

    /// Completes after the next tick; `begin` makes sure that there is one.
    pub async fn next_tick(&self, begin: impl Fn()) {
        self.after_tick.wait(begin).await;
    }

    /// Completes at the next turn of the timer; `begin` makes sure that it runs.
    pub async fn next_timer(&self, begin: impl Fn()) {
        self.after_timer.wait(begin).await;
    }

    /// The timer has had its turn.
    pub fn end_timer(&self) {
        self.after_timer.wake_all();
    }

    /// There is no further tick, nor a turn of the timer: whoever waits goes on.
    pub fn end_all(&self) {
        self.tick_task.wake();
        self.after_tick.wake_all();
        self.after_timer.wake_all();
    }
}
