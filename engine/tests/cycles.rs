//! Nothing is left of an engine: threads, descriptors and memory return to where they were. A file of its own,
//! because it counts what the whole process has; each test has the process to itself under nextest.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use support::{DriverChoice, Server, call, eventually, process};

fn hundreds_of_starts_and_stops_leave_nothing(driver: DriverChoice) {
    let cycle = |number: u32| {
        let server = Server::with(driver, |config| config.shards = 2);
        let mut clients: Vec<_> = (0..3).map(|_| server.client()).collect();
        for client in &mut clients {
            client.expect_usable();
        }
        // Every state that an end can meet: idle, in a head, in a body, in a call, with answers unread.
        clients[0].send(&call("echo", "1")[..30]);
        clients[1].send(call("later", "1"));
        let ticket = server.taken();
        clients[2].send(call("big", "3000000"));
        match number % 3 {
            0 => drop(clients),
            1 => drop(ticket),
            _ => server.engine().stop(support::ms(1)),
        }
        drop(server);
    };
    // The first cycles make what stays by right: allocator arenas, lazily opened descriptors.
    (0..5).for_each(cycle);
    let (threads, descriptors) = (process::threads(), process::descriptors());
    let grown = |_| {
        let before = process::resident_kib();
        (0..100).for_each(cycle);
        process::resident_kib().saturating_sub(before)
    };
    let grown: Vec<_> = (0..3).map(grown).collect();
    eventually("threads are back at the base", || process::threads() <= threads);
    // A ring's descriptors are freed by the kernel's own time.
    eventually("descriptors are back at the base", || process::descriptors() <= descriptors);
    // A leak shows each time: 80 KiB a cycle would be one. What glibc makes of threads that come and go shows now and then:
    // arenas, with a part of the 3 MB answers in some of them.
    assert!(grown.iter().any(|kib| *kib < 8 * 1024), "{grown:?} KiB more after 100 cycles each");
}

fn churn_leaves_nothing(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.shards = 2);
    let round = |number: u32| {
        let mut client = server.client();
        match number % 4 {
            0 => client.expect_usable(),
            1 => client.send(call("echo", "1")),
            2 => client.send(call("later", "1")),
            _ => client.send(&call("echo", "\"half\"")[..60]),
        }
        if number.is_multiple_of(2) { client.reset() } else { drop(client) }
    };
    (0..200).for_each(round);
    eventually("all were accepted", || server.sum(|shard| shard.accepted) == 200);
    eventually("all have left", || server.sum(|shard| shard.connections) == 0);
    while server.later.try_recv().is_ok() {}
    let (descriptors, kib) = (process::descriptors(), process::resident_kib());
    (0..2000).for_each(round);
    eventually("all were accepted", || server.sum(|shard| shard.accepted) == 2200);
    eventually("all have left", || server.sum(|shard| shard.connections) == 0);
    eventually("calls are freed", || {
        while server.later.try_recv().is_ok() {}
        server.sum(|shard| shard.in_flight) == 0
    });
    eventually("descriptors are back at the base", || process::descriptors() <= descriptors);
    let grown = process::resident_kib().saturating_sub(kib);
    assert!(grown < 4 * 1024, "{grown} KiB more after 2000 connections");
}

/// A connection that has once moved a lot used to keep its large buffers while it idled.
fn idle_connections_keep_little_memory(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.max_pipelined = 1000);
    let body = format!("\"{}\"", "m".repeat(200_000));
    let exchange = |client: &mut support::Client| {
        assert_eq!(client.ask(call("echo", &body)).result(), body);
        client.expect_usable();
    };
    let mut first = server.client();
    exchange(&mut first);
    let mut clients: Vec<_> = (0..200).map(|_| server.client()).collect();
    clients.iter_mut().for_each(support::Client::expect_usable);
    let kib = process::resident_kib();
    for client in &mut clients {
        exchange(client);
        client.forget_buffer();
    }
    let grown = process::resident_kib().saturating_sub(kib);
    assert!(grown < 200 * 32, "{} KiB for each idle connection", grown / 200);
}

fn an_idle_engine_sleeps(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.shards = 2);
    drop(server.client());
    eventually("it is alone", || server.sum(|shard| shard.accepted) == 1 && server.sum(|shard| shard.connections) == 0);
    std::thread::sleep(support::ms(250));
    let (ticks, cpu) = (server.sum(|shard| shard.ticks), process::cpu_ms());
    std::thread::sleep(support::ms(500));
    assert_eq!(server.sum(|shard| shard.ticks), ticks, "without connections there is nothing to time");
    assert!(process::cpu_ms() - cpu <= 20);
    // With idle connections, ten ticks a second.
    let mut client = server.client();
    client.expect_usable();
    let ticks = server.sum(|shard| shard.ticks);
    std::thread::sleep(support::ms(500));
    assert!(server.sum(|shard| shard.ticks) - ticks < 15);
}

on_both_drivers!(
    hundreds_of_starts_and_stops_leave_nothing,
    churn_leaves_nothing,
    idle_connections_keep_little_memory,
    an_idle_engine_sleeps,
);
