//! The contexts of a proxy: made and released by the application, looked up by shards for each request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::proxy::credentials::{Names, Presented, Proof};
use crate::proxy::route::Route;

/// One context: whoever has its credentials may ask, and is led where its route says.
pub struct Context {
    /// Names it.
    pub id: String,
    /// Its user name.
    pub username: String,
    /// Where hosts of the own machine lead.
    pub route: Option<Route>,
    released: AtomicBool,
    /// What it has done.
    pub traffic: Traffic,
}

/// What came and went; every shard counts.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Requests, those for tunnels included.
    pub requests: AtomicU64,
    /// Requests and tunnels under way.
    pub open: AtomicU64,
    /// Bytes of content from clients, and through tunnels.
    pub sent: AtomicU64,
    /// Bytes of content to clients, and through tunnels.
    pub received: AtomicU64,
    /// Answers that the proxy has given by itself because something went wrong.
    pub failed: AtomicU64,
}

impl Traffic {
    /// Requests, those under way, bytes sent and received, failures.
    #[must_use]
    pub fn read(&self) -> [u64; 5] {
        [&self.requests, &self.open, &self.sent, &self.received, &self.failed]
            .map(|number| number.load(Ordering::Relaxed))
    }
}

impl Context {
    /// Nobody may ask for it any more.
    pub fn is_released(&self) -> bool {
        self.released.load(Ordering::Relaxed)
    }
}

/// See the module.
#[derive(Default)]
pub struct Contexts {
    known: RwLock<Known>,
    /// Of all contexts that there ever were, and of requests that belong to none.
    pub traffic: Traffic,
}

#[derive(Default)]
struct Known {
    by_proof: HashMap<Proof, Arc<Context>>,
    by_id: HashMap<String, Proof>,
}

impl Contexts {
    /// Adds a context; false when there is one of that name, which random bytes do not come to twice in practice.
    pub fn add(&self, names: &Names, route: Option<Route>) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let proof = names.proof();
        if known.by_proof.contains_key(&proof) || known.by_id.contains_key(&names.id) {
            return false;
        }
        let context = Context {
            id: names.id.clone(),
            username: names.username.clone(),
            route,
            released: AtomicBool::new(false),
            traffic: Traffic::default(),
        };
        known.by_id.insert(names.id.clone(), proof);
        known.by_proof.insert(proof, Arc::new(context));
        true
    }

    /// Removes a context; false when there is none of that name. Whoever serves it is to be told.
    pub fn release(&self, id: &str) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let context = known.by_id.remove(id).and_then(|proof| known.by_proof.remove(&proof));
        context.is_some_and(|context| {
            context.released.store(true, Ordering::Relaxed);
            true
        })
    }

    /// The context with these credentials. All that is wrong takes the same time: a digest is made, and is not found.
    #[must_use]
    pub fn find(&self, presented: &Presented) -> Option<Arc<Context>> {
        let proof = presented.proof();
        self.known.read().unwrap_or_else(PoisonError::into_inner).by_proof.get(&proof).cloned()
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Context>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).by_proof.values().cloned().collect()
    }
}
