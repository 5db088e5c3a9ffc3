//! The slot table: one slot per call under way, found again by index and generation.

use crate::link::batch::CallKey;
use crate::link::gate::Permit;
use crate::shard::exchange::own_fields::{KeptFields, OwnFields};
use crate::shard::exchange::sink::Place;

/// What a shard has to remember of a call until its answer comes.
#[derive(Debug, Default)]
pub(in crate::shard) struct Slot {
    generation: u32,
    used: bool,
    /// Who waits.
    pub place: Place,
    own: KeptFields,
    /// No call, but a request that the backend is asked about.
    pub ask: bool,
    /// The client speaks HTTP/1.0.
    pub old: bool,
    /// The head of a streamed answer is written.
    pub opened: bool,
    /// Its body or its answer streams.
    stream: bool,
    /// What gates have given for it, until it is over.
    permits: Vec<Permit>,
    /// When the call counts as timed out, in shard milliseconds; `u64::MAX` for never.
    pub deadline_ms: u64,
}

impl Slot {
    /// The fields of the answer that depend on the request.
    pub fn own(&self) -> OwnFields<'_> {
        self.own.get()
    }

    /// True when its body or its answer streams.
    pub fn streams(&self) -> bool {
        self.stream
    }
}

/// All calls under way of one shard. Slots are reused, so the steady state does not allocate.
#[derive(Debug)]
pub(in crate::shard) struct SlotTable {
    slots: Vec<Slot>,
    free: Vec<u32>,
    max: usize,
    streams: usize,
    /// Generation of a slot that is new.
    first: u32,
}

impl SlotTable {
    /// A table that holds at most `max` calls. Its keys are of generation `first` and later.
    pub fn new(max: usize, first: u32) -> Self {
        SlotTable { slots: Vec::new(), free: Vec::new(), max, streams: 0, first }
    }

    /// A generation of which this table has given out no key: late answers to its calls find nothing in a table that
    /// begins with it.
    pub fn next_generation(&self) -> u32 {
        self.slots.iter().map(|slot| slot.generation).fold(self.first, u32::max).wrapping_add(1)
    }

    /// Calls under way.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Those of them whose body or answer streams.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// Holds what gates have given for this call.
    pub fn hold(&mut self, key: CallKey, permits: Vec<Permit>) {
        if let Some(slot) = self.get_mut(key) {
            slot.permits = permits;
        }
    }

    /// Nothing more becomes of any call: what gates have given for them goes back, though the table stays.
    pub fn give_back(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.permits.clear());
    }

    /// The body or the answer of this call streams.
    pub fn mark_stream(&mut self, key: CallKey) {
        if let Some(slot) = self.get_mut(key)
            && !std::mem::replace(&mut slot.stream, true)
        {
            self.streams += 1;
        }
    }

    /// Takes a slot; `None` when `max` calls are under way (the caller answers 503).
    pub fn take(&mut self, place: Place, own: OwnFields<'_>, deadline_ms: u64) -> Option<CallKey> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() < self.max => {
                self.slots.push(Slot { generation: self.first, ..Slot::default() });
                (self.slots.len() - 1) as u32
            }
            None => return None,
        };
        let slot = self.slots.get_mut(index as usize)?;
        slot.used = true;
        slot.place = place;
        slot.deadline_ms = deadline_ms;
        slot.ask = false;
        slot.old = false;
        slot.opened = false;
        slot.own.keep(own);
        Some(CallKey { slot: index, generation: slot.generation })
    }

    /// The call that `key` names, unless it is over.
    pub fn get(&self, key: CallKey) -> Option<&Slot> {
        self.slots.get(key.slot as usize).filter(|slot| slot.used && slot.generation == key.generation)
    }

    /// The call of this key, to add to what `take` has noted.
    pub fn get_mut(&mut self, key: CallKey) -> Option<&mut Slot> {
        self.slots.get_mut(key.slot as usize).filter(|slot| slot.used && slot.generation == key.generation)
    }

    /// Ends the call that `key` names; false when it was over already.
    pub fn release(&mut self, key: CallKey) -> bool {
        match self.slots.get_mut(key.slot as usize) {
            Some(slot) if slot.used && slot.generation == key.generation => {
                slot.used = false;
                slot.permits.clear();
                self.streams -= usize::from(std::mem::take(&mut slot.stream));
                slot.generation = slot.generation.wrapping_add(1);
                self.free.push(key.slot);
                true
            }
            _ => false,
        }
    }

    /// The calls whose deadline is over.
    pub fn overdue(&self, now_ms: u64, out: &mut Vec<CallKey>) {
        out.extend(
            (0u32..)
                .zip(&self.slots)
                .filter(|(_, slot)| slot.used && slot.deadline_ms <= now_ms)
                .map(|(index, slot)| CallKey { slot: index, generation: slot.generation }),
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::fields::Span;

    fn place(conn: u32, sequence: u64) -> Place {
        Place { conn, sequence }
    }

    fn fields(bytes: &[u8]) -> OwnFields<'_> {
        OwnFields::new(bytes, Span::default())
    }

    #[test]
    fn a_reused_slot_does_not_answer_to_the_old_key() {
        let mut table = SlotTable::new(1, 0);
        let old = table.take(place(1, 1), fields(b"a"), u64::MAX).unwrap();
        assert!(table.release(old));
        let new = table.take(place(2, 1), fields(b"b"), u64::MAX).unwrap();
        assert_eq!(old.slot, new.slot);
        assert!(table.get(old).is_none());
        assert!(!table.release(old), "a late answer must not end the new call");
        assert_eq!(table.get(new).unwrap().own().all(), fields(b"b").all());
    }

    #[test]
    fn a_table_that_follows_another_knows_none_of_its_keys() {
        let mut table = SlotTable::new(2, 7);
        let early = table.take(place(1, 1), fields(b"a"), u64::MAX).unwrap();
        assert_eq!(early.generation, 7);
        table.release(early);
        let late = table.take(place(1, 2), fields(b"a"), u64::MAX).unwrap();
        let mut next = SlotTable::new(2, table.next_generation());
        let new = next.take(place(2, 1), fields(b"b"), u64::MAX).unwrap();
        assert_eq!(new.slot, late.slot);
        assert!(next.get(early).is_none() && next.get(late).is_none());
    }

    #[test]
    fn is_full_at_its_bound() {
        let mut table = SlotTable::new(2, 0);
        let first = table.take(place(0, 0), fields(b""), 5).unwrap();
        assert!(table.take(place(0, 1), fields(b""), u64::MAX).is_some());
        assert!(table.take(place(0, 2), fields(b""), u64::MAX).is_none());
        assert_eq!(table.len(), 2);
        let mut overdue = Vec::new();
        table.overdue(4, &mut overdue);
        assert!(overdue.is_empty());
        table.overdue(5, &mut overdue);
        assert_eq!(overdue, [first]);
        table.release(first);
        assert!(table.take(place(0, 2), fields(b""), 0).is_some());
    }
}
