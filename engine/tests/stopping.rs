//! The end of an engine: what is under way is finished, what is idle is let go, nothing is left.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fasttunnel_engine::handlers::{Answer, Handlers};
use support::server::any_port;
use support::{Client, DriverChoice, Server, call, eventually, ms};

fn calls_in_flight_are_answered_with_close(driver: DriverChoice) {
    let mut server = Server::start(driver);
    let mut client = server.client();
    client.send(format!("{}{}", call("later", "1"), call("later", "2")));
    let (first, second) = (server.taken().0, server.taken().0);
    server.engine().stop(ms(5000));
    second.json("2");
    client.expect_silence(ms(50));
    first.json("1");
    assert!(!client.reply().closes());
    let last = client.reply();
    assert_eq!(last.result(), "2");
    assert!(last.closes());
    client.expect_fin();
    drop(client);
    server.join();
}

fn a_request_that_is_being_received_is_answered(driver: DriverChoice) {
    let mut server = Server::start(driver);
    let (mut head, mut body) = (server.client(), server.client());
    let bytes = call("echo", "\"whole\"");
    let (in_head, in_body) = (30, bytes.len() - 3);
    head.send(&bytes[..in_head]);
    body.send(&bytes[..in_body]);
    eventually("the head of one of them", || server.sum(|shard| shard.requests) == 1);
    std::thread::sleep(ms(20));
    server.engine().stop(ms(5000));
    std::thread::sleep(ms(150));
    head.send(&bytes[in_head..]);
    body.send(&bytes[in_body..]);
    for client in [&mut head, &mut body] {
        let reply = client.reply();
        assert_eq!(reply.result(), "\"whole\"");
        assert!(reply.closes());
        client.expect_fin();
    }
    drop((head, body));
    server.join();
}

/// What comes between the stop and the next look at the connection counts: else its rest would be waited for in vain.
fn a_refused_body_that_has_come_is_not_waited_for(driver: DriverChoice) {
    let mut server = Server::start(driver);
    let mut client = server.client();
    client.send(format!("POST /elsewhere HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{}", "x".repeat(1000)));
    assert_eq!(client.reply().status, 404);
    let start = Instant::now();
    server.engine().stop(ms(6000));
    std::thread::sleep(ms(100));
    client.send("x".repeat(4000));
    client.expect_fin();
    // Then the client has two seconds to close, and does not.
    server.join();
    assert!(start.elapsed() < ms(4500), "{:?}", start.elapsed());
}

/// What had arrived when the stop came used to be thrown away: on idle connections it was not looked at any more, and the
/// kernel reset those in the backlog.
fn what_has_arrived_is_answered(driver: DriverChoice) {
    let handlers = Handlers::new().task("echo", |call, _| Answer::Json(call.body.unwrap_or("null").to_owned())).task(
        "block",
        |_, _| {
            std::thread::sleep(ms(300));
            Answer::Json("0".to_owned())
        },
    );
    let mut server = Server::with_backend(driver, &["echo", "block"], handlers.into_backend(), |_| {});
    let (mut blocker, mut silent) = (server.client(), server.client());
    let mut known: Vec<_> = (0..20).map(|_| server.client()).collect();
    known.iter_mut().for_each(Client::expect_usable);
    silent.expect_usable();
    blocker.send(call("block", "0"));
    // The shard hears of all this only when it is through with that call, and the stop is the first thing it hears of.
    std::thread::sleep(ms(100));
    let mut fresh: Vec<_> = (0..20).map(|_| server.client()).collect();
    let mut mute = server.client();
    server.engine().stop(ms(5000));
    for (index, client) in known.iter_mut().chain(&mut fresh).enumerate() {
        client.send(call("echo", &index.to_string()));
    }
    // It has ended before the shard knew of the stop.
    assert_eq!(blocker.reply().result(), "0");
    for (index, client) in known.iter_mut().chain(&mut fresh).enumerate() {
        let reply = client.reply();
        assert_eq!(reply.result(), index.to_string());
        assert!(reply.closes());
        client.expect_fin();
    }
    silent.expect_fin();
    mute.expect_fin();
    drop((blocker, silent, mute, known, fresh));
    server.join();
}

fn a_connection_for_another_shard_is_not_lost(driver: DriverChoice) {
    for _ in 0..20 {
        let mut server = Server::with(driver, |config| config.shards = 3);
        let mut clients: Vec<_> = (0..30).map(|_| server.client()).collect();
        clients.iter_mut().for_each(|client| client.send(call("echo", "7")));
        server.engine().stop(ms(5000));
        for client in &mut clients {
            assert_eq!(client.reply().result(), "7");
        }
        drop(clients);
        server.join();
    }
}

fn idle_connections_are_closed_at_once(driver: DriverChoice) {
    let mut server = Server::start(driver);
    let mut clients: Vec<_> = (0..5).map(|_| server.client()).collect();
    clients[0].expect_usable();
    eventually("all are accepted", || server.sum(|shard| shard.connections) == 5);
    let start = Instant::now();
    server.engine().stop(ms(30_000));
    for client in &mut clients {
        client.expect_fin();
    }
    assert!(start.elapsed() < ms(500), "{:?}", start.elapsed());
    drop(clients);
    server.join();
    assert!(start.elapsed() < ms(1500), "{:?}", start.elapsed());
}

/// A call of a client that wants a notice.
fn noticing(task: &str, body: &str) -> String {
    call(task, body).replacen("\r\n\r\n", "\r\nConnection: keep-alive, fasttunnel-notice\r\n\r\n", 1)
}

fn expect_notice(client: &mut Client) {
    let notice = client.reply();
    assert_eq!(
        (notice.status, notice.field("x-runner-request-id"), notice.field("content-length")),
        (408, None, Some("0"))
    );
    assert!(notice.closes());
    client.expect_fin();
}

fn a_client_that_wants_it_is_told_that_nothing_more_is_read_and_others_are_not(driver: DriverChoice) {
    let mut server = Server::start(driver);
    let (mut noticing_client, mut other) = (server.client(), server.client());
    assert_eq!(noticing_client.ask(noticing("echo", "1")).result(), "1");
    // It is asked for once for the connection.
    assert_eq!(noticing_client.ask(call("echo", "2")).result(), "2");
    assert_eq!(other.ask(call("echo", "3")).result(), "3");
    server.engine().stop(ms(5000));
    expect_notice(&mut noticing_client);
    other.expect_fin();
    // What crosses the notice is not run.
    noticing_client.send(call("later", "4"));
    drop((noticing_client, other));
    server.join();
    assert_eq!(server.untaken(), 0);
}

/// Answers that wait behind another were written before the stop: none of them is the last.
fn a_notice_stands_behind_all_answers(driver: DriverChoice) {
    let mut server = Server::start(driver);
    let mut client = server.client();
    client.send(format!("{}{}", noticing("later", "1"), noticing("echo", "2")));
    let ticket = server.taken().0;
    client.expect_silence(ms(50));
    server.engine().stop(ms(5000));
    client.expect_silence(ms(50));
    ticket.json("1");
    for result in ["1", "2"] {
        let reply = client.reply();
        assert_eq!(reply.result(), result);
        assert!(!reply.closes());
    }
    expect_notice(&mut client);
    drop(client);
    server.join();
}

/// Its client has made it for a request, which may be on its way.
fn a_connection_that_was_made_just_now_may_ask(driver: DriverChoice) {
    let mut server = Server::start(driver);
    let mut client = server.client();
    eventually("it is accepted", || server.sum(|shard| shard.connections) == 1);
    server.engine().stop(ms(5000));
    std::thread::sleep(ms(75));
    client.send(call("echo", "1"));
    let reply = client.reply();
    assert_eq!(reply.result(), "1");
    assert!(reply.closes());
    client.expect_fin();
    drop(client);
    server.join();
}

fn nobody_is_accepted_any_more(driver: DriverChoice) {
    let mut server = Server::start(driver);
    let mut client = server.client();
    client.send(call("later", "1"));
    let (ticket, _) = server.taken();
    server.engine().stop(ms(5000));
    eventually("the port is closed", || std::net::TcpStream::connect(server.address()).is_err());
    ticket.json("1");
    assert!(client.reply().closes());
    drop(client);
    server.join();
}

fn the_drain_deadline_cuts(driver: DriverChoice) {
    let mut server = Server::start(driver);
    let mut client = server.client();
    client.send(call("later", "1"));
    let (ticket, _) = server.taken();
    let start = Instant::now();
    server.engine().stop(ms(300));
    client.expect_end();
    assert!((ms(250)..ms(900)).contains(&start.elapsed()), "{:?}", start.elapsed());
    server.join();
    ticket.json("too late, and harmless");
}

fn a_second_stop_may_be_shorter(driver: DriverChoice) {
    let mut server = Server::start(driver);
    let mut client = server.client();
    client.send(call("later", "1"));
    let _ticket = server.taken().0;
    server.engine().stop(ms(60_000));
    client.expect_silence(ms(150));
    server.engine().stop(Duration::ZERO);
    client.expect_end();
    server.join();
}

/// The deadline used to overflow: a panic in a debug build, an immediate cut in a release build.
fn the_longest_drain_time_does_not_overflow(driver: DriverChoice) {
    let mut server = Server::start(driver);
    let mut client = server.client();
    client.send(call("later", "1"));
    let (ticket, _) = server.taken();
    std::thread::sleep(ms(5));
    server.engine().stop(Duration::MAX);
    client.expect_silence(ms(200));
    ticket.json("1");
    assert_eq!(client.reply().result(), "1");
    drop(client);
    server.join();
}

fn stops_in_traffic(driver: DriverChoice) {
    for _ in 0..5 {
        let mut server = Server::with(driver, |config| config.shards = 2);
        let address = server.address();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let Ok(mut client) = Client::try_tcp(address) else { break };
                        while client.try_send(call("echo", "7")).is_ok()
                            && let Ok(reply) = client.try_reply(true)
                        {
                            assert_eq!(reply.result(), "7", "an answer is whole or missing");
                        }
                    }
                });
            }
            std::thread::sleep(ms(50));
            server.engine().stop(ms(300));
            server.join();
            over.store(true, Ordering::Relaxed);
        });
    }
}

/// A connection that was accepted in the very tick of the stop used to be forgotten: its shard never ended while the
/// client kept it open.
fn a_connection_accepted_during_the_stop_is_closed(driver: DriverChoice) {
    for round in 0..40 {
        let mut server = Server::with(driver, |config| config.shards = 2);
        let address = server.address();
        let clients: Vec<_> = (0..16).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        if round % 2 == 1 {
            std::thread::sleep(Duration::from_micros(20 * round));
        }
        server.engine().stop(ms(100));
        // The clients stay open and silent.
        server.join();
        drop(clients);
    }
}

fn dropping_an_engine_stops_it(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    client.send(call("later", "1"));
    let _ticket = server.taken();
    drop(server);
    client.expect_end();
}

fn a_start_that_fails_leaves_nothing(driver: DriverChoice) {
    let first = Server::start(driver);
    let taken = first.engine().address().clone();
    let threads = support::process::threads();
    let (handlers, _later) = support::server::handlers();
    let mut config = support::server::config(driver, handlers.specs());
    config.listen = taken;
    let backend = handlers.into_backend();
    let error = fasttunnel_engine::Engine::start(config.clone(), backend.clone()).err().unwrap();
    assert_eq!(error.os_error(), Some(libc::EADDRINUSE), "{error}");
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    config.listen = any_port();
    config.shards = 0;
    assert!(fasttunnel_engine::Engine::start(config, backend).is_err());
    assert_eq!(support::process::threads(), threads);
    first.client().expect_usable();
}

on_both_drivers!(
    calls_in_flight_are_answered_with_close,
    a_request_that_is_being_received_is_answered,
    a_refused_body_that_has_come_is_not_waited_for,
    what_has_arrived_is_answered,
    a_connection_for_another_shard_is_not_lost,
    idle_connections_are_closed_at_once,
    a_client_that_wants_it_is_told_that_nothing_more_is_read_and_others_are_not,
    a_notice_stands_behind_all_answers,
    a_connection_that_was_made_just_now_may_ask,
    nobody_is_accepted_any_more,
    the_drain_deadline_cuts,
    a_second_stop_may_be_shorter,
    the_longest_drain_time_does_not_overflow,
    stops_in_traffic,
    a_connection_accepted_during_the_stop_is_closed,
    dropping_an_engine_stops_it,
    a_start_that_fails_leaves_nothing,
);
