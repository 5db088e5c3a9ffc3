//! What a shard knows of its accept loops, each of which lets connections in for one service.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use crate::shard::door::watch::Closer;
use crate::shard::service::Service;

/// One accept loop.
pub(in crate::shard) struct Door {
    pub service: &'static Service,
    /// Set while the loop runs.
    pub(super) closer: RefCell<Option<Closer>>,
    pub(super) waker: RefCell<Option<Waker>>,
    closing: Cell<bool>,
}

impl Door {
    pub fn of(service: &'static Service) -> Self {
        Door { service, closer: RefCell::default(), waker: RefCell::default(), closing: Cell::default() }
    }

    /// Nobody further is let in. The loop ends soon; the address is free then.
    fn close(&self) {
        self.closing.set(true);
        self.wake();
    }

    pub fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Makes the loop look again.
    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn is_open(&self) -> bool {
        self.closer.borrow().is_some()
    }

    /// Ends the listening at once, whatever becomes of the loop. A socket that others have, too, is left to them.
    pub fn shut(&self) {
        if let Some(closer) = self.closer.borrow().as_ref() {
            closer.close();
        }
    }
}

/// The doors of which a stop closes first those that let load in, and last those that do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Side {
    Load,
    Apart,
}

/// All doors of a shard.
#[derive(Default)]
pub(in crate::shard) struct Doors(RefCell<Vec<Rc<Door>>>);

impl Doors {
    pub fn add(&self, door: Rc<Door>) {
        self.0.borrow_mut().push(door);
    }

    /// Nobody further is let in on this side.
    pub fn close(&self, side: Side) {
        self.each(|door| {
            if door.service.is_load == (side == Side::Load) {
                door.close();
            }
        });
    }

    /// True while an accept loop of this side runs.
    pub fn is_open(&self, side: Side) -> bool {
        self.0.borrow().iter().any(|door| door.service.is_load == (side == Side::Load) && door.is_open())
    }

    /// Makes all loops look again.
    pub fn wake(&self) {
        self.each(Door::wake);
    }

    /// Ends all listening at once.
    pub fn shut(&self) {
        self.each(Door::shut);
    }

    fn each(&self, act: impl FnMut(&Door)) {
        self.0.borrow().iter().map(Rc::as_ref).for_each(act);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::shard::service::admin::ADMIN;
    use crate::shard::service::tunnel::TUNNEL;

    #[test]
    fn the_doors_of_load_close_apart_from_the_others() {
        let doors = Doors::default();
        assert!(!doors.is_open(Side::Load) && !doors.is_open(Side::Apart));
        let all = [&TUNNEL, &ADMIN].map(|service| Rc::new(Door::of(service)));
        all.iter().for_each(|door| doors.add(door.clone()));
        for door in &all {
            door.closer.replace(Some(Closer::Leave(std::fs::File::open("/dev/null").unwrap().into())));
        }
        let is_closing = || all.each_ref().map(|door| door.is_closing());
        doors.close(Side::Load);
        assert_eq!(is_closing(), [true, false]);
        // It is open until its loop has ended.
        assert!(doors.is_open(Side::Load) && doors.is_open(Side::Apart));
        all[0].closer.take();
        assert!(!doors.is_open(Side::Load) && doors.is_open(Side::Apart));
        doors.close(Side::Apart);
        assert_eq!(is_closing(), [true, true]);
    }
}
