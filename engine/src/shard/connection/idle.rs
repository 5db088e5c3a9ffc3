//! Connections that nobody uses: they give their buffers back, and the shard what it does not need any more.

use std::cell::Cell;

use crate::limits::{HELD_READS, RELEASE_AFTER_CONNECTIONS};

/// How many connections have come to rest, or have gone, since memory was last given back.
#[derive(Debug)]
pub(in crate::shard) struct Spell {
    rested: Cell<usize>,
    /// At the last turn of the timer.
    seen: Cell<usize>,
    /// Gives the memory that nobody uses back to the system.
    release: fn(),
}

impl Spell {
    pub fn new(release: fn()) -> Self {
        Spell { rested: Cell::default(), seen: Cell::default(), release }
    }

    pub fn note(&self) {
        self.rested.set(self.rested.get() + 1);
    }

    /// Many have: memory is given back at the next turn of the timer at which no more do.
    pub fn is_long(&self) -> bool {
        self.rested.get() >= RELEASE_AFTER_CONNECTIONS
    }

    /// A turn of the timer: once many connections have come to rest, and no more do, the memory that they had goes back.
    pub fn turn(&self) {
        if self.is_long() && self.seen.replace(self.rested.get()) == self.rested.get() {
            self.rested.set(0);
            (self.release)();
        }
    }
}

/// Counts who holds a read, see [`HELD_READS`].
#[derive(Debug, Default)]
pub(in crate::shard) struct HeldReads(Cell<usize>);

/// Gives the place back when it is dropped.
pub(in crate::shard) struct HeldRead<'a>(&'a HeldReads);

impl HeldReads {
    /// A place, if there is one.
    pub fn take(&self) -> Option<HeldRead<'_>> {
        (self.0.get() < HELD_READS).then(|| {
            self.0.set(self.0.get() + 1);
            HeldRead(self)
        })
    }
}

impl Drop for HeldRead<'_> {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn memory_is_given_back_once_when_many_have_come_to_rest_and_no_more_do() {
        static RELEASED: AtomicUsize = AtomicUsize::new(0);
        let spell = Spell::new(|| {
            RELEASED.fetch_add(1, Ordering::Relaxed);
        });
        let turn = || {
            spell.turn();
            RELEASED.load(Ordering::Relaxed)
        };
        (1..RELEASE_AFTER_CONNECTIONS).for_each(|_| spell.note());
        assert_eq!([turn(), turn()], [0, 0], "too few");
        spell.note();
        assert_eq!(turn(), 0, "more may come");
        spell.note();
        assert_eq!(turn(), 0, "one has");
        assert_eq!([turn(), turn()], [1, 1]);
        assert!(!spell.is_long());
    }
}
