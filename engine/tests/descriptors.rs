//! No descriptor left: accepting waits without spinning, and goes on by itself. A file of its own, because the limit
//! counts for the whole process.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::fs::File;
use std::time::Instant;

use fasttunnel_engine::Engine;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use support::{Client, DriverChoice, Server, eventually, ms, process};

fn accepting_goes_on_after_descriptors_ran_out(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut before = server.client();
    before.expect_usable();
    // The clients' sockets first, because they need descriptors as well; then nothing is left for the server's side.
    let waiting: Vec<_> = (0..5).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()).collect();
    let limit = process::descriptors() as u64 + 40;
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum: getrlimit(Resource::Nofile).maximum }).unwrap();
    let hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    waiting.iter().for_each(|client| client.connect(&server.address().into()).unwrap());
    // The surplus is closed at a slow pace, from the descriptor that was held back for it.
    eventually("somebody is turned away", || server.sum(|shard| shard.turned_away) >= 2);
    before.expect_usable();
    let cpu = process::cpu_ms();
    std::thread::sleep(ms(1000));
    let spent = process::cpu_ms() - cpu;
    assert!(spent <= 50, "{spent} ms of CPU in a second with nothing to do");
    drop(hoard);
    drop(waiting);
    let room = Instant::now();
    eventually("accepting goes on", || {
        Client::try_tcp(server.address()).is_ok_and(|mut client| {
            client.try_send(support::call("echo", "1")).is_ok() && client.try_reply(true).is_ok()
        })
    });
    assert!(room.elapsed() < ms(1000), "accepting went on after {:?}", room.elapsed());
    let mut clients: Vec<_> = (0..8).map(|_| server.client()).collect();
    clients.iter_mut().for_each(Client::expect_usable);
    before.expect_usable();
}

/// An engine that could not register its listener used to start, deaf.
fn a_start_without_enough_descriptors_fails_or_serves(driver: DriverChoice) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = |current| setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    drop(Server::start(driver));
    let base = process::descriptors();
    let (mut failed, mut served) = (0, 0);
    for spare in 0..40 {
        let (handlers, later) = support::server::handlers();
        let mut config = support::server::config(driver, handlers.specs());
        config.shards = 2;
        limit(Some(base as u64 + spare));
        let started = Engine::start(config, handlers.into_backend());
        // What a shard opens after it has said that it is ready would fail now.
        std::thread::sleep(ms(10));
        limit(maximum);
        match started {
            Ok(engine) => {
                assert_eq!(engine.failed_shards(), 0);
                let server = Server { engine: Some(engine), turner: None, later };
                let mut clients = [server.client(), server.client()];
                clients.iter_mut().for_each(Client::expect_usable);
                served += 1;
            }
            Err(error) => {
                // io_uring may be refused for want of a descriptor, everything else says EMFILE.
                let text = error.to_string();
                assert!(text.contains("os error 24"), "{text}");
                failed += 1;
            }
        }
        eventually("descriptors are back at the base", || process::descriptors() <= base);
        eventually("threads are back at the base", || process::shard_threads() == 0);
    }
    assert!(failed > 5 && served > 5, "{failed} failed, {served} served");
}

on_both_drivers!(accepting_goes_on_after_descriptors_ran_out, a_start_without_enough_descriptors_fails_or_serves);
