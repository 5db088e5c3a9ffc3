//! Which host runs which handler, and by which number calls name it.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use crate::limits::HANDLERS_SETTLE;
use crate::tunnel::table::{Kind, Registration, TableError};

/// A handler that a host offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Task or event.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// The number that it has been given before, where it is the same handler as then.
    pub number: Option<u32>,
}

/// Where calls may go that carry a number: hosts, and the number that the handler has there.
pub(super) type Routes = HashMap<u32, Vec<(u32, u32)>>;

/// What a host offers, with the numbers that were given.
#[derive(Debug)]
struct Served {
    host: u32,
    /// It has left, and nobody has offered anything since: calls for its handlers wait for somebody who does.
    left: bool,
    handlers: Vec<Registration>,
}

/// A handler that nobody can be called for any more, while calls may be on their way to it.
#[derive(Debug)]
struct Retired {
    host: u32,
    handler: Registration,
    since: Instant,
}

/// See the module. A number is given to one handler of one host, and never again: a call may be on its way to a handler
/// that was removed.
#[derive(Debug, Default)]
pub(super) struct Directory {
    next: u32,
    /// In the order in which the hosts came.
    served: Vec<Served>,
    retired: Vec<Retired>,
}

impl Directory {
    /// Replaces what a host offers; returns the numbers, in the order of the offers.
    ///
    /// # Errors
    /// Two offers of the same kind and id, or an empty id. Nothing has changed then.
    pub fn register(&mut self, host: u32, offers: &[Offer], now: Instant) -> Result<Vec<u32>, TableError> {
        let mut seen = HashSet::new();
        for Offer { kind, id, .. } in offers {
            if id.is_empty() {
                return Err(TableError::EmptyId(*kind));
            }
            if !seen.insert((*kind, id.as_str())) {
                return Err(TableError::Duplicate(*kind, id.clone()));
            }
        }
        let at = self.place_of(host);
        let before = std::mem::take(&mut self.served[at].handlers);
        let known: HashMap<u32, &Registration> = before.iter().map(|handler| (handler.index, handler)).collect();
        let mut handlers = Vec::with_capacity(offers.len());
        for Offer { kind, id, number } in offers {
            let same = |handler: &&&Registration| handler.kind == *kind && handler.id == *id;
            let kept = number.and_then(|number| known.get(&number)).filter(same).map(|handler| handler.index);
            let index = kept.unwrap_or_else(|| {
                self.next = self.next.wrapping_add(1);
                self.next.wrapping_sub(1)
            });
            handlers.push(Registration { kind: *kind, id: id.clone(), index });
        }
        let numbers: Vec<u32> = handlers.iter().map(|handler| handler.index).collect();
        let kept: HashSet<u32> = numbers.iter().copied().collect();
        self.retired.retain(|retired| now.saturating_duration_since(retired.since) < HANDLERS_SETTLE);
        let removed = before.into_iter().filter(|handler| !kept.contains(&handler.index));
        self.retired.extend(removed.map(|handler| Retired { host, handler, since: now }));
        self.served[at].handlers = handlers;
        // Whoever has left is replaced by now.
        for Served { host, handlers, .. } in self.served.extract_if(.., |served| served.left) {
            self.retired.extend(handlers.into_iter().map(|handler| Retired { host, handler, since: now }));
        }
        Ok(numbers)
    }

    fn place_of(&mut self, host: u32) -> usize {
        self.served.iter().position(|served| served.host == host).unwrap_or_else(|| {
            self.served.push(Served { host, left: false, handlers: Vec::new() });
            self.served.len() - 1
        })
    }

    /// A host has left.
    pub fn leave(&mut self, host: u32) {
        if let Some(served) = self.served.iter_mut().find(|served| served.host == host) {
            served.left = true;
        }
    }

    /// A host is about to leave, on purpose: what nobody else offers can not be called any more, unless nobody else is here.
    pub fn dismiss(&mut self, host: u32, now: Instant) {
        if !self.served.iter().any(|served| served.host != host && !served.left) {
            return self.leave(host);
        }
        for Served { host, handlers, .. } in self.served.extract_if(.., |served| served.host == host) {
            self.retired.extend(handlers.into_iter().map(|handler| Retired { host, handler, since: now }));
        }
    }

    /// True when nobody but one host has offered anything, and it is here.
    pub fn has_one_host(&self) -> bool {
        matches!(&self.served[..], [Served { left: false, .. }])
    }

    /// The handlers of a host, also those that calls may be on their way to.
    pub fn handlers_of(&self, host: u32) -> impl Iterator<Item = &Registration> {
        let served = self.served.iter().filter(move |served| served.host == host).flat_map(|served| &served.handlers);
        let retired = self.retired.iter().filter(move |retired| retired.host == host).map(|retired| &retired.handler);
        served.chain(retired)
    }

    /// What may be called, each id once, by the number of somebody who is here, if anybody is.
    pub fn registrations(&self) -> Vec<Registration> {
        let mut seen = HashSet::new();
        let (left, here): (Vec<_>, Vec<_>) = self.served.iter().partition(|served| served.left);
        let all = here.into_iter().chain(left).flat_map(|served| &served.handlers);
        all.filter(|handler| seen.insert((handler.kind, handler.id.as_str()))).cloned().collect()
    }

    /// Where calls may go.
    pub fn routes(&self) -> Routes {
        let mut by_id: HashMap<(Kind, &str), Vec<(u32, u32)>> = HashMap::new();
        for served in self.served.iter().filter(|served| !served.left) {
            for handler in &served.handlers {
                by_id.entry((handler.kind, &handler.id)).or_default().push((served.host, handler.index));
            }
        }
        let now = |handler: &Registration| by_id.get(&(handler.kind, handler.id.as_str())).cloned().unwrap_or_default();
        let is_here = |host| self.served.iter().any(|served| served.host == host && !served.left);
        let served =
            self.served.iter().flat_map(|served| &served.handlers).map(|handler| (handler.index, now(handler)));
        // A host that has replaced a handler keeps the old one for calls that are on their way to it.
        let retired = self.retired.iter().map(|Retired { host, handler, .. }| {
            let to = if is_here(*host) { vec![(*host, handler.index)] } else { now(handler) };
            (handler.index, to)
        });
        retired.chain(served).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn offer(id: &str, number: Option<u32>) -> Offer {
        Offer { kind: Kind::Task, id: id.to_owned(), number }
    }

    #[test]
    fn a_number_is_kept_by_the_same_handler_and_never_given_twice() {
        let (mut directory, now) = (Directory::default(), Instant::now());
        assert_eq!(directory.register(0, &[offer("a", None), offer("b", None)], now), Ok(vec![0, 1]));
        assert_eq!(directory.register(0, &[offer("b", Some(1)), offer("a", None)], now), Ok(vec![1, 2]));
        // Numbers of another handler, of nobody, and of another host are no numbers of this one.
        assert_eq!(directory.register(0, &[offer("a", Some(1)), offer("b", Some(77))], now), Ok(vec![3, 4]));
        assert_eq!(directory.register(1, &[offer("a", Some(3))], now), Ok(vec![5]));
        let event = Offer { kind: Kind::Event, ..offer("a", Some(3)) };
        assert_eq!(directory.register(0, &[offer("a", Some(3)), event], now), Ok(vec![3, 6]));
    }

    #[test]
    fn a_refused_offer_changes_nothing() {
        let (mut directory, now) = (Directory::default(), Instant::now());
        directory.register(0, &[offer("a", None)], now).unwrap();
        let twice = directory.register(0, &[offer("b", None), offer("b", None)], now);
        assert_eq!(twice, Err(TableError::Duplicate(Kind::Task, "b".to_owned())));
        assert_eq!(directory.register(0, &[offer("", None)], now), Err(TableError::EmptyId(Kind::Task)));
        assert_eq!(
            directory.registrations().iter().map(|one| (one.id.as_str(), one.index)).collect::<Vec<_>>(),
            [("a", 0)]
        );
    }

    #[test]
    fn an_id_leads_to_every_host_that_offers_it() {
        let (mut directory, now) = (Directory::default(), Instant::now());
        directory.register(0, &[offer("a", None), offer("b", None)], now).unwrap();
        directory.register(1, &[offer("c", None), offer("a", None)], now).unwrap();
        let ids: Vec<_> = directory.registrations().into_iter().map(|one| (one.id, one.index)).collect();
        assert_eq!(ids, [("a".to_owned(), 0), ("b".to_owned(), 1), ("c".to_owned(), 2)]);
        let routes = directory.routes();
        assert_eq!((&routes[&0], &routes[&1], &routes[&2]), (&vec![(0, 0), (1, 3)], &vec![(0, 1)], &vec![(1, 2)]));
        // A call that is on its way to a handler which was replaced goes there, and nowhere else.
        directory.register(0, &[offer("a", None), offer("b", Some(1))], now).unwrap();
        let routes = directory.routes();
        assert_eq!((&routes[&0], &routes[&4]), (&vec![(0, 0)], &vec![(0, 4), (1, 3)]));
        // Of a host that has left, its calls go to the others, and wait where there are none, until somebody registers.
        directory.leave(0);
        let routes = directory.routes();
        assert_eq!((&routes[&4], &routes[&1], directory.registrations().len()), (&vec![(1, 3)], &vec![], 3));
        directory.register(2, &[offer("b", None)], now).unwrap();
        let routes = directory.routes();
        assert_eq!((&routes[&0], &routes[&1], directory.registrations().len()), (&vec![(1, 3)], &vec![(2, 5)], 3));
        directory.register(3, &[offer("b", None)], now).unwrap();
        directory.dismiss(3, now);
        assert_eq!((&directory.routes()[&6], directory.has_one_host()), (&vec![(2, 5)], false));
        directory.register(2, &[offer("b", Some(5))], now + HANDLERS_SETTLE).unwrap();
        assert_eq!(directory.routes().len(), 3, "what was replaced long ago is forgotten");
    }
}
