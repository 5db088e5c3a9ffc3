//! Which host has which call of a shard.

use super::batch::CallKey;

/// The host of the call that was last in a slot; none where nobody has taken it yet.
#[derive(Clone, Copy, Debug)]
struct Owner {
    generation: u32,
    host: Option<u32>,
}

/// See the module. What is handed over while a host is alone is not noted call by call.
#[derive(Debug, Default)]
pub(super) struct Owners {
    by_slot: Vec<Option<Owner>>,
    alone: Option<u32>,
}

impl Owners {
    /// From here on all calls are of this host, until one is noted.
    #[inline]
    pub fn are_of(&mut self, host: u32) {
        self.alone = Some(host);
    }

    /// A call is of this host, or of nobody yet.
    pub fn note(&mut self, key: CallKey, host: Option<u32>) {
        let slot = key.slot as usize;
        if self.by_slot.len() <= slot {
            self.by_slot.resize(slot + 1, None);
        }
        self.by_slot[slot] = Some(Owner { generation: key.generation, host });
    }

    fn noted(&self, key: CallKey) -> Option<Owner> {
        (*self.by_slot.get(key.slot as usize)?).filter(|owner| owner.generation == key.generation)
    }

    /// The host of a call. A call of which nothing was noted is of the host that was alone.
    pub fn host_of(&self, key: CallKey) -> Option<u32> {
        self.noted(key).map_or(self.alone, |owner| owner.host)
    }

    /// True for a call that nobody has taken yet.
    pub fn is_of_nobody(&self, key: CallKey) -> bool {
        self.noted(key).is_some_and(|owner| owner.host.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_of_the_host_that_took_it_or_was_alone_then() {
        let key = |slot, generation| CallKey { slot, generation };
        let mut owners = Owners::default();
        assert_eq!(owners.host_of(key(3, 0)), None);
        owners.are_of(7);
        owners.note(key(3, 1), Some(8));
        owners.note(key(1, 0), None);
        let hosts = [key(3, 1), key(3, 0), key(2, 0), key(9, 0), key(1, 0)].map(|key| owners.host_of(key));
        assert_eq!(hosts, [Some(8), Some(7), Some(7), Some(7), None]);
        assert!(owners.is_of_nobody(key(1, 0)) && !owners.is_of_nobody(key(1, 1)) && !owners.is_of_nobody(key(3, 1)));
        owners.note(key(1, 0), Some(9));
        assert_eq!((owners.host_of(key(1, 0)), owners.is_of_nobody(key(1, 0))), (Some(9), false));
    }
}
