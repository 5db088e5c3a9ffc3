//! Connections to servers that wait for the next request. Each belongs to one context: what a server has tied to the connection
//! (a login of some kinds is) is nobody else's.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::limits::{POOL_OF_ONE, ProxyLimits};
use crate::proxy::target::Target;
use crate::shard::transport::socket::{Peer, Socket, departures};
use crate::shard::upstream::counted::{Counted, Place};
use crate::shard::upstream::end::End;
use crate::shard::upstream::flow::{Inlet, Outlet};

/// Whose connection it is, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::shard) struct Key {
    pub context: String,
    pub target: Target,
}

/// A connection to a server.
pub(in crate::shard) struct Upstream {
    pub inlet: Inlet,
    pub outlet: Outlet,
    pub end: End,
    pub key: Key,
    /// It has served a request before.
    pub reused: bool,
    _counted: Option<Counted>,
    /// It is one of several of its connection.
    _place: Option<Place>,
}

impl Upstream {
    pub fn new(inlet: Inlet, outlet: Outlet, end: End, key: Key, counted: Counted) -> Self {
        Upstream { inlet, outlet, end, key, reused: false, _counted: Some(counted), _place: None }
    }

    /// A stream of a connection that has several.
    pub fn on(inlet: Inlet, outlet: Outlet, end: End, key: Key, place: Place, reused: bool) -> Self {
        Upstream { inlet, outlet, end, key, reused, _counted: None, _place: Some(place) }
    }
}

/// See the module.
pub(in crate::shard) struct Pool {
    most: usize,
    most_idle: usize,
    idle_ms: u64,
    most_of_context: usize,
    open: Rc<Cell<usize>>,
    /// Those of each context, by its name.
    of_contexts: RefCell<HashMap<String, Rc<Cell<usize>>>>,
    /// The oldest first, with the time since when it waits.
    idle: RefCell<VecDeque<(u64, Upstream)>>,
}

impl Pool {
    pub fn new(limits: &ProxyLimits) -> Self {
        Pool {
            most: limits.max_upstreams,
            most_idle: limits.max_idle_upstreams,
            idle_ms: limits.idle_upstream_timeout_ms,
            most_of_context: limits.max_upstreams_per_context,
            open: Rc::default(),
            of_contexts: RefCell::default(),
            idle: RefCell::default(),
        }
    }

    /// A place for one more connection of a context; one that waits makes room for it.
    pub fn count_one(&self, context: &str) -> Option<Counted> {
        if self.is_full_of(context) {
            let mut idle = self.idle.borrow_mut();
            let its = idle.iter().position(|(_, upstream)| upstream.key.context == context);
            drop(its.and_then(|at| idle.remove(at)));
        }
        if self.open.get() >= self.most {
            drop(self.idle.borrow_mut().pop_front());
        }
        let has_room = !self.is_full_of(context) && self.open.get() < self.most;
        has_room.then(|| {
            let of_context = self.of_contexts.borrow_mut().entry(context.to_owned()).or_default().clone();
            Counted::new(of_context, self.open.clone())
        })
    }

    /// A context has as many connections as it may have.
    pub fn is_full_of(&self, context: &str) -> bool {
        self.of_contexts.borrow().get(context).is_some_and(|open| open.get() >= self.most_of_context)
    }

    /// The connection that was used last, of those whose server has not left.
    pub fn take(&self, key: &Key) -> Option<Upstream> {
        loop {
            let mut idle = self.idle.borrow_mut();
            let at = idle.iter().rposition(|(_, upstream)| upstream.key == *key)?;
            let (_, mut upstream) = idle.remove(at)?;
            drop(idle);
            if upstream.end.socket().is_some_and(is_quiet) {
                upstream.reused = true;
                return Some(upstream);
            }
        }
    }

    /// Takes a connection on which nothing is under way.
    pub fn put(&self, mut upstream: Upstream, now_ms: u64) {
        upstream.inlet.rest();
        let mut idle = self.idle.borrow_mut();
        let of_key = |(_, other): &(u64, Upstream)| other.key == upstream.key;
        if idle.iter().filter(|it| of_key(it)).count() >= POOL_OF_ONE
            && let Some(oldest) = idle.iter().position(of_key)
        {
            idle.remove(oldest);
        }
        idle.push_back((now_ms, upstream));
        while idle.len() > self.most_idle {
            idle.pop_front();
        }
    }

    /// Closes those that have waited long enough.
    pub fn sweep(&self, now_ms: u64) {
        let mut idle = self.idle.borrow_mut();
        while idle.front().is_some_and(|(since, _)| now_ms.saturating_sub(*since) >= self.idle_ms) {
            idle.pop_front();
        }
    }

    /// Closes those of contexts that are no more, by their names.
    pub fn forget(&self, is_gone: impl Fn(&str) -> bool) {
        self.idle.borrow_mut().retain(|(_, upstream)| !is_gone(&upstream.key.context));
        self.of_contexts.borrow_mut().retain(|context, _| !is_gone(context));
    }

    /// Closes all.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
    }

    /// Connections that wait.
    pub fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty()
    }
}

/// True when nobody has left, or said anything unasked.
fn is_quiet(socket: &Socket) -> bool {
    !socket.has_input()
        // Under TLS it may have been read, and lie there.
        && !socket.has_partial_input()
        && socket.lend().is_some_and(|lent| departures(&[lent]).first().is_some_and(|peer| *peer == Peer::There))
}
