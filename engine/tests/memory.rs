//! `max_total_buffered_bytes` and `max_buffered_bytes`: what is held for connections has a bound, and reaching it costs
//! whoever holds much.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::sync::atomic::Ordering;
use std::time::Instant;

use fasttunnel_engine::limits::MEMORY_GRACE_MS;
use fasttunnel_engine::link::batch::Outcome;
use support::host::{TestHost, hosted};
use support::{Client, DriverChoice, Server, call, eventually, ms, request};

const MIB: usize = 1024 * 1024;
/// More than the kernel keeps on the way from the engine to a client that does not read.
const UNSENDABLE: usize = 16 * MIB;

fn with_bound(bytes: usize) -> impl FnOnce(&mut fasttunnel_engine::Config) {
    move |config| config.limits.max_total_buffered_bytes = bytes
}

fn held(server: &Server) -> u64 {
    server.sum(|shard| shard.held_bytes)
}

/// A JSON string of so many bytes.
fn text(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes - 2))
}

/// What a client that waits hears at once.
#[track_caller]
fn expect_503(client: &mut Client) {
    let reply = client.reply();
    assert_eq!((reply.status, reply.field("retry-after")), (503, Some("1")), "{reply:?}");
}

fn answer(host: &TestHost, calls: usize) {
    for _ in 0..calls {
        let (key, _) = host.call();
        host.say(key, Outcome::Result, b"1");
    }
}

/// Calls count until the host has read them.
fn calls_that_wait_fill_it(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], with_bound(MIB));
    host.deaf.store(true, Ordering::Relaxed);
    let taken_on = || server.sum(|shard| shard.calls);
    let mut clients: Vec<Client> = Vec::new();
    // Three of these leave room.
    for calls in 1..=3 {
        let mut client = server.client();
        client.send(call("echo", &text(300_000)));
        clients.push(client);
        eventually("it is taken on", || taken_on() == calls);
    }
    // A fourth does not fit, which shows while it comes. Its rest is thrown away.
    let mut fourth = server.client();
    fourth.send(call("echo", &text(300_000)));
    let reply = fourth.reply();
    assert_eq!((reply.status, reply.field("retry-after"), reply.closes()), (503, Some("1"), false), "{reply:?}");
    assert_eq!(fourth.ask(request("GET", "/elsewhere", "", "")).status, 404);
    drop(fourth);
    eventually("its connection is gone", || server.sum(|shard| shard.connections) == 3);
    // Small ones do, up to the bound.
    let mut late = loop {
        let (calls, mut client) = (taken_on(), server.client());
        client.send(call("echo", &text(10_000)));
        eventually("it is taken on or refused", || taken_on() > calls || server.sum(|shard| shard.overloaded) == 2);
        if taken_on() == calls {
            break client;
        }
        clients.push(client);
    };
    expect_503(&mut late);
    assert!((980_000..MIB as u64 + 20_000).contains(&held(&server)), "{} bytes", held(&server));
    // Afterwards all is as before.
    host.deaf.store(false, Ordering::Relaxed);
    answer(&host, clients.len());
    for client in &mut clients {
        assert_eq!(client.reply().result(), "1");
    }
    host.expect_usable(&mut late);
    drop((clients, late));
    eventually("nothing is held", || held(&server) == 0);
}

/// Large calls of one connection come one after another, so it cannot fill the batch that is everybody's.
fn large_calls_of_one_connection_wait_for_each_other(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    let writer = client.tcp_stream().try_clone().unwrap();
    let flood = std::thread::spawn(move || {
        std::io::Write::write_all(&mut &writer, call("echo", &text(200_000)).repeat(8).as_bytes()).unwrap();
    });
    for _ in 0..8 {
        let (key, _) = host.call();
        assert!(host.try_next(ms(30), |_| Some(())).is_none(), "a second one at the same time");
        host.say(key, Outcome::Result, b"1");
        assert_eq!(client.reply().result(), "1");
    }
    flood.join().unwrap();
    // Small ones do not.
    client.send(call("echo", "1").repeat(20));
    answer(&host, 20);
    for _ in 0..20 {
        assert_eq!(client.reply().result(), "1");
    }
}

/// An answer may pass the bound, once it is reached large ones become a 500; small ones are always sent.
fn large_answers_are_discarded_when_it_is_full(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], with_bound(MIB));
    let ask = || {
        let mut client = server.client();
        client.send(call("echo", "1"));
        (client, host.call().0)
    };
    let (_deaf, first) = ask();
    let (mut large, second) = ask();
    let (mut small, third) = ask();
    host.say(first, Outcome::Result, text(UNSENDABLE).as_bytes());
    eventually("the answer waits for its client", || held(&server) >= MIB as u64);
    host.say(second, Outcome::Result, text(5000).as_bytes());
    host.say(third, Outcome::Result, text(4000).as_bytes());
    let reply = large.reply();
    assert_eq!((reply.status, reply.closes()), (500, false), "{reply:?}");
    assert_eq!(small.reply().result().len(), 4000);
    assert_eq!(server.sum(|shard| shard.discarded_answers), 1);
}

/// Clients that take nothing make room for those that do, the one that holds most first.
fn who_does_not_read_is_disconnected_when_it_is_full(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], with_bound(4 * MIB));
    let mut deaf: Vec<Client> = (0..3).map(|_| server.client()).collect();
    let start = Instant::now();
    let keys: Vec<_> = deaf
        .iter_mut()
        .map(|client| {
            client.send(call("echo", "1"));
            host.call().0
        })
        .collect();
    for (key, bytes) in keys.into_iter().zip([UNSENDABLE, 2 * UNSENDABLE, UNSENDABLE]) {
        host.say(key, Outcome::Result, text(bytes).as_bytes());
    }
    // The second and the third came too late to be kept.
    eventually("the first is disconnected", || server.sum(|shard| shard.evicted) == 1);
    assert!(start.elapsed() >= ms(MEMORY_GRACE_MS), "{:?}", start.elapsed());
    eventually("there is room", || held(&server) < MIB as u64);
    let mut client = server.client();
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.say(key, Outcome::Result, text(100_000).as_bytes());
    assert_eq!(client.reply().result().len(), 100_000);
}

/// A client that reads, however slowly, keeps its connection.
fn who_reads_is_not_disconnected(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], with_bound(MIB));
    let mut client = server.client();
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.say(key, Outcome::Result, text(UNSENDABLE).as_bytes());
    let start = Instant::now();
    while start.elapsed() < ms(2 * MEMORY_GRACE_MS) {
        client.read_ahead(256 * 1024);
        std::thread::sleep(ms(50));
    }
    assert_eq!(client.reply().result().len(), UNSENDABLE);
    assert_eq!(server.sum(|shard| shard.evicted), 0);
}

/// What a head declares costs nothing; what has come of bodies counts, and who is slow makes room.
fn bodies_that_do_not_come_make_room(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], with_bound(2 * MIB));
    let whole = call("echo", &text(400_000));
    let (head, body) = whole.split_at(whole.len() - 400_000);
    let mut slow: Vec<Client> = (0..12)
        .map(|_| {
            let mut client = server.client();
            client.send(head);
            client
        })
        .collect();
    eventually("all heads have come", || server.sum(|shard| shard.requests) == 12);
    assert!(held(&server) < 12 * 8192, "{} bytes for what is only declared", held(&server));
    for client in &mut slow {
        // Some are refused while they send.
        let _ = client.try_send(&body[..300_000]);
    }
    // The rest of those that hold the memory never comes: after a second they are told so.
    eventually("they make room", || server.sum(|shard| shard.evicted) > 0 && held(&server) <= MIB as u64);
    let mut refused = 0;
    for client in &mut slow {
        client.set_patience(ms(50));
        match client.try_reply(true) {
            Ok(reply) => {
                assert_eq!((reply.status, reply.field("retry-after")), (503, Some("1")));
                refused += 1;
            }
            Err(_) => client.set_patience(ms(5000)),
        }
    }
    assert!((4..12).contains(&refused), "{refused} of 12");
    let mut client = server.client();
    client.send(&whole);
    answer(&host, 1);
    assert_eq!(client.reply().result(), "1");
}

/// The rest of a refused request is thrown away: whoever leaves it unfinished, without a token perhaps, holds no buffers.
fn rests_that_nobody_wants_hold_nothing(driver: DriverChoice) {
    let server = Server::with(driver, with_bound(MIB));
    let bytes = request("POST", "/elsewhere", "", &"x".repeat(60_000));
    let mut refused: Vec<Client> = (0..60).map(|_| server.client()).collect();
    for client in &mut refused {
        client.send(&bytes[..bytes.len() - 100]);
        assert_eq!(client.reply().status, 404);
    }
    eventually("nothing is held", || held(&server) == 0);
    // And silent ones that have sent large requests before.
    let mut idle: Vec<Client> = (0..60).map(|_| server.client()).collect();
    for client in &mut idle {
        assert_eq!(client.ask(call("echo", &text(100_000))).result().len(), 100_000);
    }
    eventually("nothing is held", || held(&server) == 0);
    refused.iter_mut().for_each(|client| client.send(&bytes[bytes.len() - 100..]));
    refused.iter_mut().chain(&mut idle).for_each(Client::expect_usable);
}

/// Heads that are begun make room as well, and so does what waits behind a call.
fn heads_that_do_not_come_make_room(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], with_bound(MIB));
    let long = format!("POST /__runner/task/echo HTTP/1.1\r\nx: {}", "x".repeat(15_000));
    let mut slow: Vec<Client> = (0..70).map(|_| server.client()).collect();
    slow.iter_mut().for_each(|client| client.send(&long));
    eventually("it is full", || held(&server) >= MIB as u64);
    let mut client = server.client();
    eventually("they make room", || server.sum(|shard| shard.evicted) > 0 && held(&server) <= MIB as u64 / 2 + 65_536);
    host.expect_usable(&mut client);
    drop(slow);
    eventually("they have left", || server.sum(|shard| shard.connections) == 1);
    // A body behind a call that takes long: its connection is cut off, the call is abandoned.
    let mut waiting: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for client in &mut waiting {
        let _ = client.try_send(call("echo", "1"));
        let _ = client.try_send(&call("echo", &text(400_000))[..300_000]);
    }
    eventually("they make room again", || {
        held(&server) <= MIB as u64 / 2 + 65_536 && server.sum(|shard| shard.abandoned) > 0
    });
}

/// The manifest of a form waits here until it is whole.
fn manifests_count(driver: DriverChoice) {
    let (server, _host) = hosted(driver, &["echo"], with_bound(MIB));
    let part = "--B\r\nContent-Disposition: form-data; name=\"__manifest\"\r\n\r\n";
    let head = "POST /__runner/task/echo HTTP/1.1\r\nHost: test\r\ncontent-type: multipart/form-data; boundary=B\r\ncontent-length: 2000000\r\n\r\n";
    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for client in &mut clients {
        let _ = client.try_send(format!("{head}{part}{}", " ".repeat(500_000)));
    }
    // Those that came first have room, if they hurry.
    eventually("they make room", || server.sum(|shard| shard.overloaded) >= 1 && held(&server) < MIB as u64);
    let mut late = server.client();
    late.send(request("GET", "/__runner/discovery", "", ""));
    assert_eq!(late.reply().status, 200);
}

on_both_drivers!(
    calls_that_wait_fill_it,
    large_calls_of_one_connection_wait_for_each_other,
    large_answers_are_discarded_when_it_is_full,
    who_does_not_read_is_disconnected_when_it_is_full,
    who_reads_is_not_disconnected,
    bodies_that_do_not_come_make_room,
    rests_that_nobody_wants_hold_nothing,
    heads_that_do_not_come_make_room,
    manifests_count,
);
