//! A request on the steady path allocates nothing: every allocation of the process is counted while requests pass.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::link::batch::{AnswerBatch, CallBatch, Outcome};
use fasttunnel_engine::link::port::ShardPort;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::{DriverChoice, Server, call};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Answers at once, into the batch that the shard lends it.
struct Three;

impl Backend for Three {
    fn attach(&self, _ports: &[ShardPort]) {}

    fn submit(&self, _shard: usize, calls: Box<CallBatch>, answers: &mut AnswerBatch) -> Option<Box<CallBatch>> {
        for record in &calls.records {
            answers.push(record.key, Outcome::Result, b"3");
        }
        let mut calls = calls;
        calls.reset();
        Some(calls)
    }

    fn stopped(&self, _shard: usize) {}
}

fn a_request_allocates_nothing(driver: DriverChoice) {
    const ROUNDS: usize = 2000;
    let server = Server::with_backend(driver, &["add"], Arc::new(Three), |_| {});
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.set_nodelay(true).unwrap();
    for (depth, what) in [(1, "one by one"), (16, "16 deep")] {
        let request = call("add", r#"{"a":1,"b":2}"#).repeat(depth);
        let mut answer = vec![0; 64 * 1024];
        // The first one tells how long the answers are: the request ids are always of one length.
        socket.write_all(request.as_bytes()).unwrap();
        let mut length = 0;
        while answer[..length].windows(3).filter(|end| end == b":3}").count() < depth {
            length += socket.read(&mut answer[length..]).unwrap();
        }
        let mut exchange = |rounds: usize| {
            for _ in 0..rounds {
                socket.write_all(request.as_bytes()).unwrap();
                socket.read_exact(&mut answer[..length]).unwrap();
            }
        };
        exchange(200);
        let (region, start) = (Region::new(ALLOCATOR), Instant::now());
        exchange(ROUNDS);
        let change = region.change();
        // The timer looks at every connection ten times a second, and lists them first.
        let turns = start.elapsed().as_millis() as usize / 100 + 1;
        assert!(
            change.allocations <= turns && change.reallocations == 0,
            "{what}: {} allocations, {} reallocations in {ROUNDS} rounds",
            change.allocations,
            change.reallocations
        );
    }
}

on_both_drivers!(a_request_allocates_nothing);
