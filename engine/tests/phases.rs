//! The histograms of a shard hold every call once, and the time that it took.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fasttunnel_engine::limits::HOST_QUEUE_BATCHES;
use fasttunnel_engine::link::batch::{AnswerBatch, Outcome};
use fasttunnel_engine::link::clock::now_ns;
use fasttunnel_engine::link::histogram::HistogramSnapshot;
use fasttunnel_engine::shard::timing::ShardMeter;
use support::host::{head, hosted};
use support::{DriverChoice, Server, call, eventually, ms};

const MS: u64 = 1_000_000;
/// Longer than anything takes that does not wait.
const SECOND: u64 = 1000 * MS;

fn meter(server: &Server) -> &Arc<ShardMeter> {
    &server.engine().meters()[0]
}

/// Sends are recorded a moment after the client has their bytes.
#[track_caller]
fn written(server: &Server, count: u64) -> HistogramSnapshot {
    eventually("the sends are recorded", || meter(server).write_ns.snapshot().count >= count);
    let written = meter(server).write_ns.snapshot();
    assert_eq!(written.count, count);
    written
}

fn every_call_is_counted_once(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    for _ in 0..50 {
        assert_eq!(client.ask(call("echo", "1")).result(), "1");
    }
    client.send(call("echo", "2").repeat(150));
    (0..150).for_each(|_| assert_eq!(client.reply().result(), "2"));
    // Refusals are no calls, wherever they stand.
    assert_eq!(client.ask(call("unknown", "1")).status, 403);
    client.send(call("echo", "3") + &call("unknown", "1") + &call("echo", "not json") + &call("echo", "4"));
    let statuses: Vec<u16> = (0..4).map(|_| client.reply().status).collect();
    assert_eq!(statuses, [200, 403, 400, 200]);
    let written = written(&server, 202);
    let parsed = meter(&server).parse_ns.snapshot();
    assert_eq!(parsed.count, 202);
    for seen in [&parsed, &written] {
        assert!(seen.sum > 0 && seen.max < SECOND && seen.quantile(0.5) <= seen.max, "{seen:?}");
    }
    let (batches, answers) = (meter(&server).calls_per_batch.snapshot(), meter(&server).answers_per_batch.snapshot());
    assert_eq!((batches.sum, answers.sum), (202, 202));
    assert_eq!(batches.count, server.sum(|shard| shard.batches));
    assert!(batches.max > 1 && batches.quantile(0.1) == 1, "{batches:?}");
}

fn writing_begins_with_the_answer(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    std::thread::sleep(ms(150));
    host.answer(|answers| {
        answers.push(key, Outcome::Result, b"1");
        answers.answered_ns = now_ns();
    });
    assert_eq!(client.reply().result(), "1");
    let quick = written(&server, 1);
    assert!(quick.max < 100 * MS, "the host's time does not count: {quick:?}");
    client.send(call("echo", "2"));
    let (key, _) = host.call();
    host.answer(|answers| {
        answers.push(key, Outcome::Result, b"2");
        answers.answered_ns = now_ns() - 300 * MS;
    });
    assert_eq!(client.reply().result(), "2");
    let slow = written(&server, 2);
    assert!((300 * MS..SECOND).contains(&slow.max), "the way home counts: {slow:?}");
    assert_eq!(meter(&server).parse_ns.snapshot().count, 2);
    assert!(host.host.handover_meter(0).unwrap().host_wakes.get() > 0, "it slept before");
}

fn an_answer_waits_for_its_turn_before_it_is_written(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    client.send(call("echo", "1") + &call("echo", "2"));
    let (first, second) = (host.call().0, host.call().0);
    let say = |key, text: &[u8]| {
        host.answer(|answers| {
            answers.push(key, Outcome::Result, text);
            answers.answered_ns = now_ns();
        });
    };
    say(second, b"2");
    std::thread::sleep(ms(200));
    say(first, b"1");
    assert_eq!((client.reply().result(), client.reply().result()), ("1", "2"));
    let seen = written(&server, 2);
    assert!(seen.max < 150 * MS, "{seen:?}");
}

fn a_client_that_does_not_read_shows_in_write(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    client.send(call("big", "20000000"));
    std::thread::sleep(ms(300));
    assert_eq!(meter(&server).write_ns.snapshot().count, 0);
    assert_eq!(client.reply().body.len(), 20_000_000 + r#"{"ok":true,"result":""}"#.len());
    let seen = written(&server, 1);
    assert!(seen.max >= 250 * MS, "{seen:?}");
}

fn a_streamed_answer_is_not_written_in_the_histogram(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.say(key, head(200, Some(4)), b"");
    host.say(key, Outcome::Data, b"abcd");
    host.say(key, Outcome::End, b"");
    assert_eq!(client.reply().body, "abcd");
    host.expect_usable(&mut client);
    written(&server, 1);
    assert_eq!(meter(&server).parse_ns.snapshot().count, 2);
    assert_eq!(meter(&server).answers_per_batch.snapshot().sum, 1);
}

/// Calls that the host has no room for wait in the open batch: parsed once, and handed over once.
fn calls_that_wait_for_a_full_host_are_counted_once(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    host.deaf.store(true, Ordering::Relaxed);
    std::thread::sleep(ms(50));
    let mut clients: Vec<_> = (0..HOST_QUEUE_BATCHES + 8).map(|_| server.client()).collect();
    for (sent, client) in (1..).zip(&mut clients) {
        client.send(call("echo", "1"));
        eventually("it is parsed", || meter(&server).parse_ns.snapshot().count == sent);
    }
    let full = HOST_QUEUE_BATCHES as u64;
    assert_eq!(meter(&server).calls_per_batch.snapshot().sum, full);
    assert_eq!(host.host.waiting(0) as u64, full);
    assert_eq!(host.host.handover_meter(0).unwrap().most_waiting.get(), full);
    host.deaf.store(false, Ordering::Relaxed);
    for _ in &clients {
        let (key, _) = host.call();
        host.answer(|answers: &mut AnswerBatch| answers.push(key, Outcome::Result, b"1"));
    }
    clients.iter_mut().for_each(|client| assert_eq!(client.reply().result(), "1"));
    written(&server, full + 8);
    assert_eq!(meter(&server).parse_ns.snapshot().count, full + 8);
    let batches = meter(&server).calls_per_batch.snapshot();
    assert_eq!((batches.sum, batches.count, batches.max), (full + 8, full + 1, 8));
    assert_eq!(host.host.waiting(0), 0);
}

on_both_drivers!(
    every_call_is_counted_once,
    writing_begins_with_the_answer,
    an_answer_waits_for_its_turn_before_it_is_written,
    a_client_that_does_not_read_shows_in_write,
    a_streamed_answer_is_not_written_in_the_histogram,
    calls_that_wait_for_a_full_host_are_counted_once,
);
