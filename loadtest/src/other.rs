//! Requests of which each Nth calls another task.

use std::cell::Cell;
use std::rc::Rc;

use crate::options::{Options, Other};
use crate::scenario::Exchange;

/// A request that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// When it began, or was due.
    pub at_ns: u64,
    /// It calls the other task.
    pub other: bool,
}

/// See the module.
pub struct OtherRequest {
    every: u64,
    /// The whole request.
    pub request: Rc<Vec<u8>>,
    /// Requests that were begun.
    begun: Cell<u64>,
}

impl OtherRequest {
    /// Where there is another task.
    pub fn new(options: &Options) -> Option<OtherRequest> {
        let Other { every, task, .. } = options.other.as_ref()?;
        let Exchange { request, .. } = Exchange::new(&Options { task: Some(task.clone()), ..options.clone() });
        Some(OtherRequest { every: *every, request: Rc::new(request), begun: Cell::default() })
    }

    /// A request begins: whether it is of these.
    pub fn is_next(&self) -> bool {
        self.begun.set(self.begun.get() + 1);
        self.begun.get().is_multiple_of(self.every)
    }
}
