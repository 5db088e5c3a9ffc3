//! What callers have left, shared by shards, under every interleaving of a few steps that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p fasttunnel-engine --test loom_callers --release`
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use fasttunnel_engine::caller::bucket::Bucket;
use fasttunnel_engine::link::allowances::{Allowances, WAYS};
use fasttunnel_engine::link::gate::Gate;
use loom::thread;

const BUCKET: Bucket = Bucket { interval_ns: 1000, burst: 2 };

#[test]
fn shards_together_let_through_what_one_would() {
    loom::model(|| {
        let all = Arc::new(Allowances::new(BUCKET, 1));
        let shards: Vec<_> = (0..2)
            .map(|_| {
                let all = all.clone();
                thread::spawn(move || (0..2).filter(|_| all.take(7, 10).0.passed).count())
            })
            .collect();
        let passed: usize = shards.into_iter().map(|shard| shard.join().unwrap()).sum();
        assert_eq!((passed, all.look(7, 10).left), (BUCKET.burst as usize, 0));
    });
}

#[test]
fn a_place_that_two_want_goes_to_both_in_turn_and_nobody_takes_from_the_other() {
    loom::model(|| {
        let all = Arc::new(Allowances::new(BUCKET, 1));
        // All places are taken, by buckets that are empty.
        for caller in 100..100 + WAYS as u64 {
            for _ in 0..BUCKET.burst {
                all.take(caller, 10);
            }
        }
        let other = {
            let all = all.clone();
            thread::spawn(move || all.take(2, 10).0)
        };
        let own = all.take(1, 10).0;
        let other = other.join().unwrap();
        assert!(own.passed && other.passed && own.left == 1 && other.left == 1);
    });
}

#[test]
fn no_more_calls_are_under_way_than_may_be_and_none_is_forgotten() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(1));
        let other = {
            let gate = gate.clone();
            thread::spawn(move || gate.enter(7).is_some())
        };
        let own = gate.enter(7);
        let second = own.is_some() && gate.enter(7).is_some();
        assert!(!second, "one is under way");
        drop(own);
        let _ = other.join().unwrap();
        assert!(!gate.is_full(7) && gate.enter(7).is_some(), "all have ended");
    });
}
