//! Many requests on one connection: answers in order, bounds that hold, nobody else delayed.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::time::Instant;

use support::{DriverChoice, Server, call, eventually, ms, process, request};

fn answers_keep_the_order_of_requests(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    // Refusals and echoes are ready at once; the ones between are answered backwards, each by its own thread.
    let mut bytes = String::new();
    for number in 0..24 {
        bytes += &match number % 3 {
            0 => call("later", &number.to_string()),
            1 => call("echo", &number.to_string()),
            _ => request("GET", "/elsewhere", "", ""),
        };
    }
    client.send(bytes);
    let mut tickets: Vec<_> = (0..8).map(|_| server.taken()).collect();
    while let Some((ticket, body)) = tickets.pop() {
        std::thread::spawn(move || ticket.json(&body)).join().unwrap();
    }
    for number in 0..24 {
        let reply = client.reply();
        match number % 3 {
            2 => assert_eq!(reply.status, 404),
            _ => assert_eq!(reply.result(), number.to_string()),
        }
    }
    client.expect_usable();
}

fn a_slow_call_delays_no_other_connection(driver: DriverChoice) {
    let server = Server::start(driver);
    let (mut slow, mut quick) = (server.client(), server.client());
    slow.send(call("later", "\"slow\""));
    let (ticket, _) = server.taken();
    let start = Instant::now();
    for _ in 0..50 {
        quick.expect_usable();
    }
    assert!(start.elapsed() < ms(1000), "{:?}", start.elapsed());
    slow.expect_silence(ms(20));
    ticket.json("\"slow\"");
    assert_eq!(slow.reply().result(), "\"slow\"");
}

fn reading_stops_at_max_pipelined(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.max_pipelined = 4);
    let mut client = server.client();
    client.send(call("later", "0").repeat(9));
    let mut tickets: Vec<_> = (0..4).map(|_| server.taken().0).collect();
    assert!(server.later.recv_timeout(ms(150)).is_err(), "a fifth request was taken on");
    assert_eq!(server.sum(|shard| shard.in_flight), 4);
    for done in 0..9 {
        tickets.remove(0).json("1");
        assert_eq!(client.reply().result(), "1");
        if done < 5 {
            tickets.push(server.taken().0);
        }
    }
    client.expect_usable();
}

/// Answers that fill the output make the reader wait; when they left in one go nobody woke it again.
fn a_reader_that_waits_for_room_goes_on(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    // The answers become ready all at once and are larger than `max_buffered_bytes`.
    for round in 0..20 {
        client.send(call("later", "0"));
        client.send(call("big", "4000").repeat(31));
        client.send(call("echo", "1").repeat(40));
        server.taken().0.json("0");
        assert_eq!(client.reply().result(), "0", "round {round}");
        for _ in 0..31 {
            assert_eq!(client.reply().result().len(), 4002);
        }
        for _ in 0..40 {
            assert_eq!(client.reply().result(), "1", "round {round}");
        }
    }
}

fn ten_thousand_unread_requests_cost_bounded_memory(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut warm = server.client();
    warm.expect_usable();
    let before = process::resident_kib();
    let mut client = server.client();
    let mut writer = client.tcp_stream().try_clone().unwrap();
    let flood = std::thread::spawn(move || {
        std::io::Write::write_all(&mut writer, call("big", "2000").repeat(10_000).as_bytes())
    });
    // It stalls when the socket buffers are full in both directions; the others go on.
    eventually("the flood stalls", || {
        let requests = server.sum(|shard| shard.requests);
        warm.expect_usable();
        std::thread::sleep(ms(60));
        server.sum(|shard| shard.requests) - requests <= 1
    });
    let requests = server.sum(|shard| shard.requests);
    assert!(requests < 9_000, "{requests} requests were taken on although nobody read the answers");
    let grown = process::resident_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB for one connection (the test's own 2 MB included)");
    // Everything is answered once the client reads.
    for _ in 0..10_000 {
        assert_eq!(client.reply().result().len(), 2002);
    }
    flood.join().unwrap().unwrap();
    client.expect_usable();
}

fn a_flood_of_refused_requests_leaves_others_their_turn(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    let mut writer = client.tcp_stream().try_clone().unwrap();
    let flood = std::thread::spawn(move || {
        std::io::Write::write_all(&mut writer, request("GET", "/elsewhere", "", "").repeat(30_000).as_bytes())
    });
    let reader = std::thread::spawn(move || {
        for _ in 0..30_000 {
            assert_eq!(client.reply().status, 404);
        }
        client
    });
    let mut other = server.client();
    let mut worst = ms(0);
    while !reader.is_finished() {
        let start = Instant::now();
        other.expect_usable();
        worst = worst.max(start.elapsed());
    }
    assert!(worst < ms(1000), "another connection waited {worst:?}");
    flood.join().unwrap().unwrap();
    reader.join().unwrap().expect_usable();
}

/// On epoll, where a send that there is room for is over at once, the connection used to go on before all others.
fn a_flood_of_refused_requests_is_taken_in_turns(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    let mut writer = client.tcp_stream().try_clone().unwrap();
    let flood = std::thread::spawn(move || {
        std::io::Write::write_all(&mut writer, request("GET", "/elsewhere", "", "").repeat(20_000).as_bytes())
    });
    for _ in 0..20_000 {
        assert_eq!(client.reply().status, 404);
    }
    flood.join().unwrap().unwrap();
    let ticks = server.sum(|shard| shard.ticks);
    // Some 64 KiB of answers in each.
    assert!(ticks > 50, "20,000 requests were taken in {ticks} turns");
}

on_both_drivers!(
    a_flood_of_refused_requests_is_taken_in_turns,
    answers_keep_the_order_of_requests,
    a_slow_call_delays_no_other_connection,
    reading_stops_at_max_pipelined,
    a_reader_that_waits_for_room_goes_on,
    ten_thousand_unread_requests_cost_bounded_memory,
    a_flood_of_refused_requests_leaves_others_their_turn,
);
