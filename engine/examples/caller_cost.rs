//! What limits by caller cost: a request, a caller, a connection.
//!
//! `cargo run --release -p fasttunnel-engine --example caller_cost`
//!
//! Processor time of the threads that do it, so that others on the machine do not count. With and without a limit take turns.
#![allow(clippy::unwrap_used)] // a measurement: an error may end it

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use fasttunnel_engine::caller::bucket::Bucket;
use fasttunnel_engine::caller::rules::{LimitRule, Per, Rules};
use fasttunnel_engine::handlers::{Answer, Handlers};
use fasttunnel_engine::link::allowances::Allowances;
use fasttunnel_engine::link::clock::thread_cpu_ns;
use fasttunnel_engine::link::peers::{Peer, Peers};
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::cors::{Cors, CorsOptions};
use fasttunnel_engine::tunnel::decide::Exposure;
use fasttunnel_engine::tunnel::route::BasePath;
use fasttunnel_engine::tunnel::table::{Allow, HandlerTable};
use fasttunnel_engine::{Config, Engine, Listen};

const DEPTH: usize = 16;
const ROUNDS: usize = 9;
const REQUESTS: usize = 100_000;

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Processor time of all threads.
fn process_cpu_ns() -> u64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

fn tables() {
    for (callers, room) in [(1, 100_000), (100_000, 100_000), (1_000_000, 1_000_000), (4_000_000, 1_000_000)] {
        let (before, all) = (resident_bytes(), Allowances::new(Bucket::new(10.0, 20), room));
        let number = |index: u64| (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (turns, began) = (4_000_000u64, thread_cpu_ns());
        for turn in 0..turns {
            black_box(all.take(number(turn % callers), 1_000_000 + turn));
        }
        let spent = (thread_cpu_ns() - began) as f64 / turns as f64;
        let bytes = resident_bytes().saturating_sub(before) as f64;
        println!("{callers:>8} callers, room for {room:>8}: {spent:6.1} ns a request, {:6.1} MB", bytes / 1e6);
    }
}

fn connections() {
    let (peers, listener) = (Arc::new(Peers::default()), TcpListener::bind("127.0.0.1:0").unwrap());
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (turns, began) = (1_000_000, thread_cpu_ns());
    for _ in 0..turns {
        let address = rustix::net::getpeername(&client).unwrap().and_then(|address| SocketAddr::try_from(address).ok());
        drop(black_box(peers.enter(Peer { address, ..Peer::default() })));
    }
    println!("a connection that calls: {:.0} ns", (thread_cpu_ns() - began) as f64 / f64::from(turns));
}

fn start(limits: Vec<LimitRule>) -> Engine {
    let handlers = Handlers::new().task("add", |_, _| Answer::Json("3".to_owned()));
    let tokens = Some(vec!["0123456789abcdef".to_owned()]);
    let exposure = Exposure {
        base_path: BasePath::default(),
        table: HandlerTable::new(handlers.specs(), &Allow::AllRegistered).unwrap(),
        auth: AuthConfig::new(AuthOptions { tokens, ..AuthOptions::default() }).unwrap(),
        cors: Cors::new(&CorsOptions::default()).unwrap(),
        disable_discovery: false,
        server_options: true,
        any_coding: false,
    };
    let mut config = Config::new(Listen::Tcp(([127, 0, 0, 1], 0).into()), Arc::new(exposure));
    config.shards = 1;
    config.callers = Arc::new(Rules { limits, ..Rules::default() });
    Engine::start(config, handlers.into_backend()).unwrap()
}

/// Nanoseconds of the shard for a request.
fn round(engine: &Engine) -> f64 {
    let mut stream = TcpStream::connect(engine.tcp_address().unwrap()).unwrap();
    let one = "POST /__runner/task/add HTTP/1.1\r\nHost: a\r\nx-runner-token: 0123456789abcdef\r\nContent-Length: 25\r\n\r\n{\"input\":{\"a\":1,\"b\":2}}\r\n";
    let (batch, mut buffer) = (one.repeat(DEPTH), vec![0; 64 * 1024]);
    let (whole, own) = (process_cpu_ns(), thread_cpu_ns());
    for _ in 0..REQUESTS / DEPTH {
        stream.write_all(batch.as_bytes()).unwrap();
        let mut answered = 0;
        while answered < DEPTH {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0);
            answered += buffer[..read].windows(6).filter(|end| *end == b"lt\":3}").count();
        }
    }
    ((process_cpu_ns() - whole) - (thread_cpu_ns() - own)) as f64 / REQUESTS as f64
}

fn requests() {
    let rule =
        |per| LimitRule { per, bucket: Some(Bucket::new(1e6, 1_000_000)), most_at_once: None, max_callers: 100_000 };
    let gate = LimitRule { most_at_once: Some(1000), ..rule(Per::Token) };
    let engines = [
        ("no limit", start(Vec::new())),
        ("per address", start(vec![rule(Per::Address)])),
        ("per token", start(vec![rule(Per::Token)])),
        ("both, maxConcurrent", start(vec![rule(Per::Address), gate])),
    ];
    let mut times = vec![Vec::new(); engines.len()];
    for _ in 0..ROUNDS {
        for ((_, engine), times) in engines.iter().zip(&mut times) {
            times.push(round(engine));
        }
    }
    for ((name, _), times) in engines.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!(
            "{name:>20}: {:.0} ns of the shard a request ({:.0} to {:.0})",
            times[ROUNDS / 2],
            times[0],
            times[ROUNDS - 1]
        );
    }
}

fn main() {
    tables();
    connections();
    requests();
}
