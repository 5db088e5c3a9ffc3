//! Servers of which something is known that helps the next request: so many, those of whom it was heard last.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::shard::upstream::pool::Key;

/// See the module.
pub(super) struct Known {
    most: usize,
    /// The latest last.
    keys: RefCell<VecDeque<Key>>,
}

impl Known {
    pub fn new(most: usize) -> Self {
        Known { most, keys: RefCell::default() }
    }

    /// It holds of this server.
    pub fn note(&self, key: &Key) {
        self.forget(key);
        let mut keys = self.keys.borrow_mut();
        keys.push_back(key.clone());
        if keys.len() > self.most {
            keys.pop_front();
        }
    }

    /// It does not hold any more.
    pub fn forget(&self, key: &Key) {
        self.keys.borrow_mut().retain(|known| known != key);
    }

    pub fn contains(&self, key: &Key) -> bool {
        self.keys.borrow().contains(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::target::{Host, Scheme, Target};

    #[test]
    fn the_latest_are_known_up_to_the_bound() {
        let key = |port| Key {
            context: "a".into(),
            target: Target { scheme: Scheme::Https, host: Host::Name("x".into()), port },
        };
        let known = Known::new(2);
        [1, 2, 1, 3].map(key).iter().for_each(|key| known.note(key));
        assert_eq!([1, 2, 3].map(|port| known.contains(&key(port))), [true, false, true]);
        known.forget(&key(3));
        assert!(!known.contains(&key(3)));
    }
}
