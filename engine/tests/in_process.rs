//! Connections that the engine's own process makes, with and without a listener beside them.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use fasttunnel_engine::{ConnectError, Listen};
use support::{Client, DriverChoice, Server, call, eventually, ms};

fn nowhere(driver: DriverChoice, shards: usize) -> Server {
    Server::with(driver, |config| {
        config.listen = Listen::InProcess;
        config.shards = shards;
    })
}

fn connect(server: &Server) -> Client {
    Client::over(server.engine().connect().unwrap().into())
}

fn it_serves_without_listening(driver: DriverChoice) {
    let mut server = nowhere(driver, 2);
    assert_eq!(server.engine().address(), &Listen::InProcess);
    assert_eq!(server.engine().tcp_address(), None);
    let body = format!("\"{}\"", "u".repeat(300_000));
    let mut clients: Vec<_> = (0..4).map(|_| connect(&server)).collect();
    for client in &mut clients {
        client.expect_usable();
        assert_eq!(client.ask(call("echo", &body)).result(), body);
    }
    drop(clients);
    eventually("all have left", || server.sum(|shard| shard.connections) == 0);
    server.engine().stop(ms(2000));
    server.join();
}

fn connections_spread_over_the_shards(driver: DriverChoice) {
    let server = nowhere(driver, 3);
    let mut clients: Vec<_> = (0..9).map(|_| connect(&server)).collect();
    for _ in 0..10 {
        clients.iter_mut().for_each(Client::expect_usable);
        let spread: Vec<u64> = server.engine().stats().iter().map(|shard| shard.connections).collect();
        assert_eq!(spread, [3, 3, 3]);
        drop(clients.remove(0));
        eventually("it has left", || server.sum(|shard| shard.connections) == 8);
        clients.push(connect(&server));
    }
}

fn a_listener_may_stand_beside(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.shards = 2);
    // One after another: a connection over TCP counts once it is accepted.
    let _clients = [0, 1, 2, 3].map(|number| {
        let mut client = if number % 2 == 0 { server.client() } else { connect(&server) };
        client.expect_usable();
        client
    });
    let spread: Vec<u64> = server.engine().stats().iter().map(|shard| shard.connections).collect();
    assert_eq!(spread, [2, 2]);
}

fn the_bound_on_connections_counts_them(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.max_connections = 2);
    let mut first = connect(&server);
    first.expect_usable();
    let mut second = connect(&server);
    second.expect_usable();
    assert!(matches!(server.engine().connect(), Err(ConnectError::Full { max: 2 })));
    assert_eq!(server.client().reply().status, 503);
    drop(first);
    eventually("it has left", || server.sum(|shard| shard.connections) == 1);
    connect(&server).expect_usable();
    second.expect_usable();
}

fn leaving_is_noticed_at_once(driver: DriverChoice) {
    let server = nowhere(driver, 1);
    let mut times = Vec::new();
    for _ in 0..5 {
        let mut client = connect(&server);
        client.send(call("later", "1"));
        let _ticket = server.taken();
        assert_eq!(server.sum(|shard| shard.in_flight), 1);
        let start = Instant::now();
        drop(client);
        eventually("its call is given up", || server.sum(|shard| shard.in_flight) == 0);
        times.push(start.elapsed());
    }
    // A client that half-closes has a grace of 100 ms, looked at every 100.
    assert!(times.iter().min().is_some_and(|time| *time < ms(80)), "{times:?}");
}

fn what_was_sent_before_the_end_is_answered(driver: DriverChoice) {
    for _ in 0..20 {
        let mut server = nowhere(driver, 1);
        let (mut fresh, mut used) = (connect(&server), connect(&server));
        used.expect_usable();
        // The shard has most likely not read them when it hears of the end.
        fresh.send(call("echo", "\"fresh\""));
        used.send(call("echo", "\"used\""));
        server.engine().stop(ms(5000));
        assert!(matches!(server.engine().connect(), Err(ConnectError::Ended)));
        assert_eq!(fresh.reply().result(), "\"fresh\"");
        assert_eq!(used.reply().result(), "\"used\"");
        drop((fresh, used));
        server.join();
    }
}

fn an_open_connection_is_cut_when_the_drain_time_is_over(driver: DriverChoice) {
    let mut server = nowhere(driver, 1);
    let (mut idle, mut silent) = (connect(&server), connect(&server));
    idle.expect_usable();
    eventually("both are there", || server.sum(|shard| shard.connections) == 2);
    let start = Instant::now();
    server.engine().stop(ms(300));
    idle.expect_silence(ms(150));
    idle.expect_fin();
    silent.expect_fin();
    assert!(start.elapsed() >= Duration::from_millis(290), "{:?}", start.elapsed());
    server.join();
}

fn an_engine_that_is_dropped_leaves_no_descriptor(driver: DriverChoice) {
    let server = nowhere(driver, 1);
    let socket: OwnedFd = server.engine().connect().unwrap();
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", socket.as_raw_fd())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    assert_ne!(u32::from_str_radix(flags.trim(), 8).unwrap() & libc::O_CLOEXEC as u32, 0, "{info}");
    drop(server);
    // The other end is closed, wherever it was when the engine ended.
    Client::over(socket.into()).expect_end();
}

on_both_drivers!(
    it_serves_without_listening,
    connections_spread_over_the_shards,
    a_listener_may_stand_beside,
    the_bound_on_connections_counts_them,
    leaving_is_noticed_at_once,
    what_was_sent_before_the_end_is_answered,
    an_open_connection_is_cut_when_the_drain_time_is_over,
    an_engine_that_is_dropped_leaves_no_descriptor,
);
