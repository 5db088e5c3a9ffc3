//! How long a connection lives, and what it is told about that.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::time::Instant;

use support::{DriverChoice, Server, call, event, ms, request};

fn serves_many_requests(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    for number in 0..100 {
        let reply = client.ask(call("echo", &number.to_string()));
        assert_eq!(reply.result(), number.to_string());
        assert_eq!(reply.field("connection"), Some("keep-alive"));
        assert_eq!(reply.field("keep-alive"), Some("timeout=5"));
        assert!(reply.field("date").unwrap().ends_with(" GMT"));
    }
    assert_eq!(client.ask(event("notify", "{}")).body, "{\"ok\":true}");
    assert_eq!(server.sum(|shard| shard.accepted), 1);
    assert_eq!(server.sum(|shard| shard.answered), 101);
}

fn close_is_answered_with_close(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    client.send(request("POST", "/__runner/task/echo", "Connection: close\r\n", "1"));
    let reply = client.reply();
    assert_eq!(reply.result(), "1");
    assert!(reply.closes());
    client.expect_fin();
}

fn nothing_is_served_behind_close(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    let last = request("POST", "/__runner/task/echo", "Connection: close\r\n", "1");
    client.send(format!("{}{last}{}", call("echo", "0"), call("echo", "2")));
    assert!(!client.reply().closes());
    assert!(client.reply().closes());
    client.expect_end();
    assert_eq!(server.sum(|shard| shard.requests), 2);
}

fn http_1_0_closes_unless_asked_to_stay(driver: DriverChoice) {
    let server = Server::start(driver);
    let old = |lines: &str| format!("POST /__runner/task/echo HTTP/1.0\r\n{lines}Content-Length: 1\r\n\r\n1");
    let mut client = server.client();
    let reply = client.ask(old(""));
    assert!(reply.closes());
    assert_eq!(reply.result(), "1");
    client.expect_fin();

    let mut client = server.client();
    for _ in 0..2 {
        let reply = client.ask(old("Connection: keep-alive\r\n"));
        assert_eq!(reply.field("connection"), Some("keep-alive"));
    }
    assert!(client.ask(old("")).closes());
    client.expect_fin();
}

fn head_and_options_have_no_content(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    client.send(request("HEAD", "/__runner/task/echo", "", ""));
    let reply = client.reply_to_head();
    assert_eq!((reply.status, reply.field("allow")), (405, Some("POST")));
    assert!(reply.field("content-length").unwrap().parse::<u32>().unwrap() > 0);
    for path in ["/__runner/task/echo", "*"] {
        let reply = client.ask(request("OPTIONS", path, "", ""));
        assert_eq!((reply.status, reply.field("content-length"), reply.body.as_str()), (204, None, ""));
    }
    client.expect_usable();
}

/// Whatever the requests are, and whether they come one by one or ahead of their answers.
fn a_connection_serves_as_many_requests_as_it_may(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.max_requests_per_connection = 3);
    let mut client = server.client();
    assert!(!client.ask(call("echo", "1")).closes());
    assert!(!client.ask(request("POST", "/nowhere", "", "12")).closes());
    let reply = client.ask(call("echo", "3"));
    assert_eq!((reply.result(), reply.closes()), ("3", true));
    client.expect_fin();

    let mut client = server.client();
    client.send((0..5).map(|number| call("echo", &number.to_string())).collect::<String>());
    for number in 0..3 {
        let reply = client.reply();
        assert_eq!((reply.result(), reply.closes()), (&*number.to_string(), number == 2));
    }
    client.expect_end();
    assert_eq!(server.sum(|shard| shard.requests), 6);

    // The last one may be a refusal, and a body that comes later.
    let mut client = server.client();
    for number in 0..2 {
        assert!(!client.ask(call("echo", &number.to_string())).closes());
    }
    let late = call("echo", "\"late\"");
    client.send_split(late.as_bytes(), late.len() - 3);
    let reply = client.reply();
    assert_eq!((reply.result(), reply.closes()), ("\"late\"", true));
    client.expect_fin();
    let mut client = server.client();
    for last in [false, false, true] {
        assert_eq!(client.ask(request("GET", "/__runner/task/echo", "", "")).closes(), last);
    }
    client.expect_fin();
}

/// The clock of the first head used to run on when that head came in one piece: a connection in use was closed.
fn a_connection_in_use_outlives_the_head_timeout(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.head_timeout_ms = 300);
    let mut client = server.client();
    let start = Instant::now();
    while start.elapsed() < ms(900) {
        client.expect_usable();
        std::thread::sleep(ms(50));
    }
    client.send(call("later", "1"));
    let (ticket, _) = server.taken();
    client.expect_silence(ms(600));
    ticket.json("1");
    assert_eq!(client.reply().result(), "1");
    client.expect_usable();
}

/// Pipelined heads that are always cut by the end of a read used to count as one slow head.
fn a_busy_pipeline_outlives_the_head_timeout(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.head_timeout_ms = 300);
    let mut client = server.client();
    let request = call("echo", "1");
    let (start, end) = request.split_at(20);
    client.send(start);
    let began = Instant::now();
    while began.elapsed() < ms(900) {
        client.send(format!("{end}{start}"));
        assert_eq!(client.reply().result(), "1");
        std::thread::sleep(ms(20));
    }
    client.send(end);
    assert_eq!(client.reply().result(), "1");
}

/// Some clients send an empty line behind a body; a FIN after it is no broken request.
fn an_empty_line_before_the_end_is_no_error(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    client.send(format!("{}\r\n", call("echo", "1")));
    client.finish_sending();
    assert_eq!(client.reply().result(), "1");
    client.expect_fin();
}

on_both_drivers!(
    serves_many_requests,
    close_is_answered_with_close,
    nothing_is_served_behind_close,
    a_connection_serves_as_many_requests_as_it_may,
    http_1_0_closes_unless_asked_to_stay,
    head_and_options_have_no_content,
    a_connection_in_use_outlives_the_head_timeout,
    a_busy_pipeline_outlives_the_head_timeout,
    an_empty_line_before_the_end_is_no_error,
);
