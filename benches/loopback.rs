//! What a request costs in all: one shard with a Rust handler over loopback, no JavaScript.
//!
//! The clients are blocking sockets of one thread: their system calls are in the figures. `loadtest` tells the two
//! apart; here a change of the engine shows as a difference.
#![allow(missing_docs)] // the macros' functions

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fasttunnel_benches::{ADD_BODY, SMALL_HEAD, criterion, exposure};
use fasttunnel_engine::handlers::{Answer, Handlers};
use fasttunnel_engine::shard::driver::DriverChoice;
use fasttunnel_engine::{Config, Engine, Listen};

/// The end of every answer.
const ANSWER_BODY: &[u8] = br#"{"ok":true,"result":3}"#;

fn start(driver: DriverChoice) -> Result<Engine, fasttunnel_engine::StartError> {
    let handlers = Handlers::new().task("app.tasks.add", |_, _| Answer::Json("3".to_owned()));
    let exposure = exposure(handlers.specs(), None);
    let mut config = Config::new(Listen::Tcp(([127, 0, 0, 1], 0).into()), Arc::new(exposure));
    config.shards = 1;
    config.driver = driver;
    Engine::start(config, handlers.into_backend())
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).expect("the engine listens");
    client.set_nodelay(true).expect("a TCP socket");
    client.set_read_timeout(Some(Duration::from_secs(5))).expect("a TCP socket");
    client
}

/// Reads one whole answer.
fn receive(client: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    while !buffer[..filled].ends_with(ANSWER_BODY) {
        let read = match client.read(&mut buffer[filled..]) {
            // With a time limit, a read that was stopped and continued (a debugger, a frozen machine) ends like this.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome.expect("an answer within 5 s"),
        };
        assert!(read > 0, "the engine has closed: {}", String::from_utf8_lossy(&buffer[..filled]));
        filled += read;
    }
}

fn loopback(criterion: &mut Criterion) {
    let request = [SMALL_HEAD, ADD_BODY].concat();
    let mut buffer = vec![0; 4096];
    let mut group = criterion.benchmark_group("loopback");
    for (name, driver) in [("io_uring", DriverChoice::IoUring), ("epoll", DriverChoice::Epoll)] {
        let engine = match start(driver) {
            Ok(engine) => engine,
            Err(error) => {
                println!("loopback/{name}: left out: {error}");
                continue;
            }
        };
        let address = engine.tcp_address().expect("a TCP address");
        for connections in [1, 64] {
            let mut clients: Vec<_> = (0..connections).map(|_| connect(address)).collect();
            group.throughput(Throughput::Elements(connections));
            group.bench_function(BenchmarkId::new(name, connections), |bencher| {
                bencher.iter(|| {
                    for client in &mut clients {
                        client.write_all(&request).expect("the engine reads");
                    }
                    for client in &mut clients {
                        receive(client, &mut buffer);
                    }
                });
            });
        }
    }
    group.finish();
}

criterion_group! { name = benches; config = criterion(); targets = loopback }
criterion_main!(benches);
