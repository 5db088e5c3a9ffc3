//! Deadlines are the client's: who has sent in time is served, however late the shard gets round to reading it.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fasttunnel_engine::handlers::Answer;
use fasttunnel_engine::{Config, Engine};
use support::server::{config, handlers};
use support::{Client, DriverChoice, Server, call, ms, request};

/// A server with one task more: `busy` keeps the shard from everything else for as many milliseconds as its body says.
#[track_caller]
fn start(driver: DriverChoice, change: impl FnOnce(&mut Config)) -> Server {
    let (handlers, later) = handlers();
    let handlers = handlers.task("busy", |call, _| {
        std::thread::sleep(ms(call.body.unwrap().parse().unwrap()));
        Answer::Json("null".to_owned())
    });
    let mut config = config(driver, handlers.specs());
    change(&mut config);
    Server { engine: Some(Engine::start(config, handlers.into_backend()).unwrap()), turner: None, later }
}

/// Keeps the shard busy for half a second, over `other`, whose connection is the first of the shard: the timer's first
/// turn in that time, the third of all, comes before what `act` does.
fn while_busy<T>(other: &mut Client, act: impl FnOnce() -> T) -> T {
    std::thread::sleep(ms(150));
    other.send(call("busy", "500"));
    std::thread::sleep(ms(120));
    let made = act();
    assert_eq!(other.reply().result(), "null");
    made
}

/// Sends `half` of a request behind two calls, and `rest` of it when their answers, of which the client reads none for now,
/// fill the connection.
fn behind_unread_answers(server: &Server, half: &str, rest: &str) -> Client {
    let mut client = server.client();
    client.send(format!("{}{}{half}", call("big", "12000000"), call("later", "1")));
    let (ticket, _) = server.taken();
    // The first answer is on its way; this one has to wait.
    let long = format!("\"{}\"", "x".repeat(100_000));
    std::thread::sleep(ms(50));
    ticket.json(&long);
    std::thread::sleep(ms(50));
    client.send(rest);
    std::thread::sleep(ms(900));
    assert_eq!(client.reply().result().len(), 12_000_002);
    assert_eq!(client.reply().result(), long);
    client
}

/// The shard, which does not read on while too many answers wait, used to hold it against the client.
fn a_head_that_waits_for_room_is_not_late(driver: DriverChoice) {
    let server = start(driver, |config| config.limits.head_timeout_ms = 300);
    let request = call("echo", "1");
    let (half, rest) = request.split_at(30);
    assert_eq!(behind_unread_answers(&server, half, rest).reply().result(), "1");
}

fn a_body_that_waits_for_room_is_not_late(driver: DriverChoice) {
    let server = start(driver, |config| config.limits.body_timeout_ms = 300);
    let request = call("echo", "12345");
    let (half, rest) = request.split_at(request.len() - 3);
    assert_eq!(behind_unread_answers(&server, half, rest).reply().result(), "12345");
}

fn a_skipped_body_that_waits_for_room_does_not_end_the_connection(driver: DriverChoice) {
    let server = start(driver, |config| config.limits.body_timeout_ms = 300);
    let request = call("unknown", "12345");
    let (half, rest) = request.split_at(request.len() - 3);
    let mut client = behind_unread_answers(&server, half, rest);
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (403, false), "{reply:?}");
    client.expect_usable();
}

/// A connection whose clock stood still is timed again as soon as it is read.
fn a_head_that_goes_on_waiting_when_there_is_room_gets_408(driver: DriverChoice) {
    let server = start(driver, |config| config.limits.head_timeout_ms = 300);
    let reply = behind_unread_answers(&server, &call("echo", "1")[..30], "x").reply();
    assert_eq!((reply.status, reply.closes()), (408, true), "{reply:?}");
}

/// The timer used to have its turn before the reads that were complete.
fn a_head_that_came_while_the_shard_was_busy_is_not_late(driver: DriverChoice) {
    let server = start(driver, |config| config.limits.head_timeout_ms = 400);
    let (mut other, mut client) = (server.client(), server.client());
    let request = call("echo", "1");
    client.send(&request[..30]);
    while_busy(&mut other, || client.send(&request[30..]));
    assert_eq!(client.reply().result(), "1");
}

fn a_body_that_came_while_the_shard_was_busy_is_not_late(driver: DriverChoice) {
    let server = start(driver, |config| config.limits.body_timeout_ms = 400);
    let (mut other, mut client) = (server.client(), server.client());
    let request = call("echo", "12345");
    client.send(&request[..request.len() - 3]);
    while_busy(&mut other, || client.send(&request[request.len() - 3..]));
    assert_eq!(client.reply().result(), "12345");
}

fn a_first_request_that_came_while_the_shard_was_busy_is_answered(driver: DriverChoice) {
    let server = start(driver, |config| config.limits.head_timeout_ms = 400);
    let (mut other, mut client) = (server.client(), server.client());
    while_busy(&mut other, || client.send(call("echo", "1")));
    assert_eq!(client.reply().result(), "1");
}

/// It used to be closed on, unread.
fn a_request_that_has_come_when_the_idle_timeout_strikes_is_answered(driver: DriverChoice) {
    let server = start(driver, |config| config.limits.idle_timeout_ms = 400);
    let (mut other, mut client) = (server.client(), server.client());
    client.expect_usable();
    while_busy(&mut other, || client.send(call("echo", "1")));
    assert_eq!(client.reply().result(), "1");
}

fn an_answer_that_was_given_while_the_shard_was_busy_is_not_late(driver: DriverChoice) {
    let server = start(driver, |config| config.limits.handler_timeout_ms = 400);
    let (mut other, mut client) = (server.client(), server.client());
    client.send(call("later", "1"));
    let (ticket, _) = server.taken();
    while_busy(&mut other, || ticket.json("1"));
    assert_eq!(client.reply().result(), "1");
}

fn a_client_that_read_while_the_shard_was_busy_is_not_cut(driver: DriverChoice) {
    let server = start(driver, |config| config.limits.write_timeout_ms = 400);
    let (mut other, mut client) = (server.client(), server.client());
    client.send(call("big", "12000000"));
    while_busy(&mut other, || client.read_ahead(1_000_000));
    assert_eq!(client.reply().result().len(), 12_000_002);
}

/// It takes several reads, and so several rounds of a shard that is busy for longer than the deadline in all of them.
fn a_long_head_that_has_come_is_read_before_it_is_late(driver: DriverChoice) {
    let server = start(driver, |config| config.limits.head_timeout_ms = 200);
    let (over, mut replies) = (AtomicBool::new(false), Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (mut other, over) = (server.client(), &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    other.ask(call("busy", "60"));
                }
            });
        }
        std::thread::sleep(ms(300));
        let long = format!("X-Long: {}\r\n", "y".repeat(12_000));
        for _ in 0..3 {
            let mut client = server.client();
            client.send(request("POST", "/__runner/task/echo", &long, "1"));
            replies.push(client.try_reply(true));
        }
        over.store(true, Ordering::Relaxed);
    });
    for reply in replies {
        assert_eq!(reply.unwrap().result(), "1");
    }
}

/// Bytes that have come in time are waited for, a sender that goes on and on is not.
fn who_always_sends_a_little_more_gets_408_all_the_same(driver: DriverChoice) {
    let server = start(driver, |config| config.limits.head_timeout_ms = 300);
    let mut client = server.client();
    let start = std::time::Instant::now();
    client.send("POST /__runner/task/echo HTTP/1.1\r\nX-Long: ");
    client.set_patience(ms(1));
    while start.elapsed() < Duration::from_secs(4) && client.try_send("y").is_ok() {
        std::thread::sleep(ms(1));
        if let Ok(reply) = client.try_reply(true) {
            assert_eq!(reply.status, 408);
            let elapsed = start.elapsed();
            assert!(elapsed > ms(250) && elapsed < ms(2000), "408 after {elapsed:?}");
            return;
        }
    }
    panic!("no 408 after {:?}", start.elapsed());
}

on_both_drivers!(
    a_head_that_waits_for_room_is_not_late,
    a_body_that_waits_for_room_is_not_late,
    a_skipped_body_that_waits_for_room_does_not_end_the_connection,
    a_head_that_goes_on_waiting_when_there_is_room_gets_408,
    a_head_that_came_while_the_shard_was_busy_is_not_late,
    a_body_that_came_while_the_shard_was_busy_is_not_late,
    a_first_request_that_came_while_the_shard_was_busy_is_answered,
    a_request_that_has_come_when_the_idle_timeout_strikes_is_answered,
    an_answer_that_was_given_while_the_shard_was_busy_is_not_late,
    a_client_that_read_while_the_shard_was_busy_is_not_cut,
    a_long_head_that_has_come_is_read_before_it_is_late,
    who_always_sends_a_little_more_gets_408_all_the_same,
);
