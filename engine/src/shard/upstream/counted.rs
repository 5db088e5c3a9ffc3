//! What counts for a bound until it is dropped.

use std::cell::Cell;
use std::rc::Rc;

/// A connection: among those of its context, and among all.
pub(in crate::shard) struct Counted {
    _of_context: One,
    _of_all: One,
}

impl Counted {
    pub fn new(of_context: Rc<Cell<usize>>, of_all: Rc<Cell<usize>>) -> Self {
        Counted { _of_context: One::new(of_context), _of_all: One::new(of_all) }
    }
}

struct One(Rc<Cell<usize>>);

impl One {
    /// One more of those.
    fn new(of: Rc<Cell<usize>>) -> Self {
        of.set(of.get() + 1);
        One(of)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A stream, which counts among those of its connection, and has that counted as well.
pub(in crate::shard) struct Place {
    _stream: One,
    _connection: Rc<Counted>,
}

impl Place {
    pub fn new(streams: Rc<Cell<usize>>, connection: Rc<Counted>) -> Self {
        Place { _stream: One::new(streams), _connection: connection }
    }
}
