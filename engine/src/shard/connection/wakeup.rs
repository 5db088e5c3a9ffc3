//! Waking the task of a connection, but not while it runs.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

/// See the module.
#[derive(Debug, Default)]
pub(in crate::shard) struct Wakeup {
    waker: RefCell<Option<Waker>>,
    turn: Cell<Turn>,
}

/// What the task does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    /// It waits to be woken.
    #[default]
    Over,
    Runs,
    /// It runs, and was woken.
    Again,
}

impl Wakeup {
    /// The task runs: the reader first, then the writer, which looks at the queue anyhow. Called before each of them.
    pub fn begin_turn(&self) {
        self.turn.set(Turn::Runs);
    }

    /// The task has run; true when it was woken by its own writer.
    pub fn end_turn(&self) -> bool {
        self.turn.replace(Turn::Over) == Turn::Again
    }

    /// Makes the task look again. One that runs must not wake itself, because it would run again before all others, and
    /// again, as long as there is something to read.
    pub fn wake(&self) {
        if self.turn.get() != Turn::Over {
            return self.turn.set(Turn::Again);
        }
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// What `wake` wakes.
    pub fn remember(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_task_that_runs_is_not_woken_but_told_to_go_on() {
        let (wakeup, count) = (Wakeup::default(), Arc::<Count>::default());
        let woken = || count.0.load(Ordering::Relaxed);
        wakeup.wake();
        let waker = Waker::from(count.clone());
        wakeup.remember(&Context::from_waker(&waker));
        wakeup.wake();
        assert_eq!(woken(), 1);
        wakeup.begin_turn();
        wakeup.wake();
        // The writer's turn begins: it sees what the reader was woken for.
        wakeup.begin_turn();
        assert!(!wakeup.end_turn());
        wakeup.begin_turn();
        wakeup.wake();
        assert_eq!((wakeup.end_turn(), woken()), (true, 1));
        wakeup.wake();
        assert_eq!((wakeup.end_turn(), woken()), (false, 2));
    }
}
