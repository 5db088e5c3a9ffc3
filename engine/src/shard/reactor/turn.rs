//! Turning a runtime without waiting, from a loop of somebody else's.
//!
//! `block_on` runs tasks, polls the main future if that was woken, and then, with tasks left to run, submits to the driver
//! and takes from it what has completed; only without any does it wait. So a turn is the `block_on` of a future that keeps
//! a task ready to run until nothing happens any more. That task must be another: a task that wakes itself goes to the
//! front of monoio's queue, before all others (0.2.4). The [`Echo`] goes to its back, and wakes the future in return.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::limits::{INLINE_GATHERS, INLINE_ROUNDS, INLINE_TURN};
use crate::shard::reactor::driver::ShardRuntime;
use crate::shard::reactor::waiters::Waiter;

/// The task that keeps a turn going. Ends with this.
pub(in crate::shard) struct Echo(Rc<State>);

#[derive(Default)]
struct State {
    task: RefCell<Option<Waker>>,
    turn: Waiter,
}

impl Echo {
    /// Spawns it on a runtime.
    pub fn new(runtime: &mut ShardRuntime) -> Self {
        let state = Rc::<State>::default();
        let echo = Echo(state.clone());
        runtime.block_on(async move {
            monoio::spawn(std::future::poll_fn(move |cx| {
                state.task.replace(Some(cx.waker().clone()));
                state.turn.wake();
                Poll::<()>::Pending
            }));
        });
        echo
    }

    /// The turn is polled again when everything that is ready to run now has run, and the driver was asked.
    fn call(&self, cx: &Context<'_>) {
        self.0.turn.remember(cx);
        // Before its first run it is in the queue anyhow.
        if let Some(task) = self.0.task.borrow().as_ref() {
            task.wake_by_ref();
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It holds its own waker, and so itself.
        let task = self.0.task.take();
        drop(task);
    }
}

/// How a turn has ended.
pub(in crate::shard) enum Turn<T> {
    /// The main future is done.
    Over(T),
    /// Nothing is left to do, and the kernel has all that was asked of it: it tells when there is more.
    Idle,
    /// There is more to do, and the kernel may not have been told all. Whoever waits before the next turn waits too long.
    More,
}

/// Turns a runtime until nothing happens any more, for [`INLINE_ROUNDS`] rounds, or for [`INLINE_GATHERS`] since there is
/// `enough` to see to elsewhere. `steps` counts the runs of tasks that may ask something of the kernel.
pub(in crate::shard) fn turn<T>(
    runtime: &mut ShardRuntime,
    echo: &Echo,
    mut main: Pin<&mut dyn Future<Output = T>>,
    steps: &Cell<u64>,
    enough: impl Fn() -> bool,
) -> Turn<T> {
    let begun = Instant::now();
    let (mut rounds, mut gathers, mut seen) = (0, 0, 0);
    runtime.block_on(std::future::poll_fn(|cx| {
        if let Poll::Ready(outcome) = main.as_mut().poll(cx) {
            return Poll::Ready(Turn::Over(outcome));
        }
        // The driver was asked, and nothing has come of it: nor is there anything that it was not told.
        if rounds > 0 && steps.get() == seen {
            return Poll::Ready(Turn::Idle);
        }
        gathers += usize::from(enough());
        let over = gathers > INLINE_GATHERS || rounds >= INLINE_ROUNDS;
        if over || (rounds > 1 && begun.elapsed() >= INLINE_TURN) {
            return Poll::Ready(Turn::More);
        }
        rounds += 1;
        seen = steps.get();
        echo.call(cx);
        Poll::Pending
    }))
}

/// Runs what is ready, and asks the driver, so many times.
pub(in crate::shard) fn rounds(runtime: &mut ShardRuntime, echo: &Echo, mut count: usize) {
    runtime.block_on(std::future::poll_fn(|cx| {
        if count == 0 {
            return Poll::Ready(());
        }
        count -= 1;
        echo.call(cx);
        Poll::Pending
    }));
}
