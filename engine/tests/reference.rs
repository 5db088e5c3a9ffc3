//! Where the engine does as node:http does, for tunnels that replace the reference (CONTRACT 10, 22).
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use support::{DriverChoice, Server, call, ms, request};

fn reference(driver: DriverChoice) -> Server {
    Server::with(driver, |config| {
        config.reference = true;
        // To node:http a target has no bound of its own, it counts as a part of the head.
        config.limits.max_target_bytes = config.limits.max_head_bytes;
        config.limits.max_body_bytes = 20;
    })
}

fn methods_that_node_does_not_know_end_the_connection(driver: DriverChoice) {
    let server = reference(driver);
    for method in ["FROB", "post", "Post", "BREW"] {
        let mut client = server.client();
        let reply = client.ask(request(method, "/__runner/task/echo", "", ""));
        assert_eq!((reply.status, reply.closes()), (400, true), "{method}");
        client.expect_end();
    }
    let mut client = server.client();
    for method in ["GET", "PUT", "DELETE", "PATCH", "TRACE", "M-SEARCH", "PURGE", "QUERY", "UNSUBSCRIBE"] {
        assert_eq!(client.ask(request(method, "/__runner/task/echo", "", "")).status, 405, "{method}");
    }
}

fn connect_is_dropped_behind_the_answers_before_it(driver: DriverChoice) {
    let server = reference(driver);
    let mut client = server.client();
    client.send(format!("{}CONNECT test:80 HTTP/1.1\r\nHost: test\r\n\r\n", call("echo", "1")));
    assert_eq!(client.reply().result(), "1");
    client.expect_fin();
}

fn an_unknown_expectation_keeps_the_connection(driver: DriverChoice) {
    let server = reference(driver);
    let mut client = server.client();
    for body in ["", "1", "{\"a\":1}"] {
        let reply = client.ask(request("POST", "/__runner/task/echo", "Expect: banana\r\n", body));
        assert_eq!((reply.status, reply.closes()), (417, false));
    }
    assert_eq!(client.ask(call("echo", "1")).result(), "1");
    // An HTTP/1.0 client has none.
    client.send("POST /__runner/task/echo HTTP/1.0\r\nExpect: banana\r\ncontent-length: 1\r\n\r\n7");
    assert_eq!(client.reply().result(), "7");
}

fn the_interim_answer_comes_before_any_decision(driver: DriverChoice) {
    let server = reference(driver);
    let mut client = server.client();
    for (path, status) in [("/__runner/task/echo", 200), ("/__runner/task/nope", 403), ("/nowhere", 404)] {
        let mut bytes = request("POST", path, "Expect: 100-continue\r\n", "12");
        bytes.truncate(bytes.len() - 2);
        client.send(bytes);
        assert_eq!(client.reply_to_head().status, 100, "{path}");
        client.send("34");
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (status, false), "{path}");
    }
}

fn only_bytes_that_came_count_for_the_limit(driver: DriverChoice) {
    let server = reference(driver);
    let mut client = server.client();
    let head = "POST /__runner/task/echo HTTP/1.1\r\nHost: test\r\n";
    client.send(format!("{head}content-length: 100\r\n\r\n\"123456789"));
    client.expect_silence(ms(50));
    client.send("12345678901");
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (413, false));
    client.send("x".repeat(79));
    assert_eq!(client.ask(call("echo", "\"12345678901234567 \"")).result(), "\"12345678901234567 \"");
    // Chunked: the same, and in one piece.
    client.send(format!("{head}transfer-encoding: chunked\r\n\r\n14\r\n\"123456789012345678\"\r\n"));
    client.expect_silence(ms(50));
    client.send("1\r\n \r\n");
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (413, false));
    client.send("3\r\nabc\r\n0\r\n\r\n");
    client.send(format!("{head}transfer-encoding: chunked\r\n\r\n15\r\n123456789012345678901\r\n0\r\n\r\n"));
    assert_eq!(client.reply().status, 413);
    assert_eq!(client.ask(call("echo", "1")).result(), "1");
    // More than is thrown away for anybody ends the connection.
    let reply = client.ask(format!("{head}content-length: 9999999999\r\n\r\n{}", "x".repeat(21)));
    assert_eq!((reply.status, reply.closes()), (413, true));
}

fn a_large_unwanted_body_is_drained(driver: DriverChoice) {
    let server = reference(driver);
    let mut client = server.client();
    let reply = client.ask(request("POST", "/nowhere", "", &"x".repeat(2_000_000)));
    assert_eq!((reply.status, reply.closes()), (404, false));
    assert_eq!(client.ask(call("echo", "1")).result(), "1");
}

fn what_is_no_http_to_node_is_a_400(driver: DriverChoice) {
    let server = reference(driver);
    for (head, status) in [
        ("GET / HTTP/1.2\r\nHost: x\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        ("FOO BAR\r\n\r\n", 400),
    ] {
        let mut client = server.client();
        let reply = client.ask(head);
        assert_eq!((reply.status, reply.closes()), (status, true), "{head}");
    }
    let mut client = server.client();
    assert_eq!(client.ask(request("POST", &format!("/{}", "x".repeat(10_000)), "", "")).status, 404);
    assert_eq!(client.ask(request("POST", &format!("/{}", "x".repeat(20_000)), "", "")).status, 431);
}

fn a_fragment_is_ignored(driver: DriverChoice) {
    let server = reference(driver);
    let mut client = server.client();
    for target in ["/__runner/task/echo#x", "/__runner/task/echo?a=b#/__runner/task/nope", "/__runner/task/echo#"] {
        assert_eq!(client.ask(request("POST", target, "", "7")).result(), "7", "{target}");
    }
}

on_both_drivers!(
    a_fragment_is_ignored,
    methods_that_node_does_not_know_end_the_connection,
    connect_is_dropped_behind_the_answers_before_it,
    an_unknown_expectation_keeps_the_connection,
    the_interim_answer_comes_before_any_decision,
    only_bytes_that_came_count_for_the_limit,
    a_large_unwanted_body_is_drained,
    what_is_no_http_to_node_is_a_400,
);
