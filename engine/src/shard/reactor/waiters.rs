//! Tasks that wait to be woken by the shard.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};

/// Those that wait for the next of something.
#[derive(Debug, Default)]
pub(in crate::shard) struct Waiters(RefCell<Vec<Waker>>);

impl Waiters {
    pub fn push(&self, waker: Waker) {
        self.0.borrow_mut().push(waker);
    }

    pub fn wake_all(&self) {
        for waker in self.0.borrow_mut().drain(..) {
            waker.wake();
        }
    }

    /// Completes when all are woken next. `begin` makes sure that they are.
    pub async fn wait(&self, begin: impl Fn()) {
        let asked = Cell::new(false);
        std::future::poll_fn(|cx| {
            if asked.replace(true) {
                return Poll::Ready(());
            }
            self.push(cx.waker().clone());
            begin();
            Poll::Pending
        })
        .await;
    }
}

/// The one task that waits at a place.
#[derive(Debug, Default)]
pub(in crate::shard) struct Waiter(RefCell<Option<Waker>>);

impl Waiter {
    pub fn remember(&self, cx: &Context<'_>) {
        self.0.replace(Some(cx.waker().clone()));
    }

    #[inline]
    pub fn wake(&self) {
        if let Some(waker) = self.0.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}
