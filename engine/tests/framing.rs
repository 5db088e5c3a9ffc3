//! Bytes cut anywhere mean the same; bodies come whole, in pieces, in chunks, or only when asked for.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use support::{DriverChoice, Server, call, event, ms, request};

fn chunked(lines: &str, chunks: &[&str]) -> String {
    let mut text = format!("POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\n{lines}Transfer-Encoding: chunked\r\n\r\n");
    for chunk in chunks {
        text += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
    }
    text + "0\r\n\r\n"
}

fn a_request_may_be_split_at_every_byte(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    for text in [call("echo", "[1,\"\\u00e9\"]"), chunked("", &["[1,\"\\u0", "0e9\"]"])] {
        for at in 1..text.len() {
            client.send_split(text.as_bytes(), at);
            assert_eq!(client.reply().result(), "[1,\"\\u00e9\"]", "split at {at}");
        }
    }
    // A split between two requests, and one in each of them at once.
    let both = format!("{}{}", call("echo", "1"), chunked("", &["2"]));
    for at in (1..both.len()).step_by(7) {
        client.send_split(both.as_bytes(), at);
        assert_eq!((client.reply().result(), client.reply().result()), ("1", "2"), "split at {at}");
    }
}

fn requests_of_every_kind_may_come_in_one_packet(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    let mut all = String::new();
    for number in 0..10 {
        all += &call("echo", &number.to_string());
        all += &chunked("", &["\"a\"", " "]);
        all += &request("GET", "/__runner/task/echo", "", "a body that nobody wants");
        all += &chunked("", &["not JSON"]);
        all += &event("notify", "");
        all += "\r\n";
    }
    for _ in 0..2 {
        client.send(&all);
        for number in 0..10 {
            assert_eq!(client.reply().result(), number.to_string());
            assert_eq!(client.reply().result(), "\"a\" ");
            assert_eq!(client.reply().status, 405);
            assert_eq!(client.reply().status, 400);
            assert_eq!(client.reply().status, 200);
        }
    }
}

fn one_byte_chunks(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    let body = format!("\"{}\"", "y".repeat(5000));
    let bytes: Vec<&str> = (0..body.len()).map(|at| &body[at..=at]).collect();
    assert_eq!(client.ask(chunked("", &bytes)).result(), body);
    // And one packet a byte, for a while.
    for byte in chunked("", &["1", "2"]).as_bytes() {
        client.send([*byte]);
    }
    assert_eq!(client.reply().result(), "12");
}

fn bodies_of_a_mebibyte(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    let body = format!("\"{}\"", "z".repeat(1 << 20));
    let parts: Vec<&str> = body.as_bytes().chunks(70_000).map(|part| std::str::from_utf8(part).unwrap()).collect();
    for _ in 0..3 {
        assert_eq!(client.ask(call("echo", &body)).result(), body);
        // The next request comes in the packet that ends the body.
        client.send(chunked("", &parts) + &call("echo", "7"));
        assert_eq!(client.reply().result(), body);
        assert_eq!(client.reply().result(), "7");
    }
}

fn the_body_limit_is_exact(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.max_body_bytes = 100);
    let fits = format!("\"{}\"", "x".repeat(98));
    let over = format!("\"{}\"", "x".repeat(99));
    let mut client = server.client();
    assert_eq!(client.ask(call("echo", &fits)).result(), fits);
    assert_eq!(client.ask(chunked("", &[&fits[..50], &fits[50..]])).result(), fits);
    // The declared length is enough to refuse, and so is a chunk size; the rest is thrown away.
    let reply = client.ask(call("echo", &over));
    assert_eq!((reply.status, reply.closes()), (413, false));
    client.expect_usable();
    let reply = client.ask(chunked("", &[&over[..50], &over[50..]]));
    assert_eq!((reply.status, reply.closes()), (413, false));
    client.expect_usable();
}

const EXPECTING: &str = "Expect: 100-continue\r\n";

fn the_interim_answer_comes_before_the_body(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    for text in [request("POST", "/__runner/task/echo", EXPECTING, "\"x\""), chunked(EXPECTING, &["\"x\""])] {
        let head = text.find("\r\n\r\n").unwrap() + 4;
        assert_eq!(client.ask(&text[..head]).status, 100);
        client.expect_silence(ms(30));
        assert_eq!(client.ask(&text[head..]).result(), "\"x\"");
    }
    // A body that did not wait needs no interim answer; neither does an empty one.
    client.send(request("POST", "/__runner/task/echo", EXPECTING, "\"x\""));
    assert_eq!(client.reply().status, 200);
    client.send(request("POST", "/__runner/task/echo", EXPECTING, ""));
    assert_eq!(client.reply().status, 200);
}

fn the_interim_answer_waits_for_its_turn(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    let text = request("POST", "/__runner/task/echo", EXPECTING, "\"x\"");
    let head = text.find("\r\n\r\n").unwrap() + 4;
    client.send(format!("{}{}", call("later", "1"), &text[..head]));
    let (ticket, _) = server.taken();
    client.expect_silence(ms(50));
    ticket.json("1");
    assert_eq!(client.reply().result(), "1");
    assert_eq!(client.reply().status, 100);
    assert_eq!(client.ask(&text[head..]).result(), "\"x\"");
    // The client did not wait after all.
    client.send(format!("{}{}", call("later", "2"), &text[..head]));
    let (ticket, _) = server.taken();
    client.expect_silence(ms(50));
    client.send(format!("{}{}", &text[head..], call("echo", "3")));
    client.expect_silence(ms(50));
    ticket.json("2");
    let statuses: Vec<u16> = (0..4).map(|_| client.reply().status).collect();
    assert_eq!(statuses, [200, 100, 200, 200]);
    client.expect_usable();
}

fn a_refused_expectation_is_answered_without_the_body(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.max_body_bytes = 1000);
    for (path, length, status) in [("unknown", 10, 403), ("echo", 1001, 413), ("echo", u64::MAX, 413)] {
        let mut client = server.client();
        client.send(format!(
            "POST /__runner/task/{path} HTTP/1.1\r\nHost: x\r\n{EXPECTING}Content-Length: {length}\r\n\r\n"
        ));
        let reply = client.reply();
        // Whether the body follows is the client's choice: only closing keeps both sides in step.
        assert_eq!((reply.status, reply.closes()), (status, true), "{path} {length}");
        client.expect_fin();
    }
    let mut client = server.client();
    client.send(request("POST", "/__runner/task/echo", "Expect: miracles\r\n", "1"));
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (417, true));
    client.expect_end();
}

fn http_1_0_knows_no_interim_answer(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    client.send("POST /__runner/task/echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    client.expect_silence(ms(50));
    assert_eq!(client.ask("1").result(), "1");
}

fn connect_is_refused_at_the_end_of_its_line(driver: DriverChoice) {
    let server = Server::start(driver);
    // No line behind it is awaited, and none that is missing or wrong is looked at.
    for rest in
        ["h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "h:443 HTTP/1.1\r\n", "/x HTTP/1.1\r\n", "h HTTP/1.1\r\nA b\r\n\r\n"]
    {
        let mut client = server.client();
        client.send(format!("{}CONNECT {rest}", call("echo", "1")));
        assert_eq!(client.reply().result(), "1");
        let refusal = client.reply();
        assert_eq!((refusal.status, refusal.closes()), (501, true), "{rest}");
        client.expect_end();
    }
}

on_both_drivers!(
    a_request_may_be_split_at_every_byte,
    requests_of_every_kind_may_come_in_one_packet,
    one_byte_chunks,
    bodies_of_a_mebibyte,
    connect_is_refused_at_the_end_of_its_line,
    the_body_limit_is_exact,
    the_interim_answer_comes_before_the_body,
    the_interim_answer_waits_for_its_turn,
    a_refused_expectation_is_answered_without_the_body,
    http_1_0_knows_no_interim_answer,
);
