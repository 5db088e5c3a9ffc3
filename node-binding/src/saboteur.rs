//! Ends a shard, or lets a call of Node-API fail, when a test asks for it. In no addon that ships: see the feature
//! `fault-injection`.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fasttunnel_engine::link::backend::{Backend, Pressure};
use fasttunnel_engine::link::batch::{AnswerBatch, CallBatch};
use fasttunnel_engine::link::census::Census;
use fasttunnel_engine::link::hosts::Hosts;
use fasttunnel_engine::link::port::ShardPort;
use fasttunnel_engine::link::tally::Tally;
use napi_derive::napi;

thread_local! {
    /// The call that fails when it comes next.
    static REFUSED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Lets the next call of this name fail on this thread: one of those that make a ring.
// `--all-targets` compiles the library for tests as well, where nothing registers exports.
#[cfg_attr(test, allow(dead_code))]
#[napi]
pub fn refuse_call(name: String) {
    REFUSED.set(Some(name));
}

/// Whether this call is to fail; only once.
pub fn refuses(name: &str) -> bool {
    REFUSED.with_borrow_mut(|refused| refused.take_if(|refused| refused == name).is_some())
}

/// Panics once more when it is dropped: what contains the first panic does not contain that one.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a second panic that a test asked for");
    }
}

/// The hosts, and a panic in front of it.
pub struct Saboteur {
    hosts: Arc<Hosts>,
    /// The shard to end; `u32::MAX` for none.
    target: AtomicU32,
}

impl Saboteur {
    /// Hosts that nothing is wrong with, yet.
    pub fn new(hosts: Arc<Hosts>) -> Self {
        Saboteur { hosts, target: AtomicU32::new(u32::MAX) }
    }

    /// Lets the next calls of this shard end it.
    pub fn arm(&self, shard: u32) {
        self.target.store(shard, Ordering::Relaxed);
    }
}

impl Backend for Saboteur {
    fn attach(&self, ports: &[ShardPort]) {
        self.hosts.attach(ports);
    }

    fn submit(&self, shard: usize, calls: Box<CallBatch>, answers: &mut AnswerBatch) -> Option<Box<CallBatch>> {
        let hit = |armed| self.target.compare_exchange(armed, u32::MAX, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !calls.records.is_empty() && hit(shard as u32) {
            std::panic::panic_any(Bomb);
        }
        self.hosts.submit(shard, calls, answers)
    }

    fn takes_frames(&self) -> bool {
        self.hosts.takes_frames()
    }

    fn unseen_ns(&self, shard: usize) -> u64 {
        self.hosts.unseen_ns(shard)
    }

    fn pressure(&self) -> Pressure {
        self.hosts.pressure()
    }

    fn tally(&self, shard: usize) -> Tally {
        self.hosts.tally(shard)
    }

    fn census(&self) -> Census {
        self.hosts.census()
    }

    fn stopped(&self, shard: usize) {
        self.hosts.stopped(shard);
    }

    fn failed(&self, shard: usize) {
        self.hosts.failed(shard);
    }
}
