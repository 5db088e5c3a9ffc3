//! The handshakes under way in a shard, in their order. A bounded number: more would cost memory, and whoever opens them
//! nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// See the module. `T` is whoever shakes hands.
pub(in crate::shard) struct Handshakes<T> {
    most: usize,
    next: Cell<u64>,
    under_way: RefCell<BTreeMap<u64, T>>,
}

/// A handshake under way, until this is dropped.
pub(in crate::shard) struct Place<'a, T> {
    handshakes: &'a Handshakes<T>,
    number: u64,
}

impl<T> Handshakes<T> {
    /// At most so many; at least one.
    pub fn new(most: usize) -> Self {
        Handshakes { most: most.max(1), next: Cell::default(), under_way: RefCell::default() }
    }

    /// One begins. When there are too many, the oldest has to give way, and is under way no longer.
    pub fn begin(&self, who: T) -> (Place<'_, T>, Option<T>) {
        let mut under_way = self.under_way.borrow_mut();
        let oldest = if under_way.len() < self.most { None } else { under_way.pop_first().map(|(_, oldest)| oldest) };
        let number = self.next.get();
        self.next.set(number + 1);
        under_way.insert(number, who);
        (Place { handshakes: self, number }, oldest)
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        self.handshakes.under_way.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_too_many_gives_way_and_who_is_done_makes_room() {
        let handshakes = Handshakes::new(2);
        let (first, none) = handshakes.begin('a');
        let (second, still_none) = handshakes.begin('b');
        assert_eq!([none, still_none], [None, None]);
        let (_third, oldest) = handshakes.begin('c');
        assert_eq!(oldest, Some('a'));
        drop(second);
        let (_fourth, oldest) = handshakes.begin('d');
        assert_eq!(oldest, None);
        // It has given way already, and makes no room.
        drop(first);
        let (_fifth, oldest) = handshakes.begin('e');
        assert_eq!(oldest, Some('c'));
    }
}
