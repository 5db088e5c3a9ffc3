//! The streams of a connection that has several.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Context;

use slab::Slab;

use crate::shard::reactor::waiters::Waiter;

/// See the module. `T` is what a stream is to its shard.
pub(super) struct Carried<T> {
    /// There may be some: the connection speaks HTTP/2.
    begun: Cell<bool>,
    all: RefCell<Slab<Rc<T>>>,
    /// The task of the connection.
    waiter: Waiter,
}

impl<T> Default for Carried<T> {
    fn default() -> Self {
        Carried { begun: Cell::default(), all: RefCell::default(), waiter: Waiter::default() }
    }
}

impl<T> Carried<T> {
    pub fn begin(&self) {
        self.begun.set(true);
    }

    pub fn has_begun(&self) -> bool {
        self.begun.get()
    }

    pub fn enter(&self, stream: Rc<T>) -> u32 {
        self.all.borrow_mut().insert(stream) as u32
    }

    pub fn leave(&self, number: u32) {
        self.all.borrow_mut().try_remove(number as usize);
    }

    pub fn len(&self) -> usize {
        self.all.borrow().len()
    }

    /// One of them is such.
    pub fn any(&self, is: impl Fn(&T) -> bool) -> bool {
        self.all.borrow().iter().any(|(_, stream)| is(stream))
    }

    /// Does something with each; with those that there were when this was asked.
    pub fn each(&self, work: impl Fn(&T)) {
        let all: Vec<_> = self.all.borrow().iter().map(|(_, stream)| stream.clone()).collect();
        all.iter().for_each(|stream| work(stream));
    }

    /// The task of the connection waits for whatever is asked of it.
    pub fn remember(&self, cx: &Context<'_>) {
        self.waiter.remember(cx);
    }

    /// Something is.
    pub fn wake(&self) {
        self.waiter.wake();
    }
}
