//! Connections to servers: how one comes about, and where it waits for the next request.
//!
//! Nothing here knows what goes over them. Who waits for one can be told to give up ([`line::Line`]).

pub(in crate::shard) mod connect;
pub(in crate::shard) mod counted;
pub(in crate::shard) mod end;
pub(in crate::shard) mod firsts;
pub(in crate::shard) mod flow;
mod known;
pub(in crate::shard) mod line;
pub(in crate::shard) mod lookups;
pub(in crate::shard) mod pool;
pub(in crate::shard) mod shares;

use std::collections::HashSet;
use std::sync::Arc;

use crate::link::port::ShardPort;
use crate::link::proxy::ProxyLink;
use counted::Counted;
use firsts::Firsts;
use lookups::Lookups;
use pool::Pool;
use shares::Shares;

/// What a shard of a proxy has.
pub(in crate::shard) struct Upstreams {
    pub link: Arc<ProxyLink>,
    /// The shard's own letter box, for those who have something to tell it.
    pub port: ShardPort,
    pub lookups: Lookups,
    pub firsts: Firsts,
    pub pool: Pool,
    pub shares: Shares,
}

impl Upstreams {
    pub fn new(link: Arc<ProxyLink>, port: ShardPort) -> Self {
        let limits = &link.settings.limits;
        let pool = Pool::new(limits);
        let shares = Shares::new(
            limits.max_idle_upstreams,
            limits.idle_upstream_timeout_ms,
            limits.send_timeout_ms,
            link.http2.servers.clone(),
        );
        Upstreams { link, port, lookups: Lookups::default(), firsts: Firsts::new(), pool, shares }
    }

    /// Closes the connections of contexts that are no more.
    pub fn forget_released(&self) {
        let known: HashSet<String> = self.link.contexts.all().iter().map(|context| context.id.clone()).collect();
        self.pool.forget(|context| !known.contains(context));
        self.shares.forget(|context| !known.contains(context));
    }

    /// A place for one more connection of a context; one that waits makes room for it.
    pub fn count_one(&self, context: &str) -> Option<Counted> {
        self.pool.count_one(context).or_else(|| {
            let of = self.pool.is_full_of(context).then_some(context);
            self.shares.drop_idle(of).then(|| self.pool.count_one(context)).flatten()
        })
    }

    /// Closes what has waited long enough, or all; true when nothing waits.
    pub fn rest(&self, now_ms: u64, all: bool) -> bool {
        if all {
            self.pool.clear();
            self.shares.clear();
        }
        self.pool.sweep(now_ms);
        self.shares.sweep(now_ms);
        self.pool.is_empty() && self.shares.is_empty()
    }
}
