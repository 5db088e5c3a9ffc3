//! Certificates that were made, by host: a bounded number of them, those that were used last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::proxy::target::Host;

/// From when until when a certificate is shown, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub from: u64,
    pub until: u64,
}

struct Leaf<T> {
    certificate: Arc<T>,
    span: Span,
    used: u64,
}

struct All<T> {
    leaves: HashMap<Host, Leaf<T>>,
    /// Counts uses.
    uses: u64,
}

/// See the module.
pub(super) struct Leaves<T> {
    most: usize,
    all: Mutex<All<T>>,
}

impl<T> Leaves<T> {
    /// At most so many; at least one.
    pub fn new(most: usize) -> Self {
        Leaves { most: most.max(1), all: Mutex::new(All { leaves: HashMap::new(), uses: 0 }) }
    }

    /// The certificate of a host, which is made where there is none that may be shown now. Nobody waits for one that is being made.
    pub fn get<E>(&self, host: &Host, now: u64, make: impl FnOnce() -> Result<(Arc<T>, Span), E>) -> Result<Arc<T>, E> {
        if let Some(known) = self.find(host, now) {
            return Ok(known);
        }
        let (certificate, span) = make()?;
        self.keep(host, certificate.clone(), span);
        Ok(certificate)
    }

    fn find(&self, host: &Host, now: u64) -> Option<Arc<T>> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.uses += 1;
        let used = all.uses;
        let leaf = all.leaves.get_mut(host).filter(|leaf| (leaf.span.from..leaf.span.until).contains(&now))?;
        leaf.used = used;
        Some(leaf.certificate.clone())
    }

    fn keep(&self, host: &Host, certificate: Arc<T>, span: Span) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.uses += 1;
        let used = all.uses;
        if all.leaves.len() >= self.most && !all.leaves.contains_key(host) {
            let oldest = all.leaves.iter().min_by_key(|(_, leaf)| leaf.used).map(|(host, _)| host.clone());
            if let Some(oldest) = oldest {
                all.leaves.remove(&oldest);
            }
        }
        all.leaves.insert(host.clone(), Leaf { certificate, span, used });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn those_used_last_are_kept_up_to_the_bound_and_each_until_its_time_is_over() {
        let (leaves, made) = (Leaves::new(2), Cell::new(0));
        let get = |name: &str, now: u64| {
            let make = || {
                made.set(made.get() + 1);
                Ok::<_, Infallible>((Arc::new(made.get()), Span { from: now, until: now + 100 }))
            };
            *leaves.get(&Host::Name(name.to_owned()), now, make).unwrap()
        };
        assert_eq!([get("a", 10), get("b", 10), get("a", 10)], [1, 2, 1]);
        // The bound: `b` was used longest ago.
        assert_eq!([get("c", 10), get("a", 10)], [3, 1]);
        assert_eq!(leaves.all.lock().unwrap().leaves.len(), 2);
        assert_eq!([get("b", 10), get("a", 10)], [4, 1]);
        // Over, and, where the clock was set back, not begun.
        assert_eq!([get("a", 109), get("a", 110)], [1, 5]);
        assert_eq!(get("a", 9), 6);
        assert_eq!(leaves.all.lock().unwrap().leaves.len(), 2);
    }
}
