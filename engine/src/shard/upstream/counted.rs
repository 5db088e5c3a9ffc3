//! What counts for a bound until it is dropped.

use std::cell::Cell;
use std::rc::Rc;

/// A connection.
pub(in crate::shard) struct Counted(Rc<Cell<usize>>);

impl Counted {
    /// One more of those.
    pub fn new(of: Rc<Cell<usize>>) -> Self {
        of.set(of.get() + 1);
        Counted(of)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A stream, which counts among those of its connection, and has that counted as well.
pub(in crate::shard) struct Place {
    _stream: Counted,
    _connection: Rc<Counted>,
}

impl Place {
    pub fn new(streams: Rc<Cell<usize>>, connection: Rc<Counted>) -> Self {
        Place { _stream: Counted::new(streams), _connection: connection }
    }
}
