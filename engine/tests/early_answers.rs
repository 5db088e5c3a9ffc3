//! Answers given before the body was read: the connection stays in step, or ends so that the answer can be read.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::sync::Arc;

use fasttunnel_engine::limits::{DRAIN_BYTES, LINGER_BYTES};
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::decide::Exposure;
use support::{Client, DriverChoice, Server, eventually, ms, request};

const TOKEN: &str = "x-runner-token: secret\r\n";

fn guarded(driver: DriverChoice) -> Server {
    Server::with(driver, |config| {
        let options = AuthOptions { tokens: Some(vec!["secret".to_owned()]), ..AuthOptions::default() };
        let open = Exposure::clone(&config.exposure);
        config.exposure = Arc::new(Exposure { auth: AuthConfig::new(options).unwrap(), ..open });
        config.limits.max_body_bytes = 300_000;
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

fn a_small_rest_is_drained(driver: DriverChoice) {
    let server = guarded(driver);
    let mut client = server.client();
    let body = "x".repeat(DRAIN_BYTES as usize);
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
    let server = guarded(driver);
    let body = "x".repeat(DRAIN_BYTES as usize + 50);
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

fn a_large_rest_ends_the_connection(driver: DriverChoice) {
    let server = guarded(driver);
    for (method, path, lines, status) in REFUSALS {
        let mut client = server.client();
        let length = DRAIN_BYTES + 1;
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {length}\r\n\r\n"));
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (status, true), "{method} {path}");
        client.expect_fin();
    }
}

fn a_chunked_rest_without_end_ends_the_connection(driver: DriverChoice) {
    let server = guarded(driver);
    let mut client = server.client();
    client.send("POST /elsewhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (404, false));
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    for _ in 0..DRAIN_BYTES / 0x1000 + 2 {
        if client.try_send(&chunk).is_err() {
            break;
        }
    }
    // What has been said cannot be unsaid: this end comes without a word, and no chunk is taken for a request.
    client.expect_end();
    eventually("it is over", || server.sum(|shard| shard.connections) == 0);
    assert_eq!(server.sum(|shard| shard.requests), 1);
}

/// A client that writes all of a large body before it reads must find the answer.
fn the_answer_can_be_read_by_a_client_that_still_writes(driver: DriverChoice) {
    let server = guarded(driver);
    // Within LINGER_BYTES everything is taken; beyond it the client gets a reset, behind the answer.
    for size in [200_000, 5_000_000, 2 * LINGER_BYTES as usize] {
        for (lines, status) in [("", 401), (TOKEN, if size > 300_000 { 413 } else { 403 })] {
            let path = if status == 403 { "/__runner/task/unknown" } else { "/__runner/task/echo" };
            let mut client = server.client();
            let text = request("POST", path, lines, &"x".repeat(size));
            let sent = text.as_bytes().chunks(16 * 1024).try_for_each(|part| client.try_send(part));
            assert!(sent.is_ok() || size as u64 > LINGER_BYTES, "{sent:?}");
            let reply = client.reply();
            assert_eq!((reply.status, reply.closes()), (status, true), "{size}");
            client.expect_end();
        }
    }
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
    a_small_rest_is_drained,
    what_came_with_the_head_is_no_rest,
    a_large_rest_ends_the_connection,
    a_chunked_rest_without_end_ends_the_connection,
    the_answer_can_be_read_by_a_client_that_still_writes,
    a_malformed_request_gets_one_answer_and_the_end,
    lingering_ends,
);
