//! Connections that nobody uses: they give their buffers back, and the shard what it does not need any more.

use std::cell::Cell;

use crate::limits::{HELD_READS, RELEASE_AFTER_CONNECTIONS};
use crate::shard::Shard;

/// How many connections have come to rest, or have gone, since memory was last given back.
#[derive(Debug, Default)]
pub(in crate::shard) struct Spell {
    rested: Cell<usize>,
    /// At the last turn of the timer.
    seen: Cell<usize>,
}

impl Spell {
    pub fn note(&self) {
        self.rested.set(self.rested.get() + 1);
    }

    /// Many have: memory is given back at the next turn of the timer at which no more do.
    pub fn is_long(&self) -> bool {
        self.rested.get() >= RELEASE_AFTER_CONNECTIONS
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

impl Shard {
    /// Once many connections have come to rest, and no more do, the memory that they had goes back to the system.
    pub(in crate::shard) fn release_spell(&self) {
        let Spell { rested, seen } = &self.spell;
        if !self.spell.is_long() || seen.replace(rested.get()) != rested.get() {
            return;
        }
        rested.set(0);
        (self.release_memory)();
    }
}
