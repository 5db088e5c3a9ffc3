//! Calls that the event loop has been given and has not answered, or not to their end: it knows them by tickets.

use slab::Slab;

use crate::link::batch::CallKey;
use crate::link::tasks::Label;
use crate::wire::fields::Span;

/// One such call.
pub(super) struct Live {
    pub shard: u32,
    pub key: CallKey,
    /// The client has left; the answer goes nowhere.
    pub gone: bool,
    /// No call, but a request that is asked about.
    pub ask: bool,
    /// Which meter it counts for.
    pub label: Label,
    /// When the event loop was given it; 0 when its time does not count (any more).
    pub taken_ns: u64,
    /// Nanoseconds that it had waited for the event loop by then.
    pub queued_ns: u64,
    pub head: HeadPlace,
    /// Names the peer that it came from.
    pub peer: u64,
}

/// Where the request id and the head of a call are.
pub(super) enum HeadPlace {
    /// In a batch that is still with us.
    Loan { batch: u32, request_id: Span, head: Span },
    /// Copied, because the call outlived its batch: request id, then head.
    Own { bytes: Box<[u8]>, id_length: u32 },
}

/// No ticket.
const NONE: u32 = u32::MAX;

/// See the module.
#[derive(Default)]
pub(super) struct Tickets {
    live: Slab<Live>,
    /// By shard and slot, the newest ticket: to find the call that a notice of a client's leaving names.
    newest: Vec<Vec<u32>>,
    /// Tickets whose clients have left, which the event loop has not been told.
    departed: Vec<u32>,
}

impl Tickets {
    pub fn new(shards: usize) -> Self {
        Tickets { newest: vec![Vec::new(); shards], ..Tickets::default() }
    }

    pub fn len(&self) -> usize {
        self.live.len()
    }

    pub fn get(&self, ticket: u32) -> Option<&Live> {
        self.live.get(ticket as usize)
    }

    pub fn get_mut(&mut self, ticket: u32) -> Option<&mut Live> {
        self.live.get_mut(ticket as usize)
    }

    /// The call is over: its ticket is given out again.
    pub fn remove(&mut self, ticket: u32) -> Option<Live> {
        self.live.try_remove(ticket as usize)
    }

    /// All calls; none is left.
    pub fn leave(&mut self) -> impl Iterator<Item = Live> {
        self.departed.clear();
        std::mem::take(&mut self.live).into_iter().map(|(_, live)| live)
    }

    /// Gives a call a ticket.
    pub fn issue(&mut self, live: Live) -> u32 {
        let (shard, key) = (live.shard, live.key);
        let ticket = self.live.insert(live) as u32;
        let before = self.note_newest(shard, key.slot, ticket);
        // The shard uses a slot again when its call is over. One that has no answer was given up, and the notice of it (in
        // this very batch, perhaps) would no longer find the ticket.
        if self.get(before).is_some_and(|old| old.shard == shard && old.key.slot == key.slot && old.key != key) {
            self.depart(before);
        }
        ticket
    }

    /// The ticket of a call, unless it is over.
    pub fn find(&self, shard: u32, key: CallKey) -> Option<u32> {
        let ticket = *self.newest.get(shard as usize)?.get(key.slot as usize)?;
        self.get(ticket).filter(|live| live.shard == shard && live.key == key).map(|_| ticket)
    }

    /// Nobody waits for this call any more.
    pub fn depart(&mut self, ticket: u32) {
        if let Some(live) = self.get_mut(ticket)
            && !std::mem::replace(&mut live.gone, true)
        {
            self.departed.push(ticket);
        }
    }

    /// A shard is gone, and all of its clients.
    pub fn forsake(&mut self, shard: u32) {
        for (ticket, live) in &mut self.live {
            if live.shard == shard && !std::mem::replace(&mut live.gone, true) {
                self.departed.push(ticket as u32);
            }
        }
    }

    /// The next ticket whose client has left, to tell the event loop. Those that are over meanwhile need not be told.
    pub fn next_departed(&mut self) -> Option<u32> {
        loop {
            let ticket = self.departed.pop()?;
            if self.get(ticket).is_some_and(|live| live.gone) {
                return Some(ticket);
            }
        }
    }

    /// Notes the newest ticket of a slot; returns the one before it.
    fn note_newest(&mut self, shard: u32, slot: u32, ticket: u32) -> u32 {
        let Some(slots) = self.newest.get_mut(shard as usize) else { return NONE };
        let slot = slot as usize;
        if slots.len() <= slot {
            slots.resize(slot + 1, NONE);
        }
        std::mem::replace(&mut slots[slot], ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32, generation: u32) -> CallKey {
        CallKey { slot, generation }
    }

    fn live(shard: u32, key: CallKey) -> Live {
        let head = HeadPlace::Own { bytes: Box::default(), id_length: 0 };
        Live { shard, key, gone: false, ask: false, label: 0, taken_ns: 0, queued_ns: 0, head, peer: 0 }
    }

    fn departed(tickets: &mut Tickets) -> Vec<u32> {
        std::iter::from_fn(|| tickets.next_departed()).collect()
    }

    #[test]
    fn a_call_is_found_by_its_key_until_it_is_over() {
        let mut tickets = Tickets::new(2);
        let one = tickets.issue(live(1, key(3, 7)));
        let two = tickets.issue(live(0, key(3, 7)));
        assert_eq!((tickets.find(1, key(3, 7)), tickets.find(0, key(3, 7))), (Some(one), Some(two)));
        for (shard, other) in [(1, key(3, 8)), (1, key(2, 7)), (1, key(9, 7)), (2, key(3, 7))] {
            assert_eq!(tickets.find(shard, other), None, "{shard} {other:?}");
        }
        assert!(tickets.remove(one).is_some() && tickets.remove(one).is_none());
        assert_eq!((tickets.find(1, key(3, 7)), tickets.len()), (None, 1));
        // The ticket now names another call.
        assert_eq!(tickets.issue(live(0, key(5, 0))), one);
        assert_eq!(tickets.find(1, key(3, 7)), None);
    }

    #[test]
    fn who_has_left_is_told_once_and_not_when_the_call_is_over() {
        let mut tickets = Tickets::new(1);
        let [a, b, c] = [0, 1, 2].map(|slot| tickets.issue(live(0, key(slot, 0))));
        for ticket in [a, b, a, 99, c] {
            tickets.depart(ticket);
        }
        tickets.remove(b);
        assert_eq!(departed(&mut tickets), [c, a]);
        tickets.depart(a);
        assert_eq!(departed(&mut tickets), [0; 0]);
    }

    /// The answer to the first would go to the client of the second.
    #[test]
    fn a_slot_that_is_used_again_has_given_its_call_up() {
        let mut tickets = Tickets::new(1);
        let first = tickets.issue(live(0, key(4, 0)));
        let second = tickets.issue(live(0, key(4, 1)));
        assert_eq!(departed(&mut tickets), [first]);
        assert_eq!((tickets.find(0, key(4, 0)), tickets.find(0, key(4, 1))), (None, Some(second)));
        // A ticket that has another owner by now says nothing.
        tickets.remove(second);
        let other = tickets.issue(live(0, key(5, 0)));
        assert_eq!(other, second);
        tickets.issue(live(0, key(4, 2)));
        assert_eq!(departed(&mut tickets), [0; 0]);
    }

    #[test]
    fn a_shard_that_is_gone_takes_its_clients_with_it() {
        let mut tickets = Tickets::new(2);
        let [a, _, c] = [(0, 1), (1, 1), (0, 2)].map(|(shard, slot)| tickets.issue(live(shard, key(slot, 0))));
        tickets.depart(a);
        tickets.forsake(0);
        assert_eq!(departed(&mut tickets), [c, a]);
        // Of a shard that nobody knows, a call is taken all the same.
        let stray = tickets.issue(live(7, key(0, 0)));
        assert!(tickets.get(stray).is_some() && tickets.find(7, key(0, 0)).is_none());
    }
}
