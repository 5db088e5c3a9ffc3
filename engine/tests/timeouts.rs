//! Every clock of a connection: it strikes once, at its time, and never a connection that is in order.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::time::{Duration, Instant};

use fasttunnel_engine::limits::ENDS_PER_TURN;
use support::{Client, DriverChoice, Server, call, eventually, ms, request};

/// Asserts a 408 after about `time`, then the end.
#[track_caller]
fn expect_408(client: &mut Client, start: Instant, time: Duration) {
    let reply = client.reply();
    assert_eq!(reply.status, 408, "{reply:?}");
    assert!(reply.closes());
    let elapsed = start.elapsed();
    assert!(elapsed > time - ms(50) && elapsed < time + ms(450), "{elapsed:?} instead of {time:?}");
    client.expect_fin();
}

fn a_slow_head_gets_408(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.head_timeout_ms = 300);
    let mut client = server.client();
    let start = Instant::now();
    // One byte at a time does not start the clock anew.
    for byte in call("echo", "1").as_bytes().iter().take(25) {
        client.send([*byte]);
        std::thread::sleep(ms(10));
    }
    expect_408(&mut client, start, ms(300));
    assert_eq!(server.sum(|shard| shard.protocol_errors), 1);
}

fn a_silent_connection_is_closed_without_a_word(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.head_timeout_ms = 300);
    let mut client = server.client();
    let start = Instant::now();
    client.expect_fin();
    assert!(start.elapsed() > ms(250) && start.elapsed() < ms(750), "{:?}", start.elapsed());
}

/// More at once than the ring has entries.
fn thousands_of_silent_connections_end_together(driver: DriverChoice) {
    let server = Server::with(driver, |config| {
        config.limits.head_timeout_ms = 1500;
        config.shards = 2;
    });
    let mut clients: Vec<_> = (0..3000).map(|_| server.client()).collect();
    eventually("all are accepted", || server.sum(|shard| shard.connections) == 3000);
    let mut late = clients.split_off(2990);
    late.iter_mut().for_each(Client::expect_usable);
    clients.iter_mut().for_each(Client::expect_fin);
    // The others are not disturbed.
    late.iter_mut().for_each(Client::expect_usable);
    drop(clients);
    eventually("their connections are gone", || server.sum(|shard| shard.connections) == 10);
}

/// Thousands that are late at once are ended by and by: a turn of the timer is no longer than others can wait.
fn a_crowd_is_ended_in_portions(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.head_timeout_ms = 1500);
    let mut clients: Vec<_> = (0..4 * ENDS_PER_TURN).map(|_| server.client()).collect();
    eventually("all are accepted", || server.sum(|shard| shard.connections) == clients.len() as u64);
    // Their heads begin at the same time.
    clients.iter_mut().for_each(|client| client.send("POST /__runner"));
    let ended = || server.sum(|shard| shard.protocol_errors);
    eventually("the first has ended", || ended() > 0);
    let start = Instant::now();
    eventually("all have ended", || ended() == clients.len() as u64);
    // In four turns at least.
    assert!(start.elapsed() >= ms(250), "all within {:?}", start.elapsed());
    clients.iter_mut().for_each(|client| assert_eq!(client.reply().status, 408));
}

fn a_slow_body_gets_408(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.body_timeout_ms = 300);
    let mut client = server.client();
    let start = Instant::now();
    client.send("POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12");
    expect_408(&mut client, start, ms(300));
    assert_eq!(server.sum(|shard| shard.calls), 0, "an incomplete request is never run");
}

fn a_slow_chunk_gets_408(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.body_timeout_ms = 300);
    let mut client = server.client();
    let start = Instant::now();
    client.send("POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12");
    expect_408(&mut client, start, ms(300));
}

fn a_body_that_keeps_up_may_take_longer(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.body_timeout_ms = 200);
    let mut client = server.client();
    let body = format!("\"{}\"", "x".repeat(998));
    let bytes = call("echo", &body);
    let head = bytes.len() - body.len();
    client.send(&bytes[..head + 100]);
    // 500 bytes a second are due; these are 1000.
    for part in bytes.as_bytes()[head + 100..].chunks(100) {
        std::thread::sleep(ms(100));
        client.send(part);
    }
    assert_eq!(client.reply().result(), body);
}

fn a_body_that_keeps_up_has_an_end_all_the_same(driver: DriverChoice) {
    let server = Server::with(driver, |config| {
        config.limits.body_timeout_ms = 100;
        config.limits.max_body_time_ms = 600;
    });
    let head = "POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n";
    let mut client = server.client();
    let start = Instant::now();
    client.send(head);
    while start.elapsed() < ms(500) {
        client.send([b'1'; 100]);
        std::thread::sleep(ms(20));
    }
    expect_408(&mut client, start, ms(600));
    // So has one that nobody wants: it is closed without a second answer.
    let mut client = server.client();
    let start = Instant::now();
    client.send(head.replace("echo", "unknown").replace("100000", "50000"));
    assert_eq!(client.reply().status, 403);
    while start.elapsed() < ms(500) {
        client.send([b'1'; 100]);
        std::thread::sleep(ms(20));
    }
    client.expect_fin();
    assert!(start.elapsed() > ms(550) && start.elapsed() < ms(1050), "{:?}", start.elapsed());
}

fn the_speed_that_a_body_has_to_keep_up_is_a_limit(driver: DriverChoice) {
    let server = Server::with(driver, |config| {
        config.limits.body_timeout_ms = 100;
        config.limits.min_body_bytes_per_s = 10_000;
    });
    let mut client = server.client();
    let start = Instant::now();
    client.send("POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    // In its own packet: what comes with the head counts for the head.
    std::thread::sleep(ms(20));
    client.send([b'1'; 4000]);
    expect_408(&mut client, start, ms(500));
}

/// Less than the time in which a body may do what it wants makes no sense, and changes nothing.
fn the_end_of_a_body_is_not_before_its_timeout(driver: DriverChoice) {
    let server = Server::with(driver, |config| {
        config.limits.body_timeout_ms = 500;
        config.limits.max_body_time_ms = 100;
    });
    let mut client = server.client();
    let start = Instant::now();
    client.send("POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12");
    expect_408(&mut client, start, ms(500));
}

fn an_idle_connection_is_closed(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.idle_timeout_ms = 400);
    let mut client = server.client();
    client.expect_usable();
    std::thread::sleep(ms(250));
    client.expect_usable();
    let start = Instant::now();
    client.expect_fin();
    assert!(start.elapsed() > ms(300) && start.elapsed() < ms(850), "{:?}", start.elapsed());
    assert_eq!(server.sum(|shard| shard.protocol_errors), 0);
}

fn a_call_under_way_is_not_idle(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.idle_timeout_ms = 200);
    let mut client = server.client();
    client.send(call("later", "1"));
    let (ticket, _) = server.taken();
    client.expect_silence(ms(500));
    ticket.json("1");
    assert_eq!(client.reply().result(), "1");
    // The idle clock starts with the answer.
    std::thread::sleep(ms(50));
    client.expect_usable();
}

fn a_client_that_does_not_read_is_cut(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.write_timeout_ms = 300);
    let mut client = server.client();
    client.send(call("big", "12000000"));
    let start = Instant::now();
    eventually("it is cut", || server.sum(|shard| shard.connections) == 0 && server.sum(|shard| shard.answered) == 1);
    assert!(start.elapsed() > ms(200), "{:?}", start.elapsed());
    assert!(client.try_reply(true).is_err(), "the answer cannot be whole");
    server.client().expect_usable();
}

fn a_slow_reader_that_makes_progress_gets_everything(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.write_timeout_ms = 500);
    let mut client = server.client();
    client.send(call("big", "12000000"));
    for _ in 0..10 {
        std::thread::sleep(ms(100));
        client.read_ahead(1_000_000);
    }
    assert_eq!(client.reply().result().len(), 12_000_002);
}

fn a_handler_out_of_time_gets_504(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.handler_timeout_ms = 300);
    let mut client = server.client();
    let start = Instant::now();
    client.send(format!("{}{}", call("later", "1"), call("echo", "2")));
    let (ticket, _) = server.taken();
    let reply = client.reply();
    assert_eq!(reply.status, 504, "{reply:?}");
    assert!(!reply.closes());
    assert!(start.elapsed() > ms(250) && start.elapsed() < ms(750), "{:?}", start.elapsed());
    assert_eq!(client.reply().result(), "2");
    // The late answer reaches nobody, least of all the next call in the same slot.
    client.send(call("later", "3"));
    let (next, _) = server.taken();
    ticket.json("\"late\"");
    eventually("it is dropped", || server.sum(|shard| shard.dropped) == 1);
    next.json("3");
    assert_eq!(client.reply().result(), "3");
    assert_eq!(server.sum(|shard| shard.handler_timeouts), 1);
}

/// A connection that was about to end after an error, behind a slow call, used to get a second error at the timeout.
fn an_error_behind_a_slow_call_is_answered_once(driver: DriverChoice) {
    let server = Server::with(driver, |config| {
        config.limits.head_timeout_ms = 200;
        config.limits.body_timeout_ms = 200;
    });
    for broken in
        ["POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz", "BROKEN", "G\0"]
    {
        let mut client = server.client();
        client.send(call("later", "1"));
        let (ticket, _) = server.taken();
        // In two packets, so that its phase has a clock when the error shows.
        client.send_split(broken.as_bytes(), broken.len() - 1);
        client.expect_silence(ms(500));
        ticket.json("1");
        assert_eq!(client.reply().result(), "1");
        let reply = client.reply();
        assert_eq!((reply.status / 100, reply.closes()), (4, true), "{reply:?}");
        client.expect_end();
    }
}

/// A body that nobody wants and that never comes used to be answered twice: early, and with 408.
fn a_skipped_body_that_never_comes_is_no_second_answer(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.discard_timeout_ms = 300);
    let mut client = server.client();
    let start = Instant::now();
    client.send("POST /__runner/task/unknown HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12");
    assert!(!client.reply().closes());
    client.expect_fin();
    assert!(start.elapsed() > ms(250) && start.elapsed() < ms(750), "{:?}", start.elapsed());
}

fn a_client_that_never_closes_is_cut_after_the_last_answer(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    client.send(request("POST", "/__runner/task/echo", "Connection: close\r\n", "1"));
    client.reply();
    client.expect_fin();
    let start = Instant::now();
    eventually("it is cut", || server.sum(|shard| shard.connections) == 0);
    assert!(start.elapsed() > ms(1000), "LINGER_MS is 2000: {:?}", start.elapsed());
}

on_both_drivers!(
    a_slow_head_gets_408,
    a_silent_connection_is_closed_without_a_word,
    thousands_of_silent_connections_end_together,
    a_crowd_is_ended_in_portions,
    a_slow_body_gets_408,
    a_slow_chunk_gets_408,
    a_body_that_keeps_up_may_take_longer,
    a_body_that_keeps_up_has_an_end_all_the_same,
    the_speed_that_a_body_has_to_keep_up_is_a_limit,
    the_end_of_a_body_is_not_before_its_timeout,
    an_idle_connection_is_closed,
    a_call_under_way_is_not_idle,
    a_client_that_does_not_read_is_cut,
    a_slow_reader_that_makes_progress_gets_everything,
    a_handler_out_of_time_gets_504,
    an_error_behind_a_slow_call_is_answered_once,
    a_skipped_body_that_never_comes_is_no_second_answer,
    a_client_that_never_closes_is_cut_after_the_last_answer,
);
