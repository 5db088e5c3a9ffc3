//! Batches that have come and that the host has no time for yet.
//!
//! They are taken from the queue early, because what comes behind a call may say that its client has left.

use std::collections::VecDeque;

use crate::limits::BACKLOG_BATCHES;
use crate::link::batch::{CallBatch, CallKey};

/// See the module.
#[derive(Debug)]
pub(super) struct Backlog {
    batches: VecDeque<(u32, Box<CallBatch>)>,
    /// Calls in them.
    calls: usize,
    /// By shard and slot, one more than the generation of the last call that is not to be run; 0 for none. Those before it
    /// in its slot are not either: the slot was free again, and not because they were answered.
    departed: Vec<Vec<u32>>,
    any_departed: bool,
}

impl Backlog {
    /// Nothing waits.
    pub fn new(shards: usize) -> Self {
        Backlog { batches: VecDeque::new(), calls: 0, departed: vec![Vec::new(); shards], any_departed: false }
    }

    /// Calls that wait, those of clients that have left included.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// True when no batch waits.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// True when no more batches are to be taken early.
    pub fn is_full(&self) -> bool {
        self.batches.len() >= BACKLOG_BATCHES
    }

    /// The batch that waits longest.
    pub fn first(&self) -> Option<&CallBatch> {
        self.batches.front().map(|(_, batch)| &**batch)
    }

    /// Puts a batch behind the others.
    pub fn push(&mut self, shard: u32, batch: Box<CallBatch>) {
        self.calls += batch.records.len();
        self.batches.push_back((shard, batch));
    }

    /// Takes the batch that waits longest, and its shard.
    pub fn pop(&mut self) -> Option<(u32, Box<CallBatch>)> {
        let (shard, batch) = self.batches.pop_front()?;
        self.calls -= batch.records.len();
        Some((shard, batch))
    }

    /// Nobody waits for this call any more: should it be here, it is not to be run.
    pub fn depart(&mut self, shard: usize, key: CallKey) {
        let Some(slots) = self.departed.get_mut(shard) else { return };
        let slot = key.slot as usize;
        if slots.len() <= slot {
            slots.resize(slot + 1, 0);
        }
        slots[slot] = key.generation.wrapping_add(1);
        self.any_departed = true;
    }

    /// Nothing waits: whoever has left was not waiting here.
    pub fn forget_departed(&mut self) {
        if std::mem::take(&mut self.any_departed) {
            // Generations begin again some day, and must find no old ones.
            self.departed.iter_mut().for_each(|slots| slots.fill(0));
        }
    }

    /// True when nobody waits for this call any more.
    #[inline]
    pub fn has_departed(&self, shard: u32, key: CallKey) -> bool {
        self.any_departed && self.is_noted(shard, key)
    }

    fn is_noted(&self, shard: u32, key: CallKey) -> bool {
        let noted = self.departed.get(shard as usize).and_then(|slots| slots.get(key.slot as usize));
        noted.is_some_and(|after| *after != 0 && after.wrapping_sub(key.generation).wrapping_sub(1) < u32::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_departed_call_is_told_from_the_next_in_its_slot() {
        let mut backlog = Backlog::new(2);
        let key = |slot, generation| CallKey { slot, generation };
        backlog.depart(1, key(7, 3));
        assert!(backlog.has_departed(1, key(7, 3)));
        for (shard, other) in [(0, key(7, 3)), (1, key(7, 4)), (1, key(6, 3)), (1, key(8, 3)), (9, key(7, 3))] {
            assert!(!backlog.has_departed(shard, other), "{shard} {other:?}");
        }
        backlog.forget_departed();
        backlog.depart(0, key(0, 0));
        assert!(!backlog.has_departed(1, key(7, 3)) && backlog.has_departed(0, key(0, 0)));
        backlog.depart(9, key(0, 0));
    }

    /// The first of them used to be run, and to be told of nobody's leaving: an answer that streams waited for ever.
    #[test]
    fn calls_that_depart_from_the_same_slot_are_all_remembered() {
        let mut backlog = Backlog::new(1);
        let key = |generation| CallKey { slot: 7, generation };
        for generation in [u32::MAX - 2, u32::MAX, 0, 1] {
            backlog.depart(0, key(generation));
        }
        for generation in [u32::MAX - 2, u32::MAX - 1, u32::MAX, 0, 1] {
            assert!(backlog.has_departed(0, key(generation)), "{generation}");
        }
        assert!(!backlog.has_departed(0, key(2)) && !backlog.has_departed(0, key(3)));
    }
}
