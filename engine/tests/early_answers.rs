//! Answers given before the body was read: the connection stays in step, or ends so that the answer can be read.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::sync::Arc;

use fasttunnel_engine::limits::Limits;
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::decide::Exposure;
use support::{Client, DriverChoice, Server, eventually, ms, request};

/// A bound on what is thrown away that tests reach.
const MOST: u64 = 64 * 1024;
const MIB: usize = 1024 * 1024;

const TOKEN: &str = "x-runner-token: secret\r\n";

fn guarded(driver: DriverChoice) -> Server {
    guarded_with(driver, |_| {})
}

fn guarded_with(driver: DriverChoice, change: impl FnOnce(&mut Limits)) -> Server {
    Server::with(driver, |config| {
        let options = AuthOptions { tokens: Some(vec!["secret".to_owned()]), ..AuthOptions::default() };
        let open = Exposure::clone(&config.exposure);
        config.exposure = Arc::new(Exposure { auth: AuthConfig::new(options).unwrap(), ..open });
        config.limits.max_body_bytes = 300_000;
        change(&mut config.limits);
    })
}

/// Method, path, field lines, and the status of the answer that needs no body.
const REFUSALS: [(&str, &str, &str, u16); 5] = [
    ("POST", "/__runner/task/echo", "", 401),
    ("POST", "/__runner/task/unknown", TOKEN, 403),
    ("POST", "/elsewhere", "", 404),
    ("PUT", "/__runner/task/echo", TOKEN, 405),
    ("OPTIONS", "/__runner/task/echo", "", 204),
];

#[track_caller]
fn expect_in_step(client: &mut Client) {
    assert_eq!(client.ask(request("POST", "/__runner/task/echo", TOKEN, "\"in step\"")).result(), "\"in step\"");
}

fn a_rest_is_thrown_away(driver: DriverChoice) {
    let server = guarded_with(driver, |limits| limits.max_discarded_bytes = MOST);
    let mut client = server.client();
    let body = "x".repeat(MOST as usize);
    for (method, path, lines, status) in REFUSALS {
        // In one piece; with a body that comes after the answer; in chunks; with a request that follows at once.
        let reply = client.ask(request(method, path, lines, "small"));
        assert_eq!((reply.status, reply.closes()), (status, false), "{method} {path}");
        let text = request(method, path, lines, &body);
        let head = text.len() - body.len();
        let reply = client.ask(&text[..head]);
        assert_eq!((reply.status, reply.closes()), (status, false), "{method} {path}");
        client.send(&text[head..]);
        expect_in_step(&mut client);
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}Transfer-Encoding: chunked\r\n\r\n");
        client.send(format!("{head}5\r\n12345\r\n"));
        assert_eq!(client.reply().status, status, "{method} {path}");
        client.send("3\r\n123\r\n0\r\n\r\n");
        expect_in_step(&mut client);
    }
}

/// The bound is one on the rest: what came with the head (in the same read, which is small) does not count twice.
fn what_came_with_the_head_is_no_rest(driver: DriverChoice) {
    let server = guarded_with(driver, |limits| limits.max_discarded_bytes = MOST);
    let body = "x".repeat(MOST as usize + 50);
    for (method, path, lines, status) in REFUSALS {
        let mut client = server.client();
        let text = request(method, path, lines, &body);
        let head = text.len() - body.len() + 50;
        let reply = client.ask(&text[..head]);
        assert_eq!((reply.status, reply.closes()), (status, false), "{method} {path}");
        client.send(&text[head..]);
        expect_in_step(&mut client);
    }
}

fn a_request_that_declares_too_much_ends_the_connection(driver: DriverChoice) {
    let server = guarded_with(driver, |limits| limits.max_discarded_bytes = MOST);
    for (method, path, lines, status) in REFUSALS {
        let mut client = server.client();
        let length = MOST + 1;
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {length}\r\n\r\n"));
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (status, true), "{method} {path}");
        client.expect_fin();
        // The length of one chunk says enough.
        let mut client = server.client();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}Transfer-Encoding: chunked\r\n\r\n");
        let reply = client.ask(format!("{head}{length:x}\r\n"));
        assert_eq!((reply.status, reply.closes()), (status, true), "{method} {path}");
    }
}

fn a_chunked_rest_without_end_ends_the_connection(driver: DriverChoice) {
    let server = guarded_with(driver, |limits| limits.max_discarded_bytes = MOST);
    let mut client = server.client();
    client.send("POST /elsewhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (404, false));
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    for _ in 0..MOST / 0x1000 + 2 {
        if client.try_send(&chunk).is_err() {
            break;
        }
    }
    // What has been said cannot be unsaid: this end comes without a word, and no chunk is taken for a request.
    client.expect_end();
    eventually("it is over", || server.sum(|shard| shard.connections) == 0);
    assert_eq!(server.sum(|shard| shard.requests), 1);
}

/// Used to be cut after 8 MiB or 2 s, so that the client met a broken pipe instead of the answer.
fn a_client_that_sends_everything_before_it_reads_finds_the_answer(driver: DriverChoice) {
    let server = guarded(driver);
    let body = "x".repeat(64 * MIB);
    for size in [200_000, 5 * MIB, 64 * MIB] {
        for (lines, status) in [("", 401), (TOKEN, if size > 300_000 { 413 } else { 403 })] {
            let path = if status == 403 { "/__runner/task/unknown" } else { "/__runner/task/echo" };
            let mut client = server.client();
            client.send(request("POST", path, lines, &body[..size]));
            let reply = client.reply();
            assert_eq!((reply.status, reply.closes()), (status, false), "{size}");
            expect_in_step(&mut client);
            // The same in chunks; and in chunks so small that none of it is dropped unseen.
            for chunk in [64 * 1024, 100] {
                let size = size.min(chunk * 1000);
                client.send(format!("POST {path} HTTP/1.1\r\nHost: x\r\n{lines}Transfer-Encoding: chunked\r\n\r\n"));
                let status = if status == 413 && size <= 300_000 { 400 } else { status };
                let text = format!("{chunk:x}\r\n{}\r\n", &body[..chunk]).repeat(size / chunk);
                client.send(text + "0\r\n\r\n");
                assert_eq!(client.reply().status, status, "{size} in chunks of {chunk}");
                expect_in_step(&mut client);
            }
        }
    }
}

/// Nor when nothing but the answer is to be had any more.
fn a_client_that_has_declared_too_much_finds_the_answer(driver: DriverChoice) {
    let server = guarded_with(driver, |limits| limits.max_discarded_bytes = 12 * MIB as u64);
    let body = "x".repeat(16 * MIB);
    for lines in ["", "Connection: close\r\n"] {
        // What is taken, and what the kernel's buffers hold.
        for size in [11 * MIB, 12 * MIB] {
            let mut client = server.client();
            client.send(request("POST", "/__runner/task/echo", lines, &body[..size]));
            let reply = client.reply();
            assert_eq!((reply.status, reply.closes()), (401, !lines.is_empty()), "{size}");
            if !lines.is_empty() {
                client.expect_fin();
            }
        }
        let mut client = server.client();
        client
            .send(format!("POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 1000000000\r\n\r\n"));
        client.send(&body[..11 * MIB]);
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (401, true));
        while client.try_send(&body[..MIB]).is_ok() {}
        eventually("it is over", || server.sum(|shard| shard.connections) == 0);
    }
}

/// A head that is refused says nothing of what comes behind it.
fn the_answer_to_a_broken_head_can_be_read_by_a_client_that_still_writes(driver: DriverChoice) {
    let server = guarded(driver);
    let body = "x".repeat(20 * MIB);
    for (line, status) in [(format!("A: {}", "a".repeat(17_000)), 431), ("Broken".to_owned(), 400)] {
        let mut client = server.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: x\r\n{line}\r\nContent-Length: {}\r\n\r\n", body.len()));
        client.send(&body);
        assert_eq!(client.reply().status, status);
        client.expect_end();
    }
}

/// Sends a refused request whose body comes as `(bytes, ms)` until the connection ends or so many are sent.
fn drip(client: &mut Client, bytes: usize, every_ms: u64, most: usize) -> (usize, std::time::Duration) {
    client.send("POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n");
    assert_eq!(client.reply().status, 401);
    let start = std::time::Instant::now();
    let mut sent = 0;
    while sent < most && client.try_send("x".repeat(bytes)).is_ok() {
        sent += bytes;
        std::thread::sleep(ms(every_ms));
    }
    (sent, start.elapsed())
}

/// Used to be cut after 2 s, however fast it was.
fn a_rest_that_keeps_up_may_take_long(driver: DriverChoice) {
    let server = guarded_with(driver, |limits| limits.discard_timeout_ms = 400);
    let mut client = server.client();
    client.send("POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n");
    for _ in 0..25 {
        client.send("x".repeat(20_000));
        std::thread::sleep(ms(100));
    }
    assert_eq!(client.reply().status, 401);
    expect_in_step(&mut client);
    // Nor is there a pause that the bytes before it would not excuse.
    let mut client = server.client();
    let (_, time) = drip(&mut client, 20_000, 0, 200_000);
    assert!(time < ms(400));
    client.expect_fin();
}

fn a_rest_that_drips_is_cut(driver: DriverChoice) {
    let server = guarded_with(driver, |limits| {
        limits.discard_timeout_ms = 400;
        limits.min_body_bytes_per_s = 10_000;
    });
    // A tenth of the pace: late by 400 ms after some 450; and 2 s for the client to close.
    let (sent, time) = drip(&mut server.client(), 50, 50, MIB);
    assert!(time > ms(400) && time < ms(4000), "{time:?}, {sent} bytes");
    // Above the pace it goes on for as long as any body may.
    let mut client = server.client();
    let (sent, _) = drip(&mut client, 1000, 50, 40_000);
    assert_eq!(sent, 40_000);
    eventually("all are over", || server.sum(|shard| shard.connections) == 0);
}

fn a_rest_has_no_more_time_than_any_body(driver: DriverChoice) {
    let server = guarded_with(driver, |limits| {
        limits.body_timeout_ms = 300;
        limits.max_body_time_ms = 600;
    });
    let (sent, time) = drip(&mut server.client(), 20_000, 20, 64 * MIB);
    assert!(time > ms(600) && time < ms(4000), "{time:?}, {sent} bytes");
    eventually("it is over", || server.sum(|shard| shard.connections) == 0);
}

/// On epoll, where a read that there is something for is over at once, it would go on before all others.
fn a_flood_of_unwanted_bytes_leaves_others_their_turn(driver: DriverChoice) {
    let server = guarded(driver);
    let floods: Vec<_> = [64 * 1024, 8]
        .map(|chunk| {
            let mut flood = server.client();
            std::thread::spawn(move || {
                flood.send("POST /elsewhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
                let text = format!("{chunk:x}\r\n{}\r\n", "x".repeat(chunk)).repeat(MIB / chunk);
                let start = std::time::Instant::now();
                while start.elapsed() < ms(1000) {
                    flood.send(&text);
                }
                flood.send("0\r\n\r\n");
                assert_eq!(flood.reply().status, 404);
                expect_in_step(&mut flood);
            })
        })
        .into();
    let mut client = server.client();
    let mut slowest = ms(0);
    while !floods.iter().all(|flood| flood.is_finished()) {
        let start = std::time::Instant::now();
        expect_in_step(&mut client);
        slowest = slowest.max(start.elapsed());
    }
    floods.into_iter().for_each(|flood| flood.join().unwrap());
    assert!(slowest < ms(400), "{slowest:?}");
}

fn a_malformed_request_gets_one_answer_and_the_end(driver: DriverChoice) {
    let server = guarded(driver);
    for (text, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: x\n\n", 400),
        ("BREW / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("GET / HTTP/3.1\r\nHost: x\r\n\r\n", 505),
        ("\x16\x03\x01\x02\x00\x01\x00\x01", 400),
    ] {
        let mut client = server.client();
        client.send(format!("{}{text}", request("POST", "/__runner/task/echo", TOKEN, "1")));
        client.try_send(request("POST", "/__runner/task/echo", TOKEN, "2")).unwrap();
        assert_eq!(client.reply().result(), "1", "the good request before it is answered");
        let reply = client.reply();
        assert_eq!(reply.status, status, "{text:?}");
        assert!(reply.closes());
        client.expect_end();
    }
    let mut client = server.client();
    client.send(format!("GET /{} HTTP/1.1\r\n", "a".repeat(9000)));
    assert_eq!(client.reply().status, 414);
    let mut client = server.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(17_000)));
    assert_eq!(client.reply().status, 431);
}

fn lingering_ends(driver: DriverChoice) {
    let server = guarded(driver);
    let mut client = server.client();
    client.send("BROKEN\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    client.expect_fin();
    // Dribbling on does not keep the connection open for ever.
    let start = std::time::Instant::now();
    while client.try_send("x").is_ok() && start.elapsed() < ms(4000) {
        std::thread::sleep(ms(50));
    }
    assert!(start.elapsed() < ms(3000), "{:?}", start.elapsed());
    eventually("it is over", || server.sum(|shard| shard.connections) == 0);
}

on_both_drivers!(
    a_rest_is_thrown_away,
    what_came_with_the_head_is_no_rest,
    a_request_that_declares_too_much_ends_the_connection,
    a_chunked_rest_without_end_ends_the_connection,
    a_client_that_sends_everything_before_it_reads_finds_the_answer,
    a_client_that_has_declared_too_much_finds_the_answer,
    the_answer_to_a_broken_head_can_be_read_by_a_client_that_still_writes,
    a_rest_that_keeps_up_may_take_long,
    a_rest_that_drips_is_cut,
    a_rest_has_no_more_time_than_any_body,
    a_flood_of_unwanted_bytes_leaves_others_their_turn,
    a_malformed_request_gets_one_answer_and_the_end,
    lingering_ends,
);
