//! A shard that the test turns itself, as an event loop does. `FASTTUNNEL_TEST_PLACEMENT=inline` runs the other tests on such.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fasttunnel_engine::limits::HOST_BEHIND;
use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::link::batch::{AnswerBatch, Outcome};
use fasttunnel_engine::link::host::{Host, Next};
use fasttunnel_engine::shard::inline::{InlineShard, Turned};
use fasttunnel_engine::{Config, Engine, Listen, StartError};
use support::server::{any_port, config, handlers, tasks};
use support::turner::wait;
use support::{Client, DriverChoice, call, ms, process, request};

/// An engine whose shard this thread turns, with the handlers that all tests have.
fn start(driver: DriverChoice, change: impl FnOnce(&mut Config)) -> (Engine, InlineShard) {
    let (handlers, _) = handlers();
    let mut config = config(driver, handlers.specs());
    change(&mut config);
    Engine::start_inline(config, handlers.into_backend()).unwrap()
}

/// The same, with a host whose calls the test takes; counts how often that is woken.
fn hosted(driver: DriverChoice) -> (Engine, InlineShard, Arc<Host>, Arc<AtomicUsize>) {
    let wakes = Arc::new(AtomicUsize::new(0));
    let count = wakes.clone();
    let host = Arc::new(Host::new(1, move || _ = count.fetch_add(1, Ordering::Relaxed)));
    let config = config(driver, &tasks(&["echo"]));
    let (engine, shard) = Engine::start_inline(config, host.clone() as Arc<dyn Backend>).unwrap();
    (engine, shard, host, wakes)
}

/// Turns until nothing is left to do.
fn settle(shard: &mut InlineShard) {
    let start = Instant::now();
    while shard.turn(|| false) == Turned::More {
        assert!(start.elapsed() < Duration::from_secs(5), "it never comes to rest");
    }
}

/// Turns, as often as the descriptor says that there is something to do, until `done`.
#[track_caller]
fn turn_until(shard: &mut InlineShard, what: &str, mut done: impl FnMut(&mut InlineShard) -> bool) {
    let start = Instant::now();
    settle(shard);
    while !done(shard) {
        assert!(start.elapsed() < Duration::from_secs(5), "never came true: {what}");
        wait(shard, ms(50));
        settle(shard);
    }
}

/// Sends, turns, and reads one answer.
#[track_caller]
fn ask(shard: &mut InlineShard, engine: &Engine, client: &mut Client, bytes: impl AsRef<[u8]>) -> String {
    let before = requests(engine);
    client.send(bytes);
    turn_until(shard, "the request is read", |_| requests(engine) > before);
    client.reply().result().to_owned()
}

fn requests(engine: &Engine) -> u64 {
    engine.stats()[0].requests
}

fn calls_are_answered_by_turning(driver: DriverChoice) {
    let (engine, mut shard) = start(driver, |_| {});
    let mut client = Client::tcp(engine.tcp_address().unwrap());
    for number in 0..50 {
        let text = number.to_string();
        assert_eq!(ask(&mut shard, &engine, &mut client, call("echo", &text)), text);
    }
    assert_eq!(process::shard_threads(), 0, "it has no thread");
}

fn a_shard_with_nothing_to_do_is_not_turned(driver: DriverChoice) {
    let (engine, mut shard) = start(driver, |_| {});
    settle(&mut shard);
    assert!(!wait(&shard, ms(50)), "nothing has come, and no timer runs");
    let _client = Client::tcp(engine.tcp_address().unwrap());
    assert!(wait(&shard, ms(2000)), "a connection has");
}

/// What was written behind the last system call would be with the kernel only at the next turn.
fn a_turn_leaves_nothing_that_the_kernel_was_not_told(driver: DriverChoice) {
    let (engine, mut shard) = start(driver, |_| {});
    let mut clients: Vec<_> = (0..20).map(|_| Client::tcp(engine.tcp_address().unwrap())).collect();
    turn_until(&mut shard, "all are in", |_| engine.stats()[0].connections == 20);
    for client in &mut clients {
        client.send(call("echo", "1").repeat(3));
    }
    turn_until(&mut shard, "all is read", |_| requests(&engine) == 60);
    // No turn from here on: the answers have left, and who leaves is seen to at the next.
    for client in &mut clients {
        (0..3).for_each(|_| assert_eq!(client.reply().result(), "1"));
    }
    drop(clients);
    turn_until(&mut shard, "all are gone", |_| engine.stats()[0].connections == 0);
}

fn calls_are_taken_between_two_turns_and_nobody_is_woken(driver: DriverChoice) {
    let (engine, mut shard, host, wakes) = hosted(driver);
    let mut client = Client::tcp(engine.tcp_address().unwrap());
    turn_until(&mut shard, "it is in", |_| engine.stats()[0].connections == 1);
    host.awake();
    for number in 0..20 {
        let text = number.to_string();
        client.send(call("echo", &text));
        let start = Instant::now();
        while host.queued() == 0 {
            assert!(start.elapsed() < Duration::from_secs(5));
            wait(&shard, ms(100));
            shard.turn(|| host.queued() > 0);
        }
        let Next::Calls(calls) = host.next(0) else { panic!("a batch") };
        let woken = engine.stats()[0].wakes;
        shard.hold();
        let mut answers = Box::<AnswerBatch>::default();
        answers.push(calls.records[0].key, Outcome::Result, calls.records[0].body.of(&calls.json));
        host.recycle(0, calls);
        host.answer(0, answers);
        settle(&mut shard);
        assert_eq!(client.reply().result(), text);
        assert_eq!(engine.stats()[0].wakes, woken, "the eventfd was not needed");
    }
    assert_eq!(wakes.load(Ordering::Relaxed), 0, "nor was the host's bell");
    // What another thread sends wakes it as ever.
    engine.stop(Duration::ZERO);
    turn_until(&mut shard, "it has ended", |shard| shard.turn(|| false) == Turned::Ended);
}

fn a_crowd_does_not_keep_a_turn_going(driver: DriverChoice) {
    let (engine, mut shard) = start(driver, |config| config.limits.max_pipelined = 1);
    let mut client = Client::tcp(engine.tcp_address().unwrap());
    turn_until(&mut shard, "it is in", |_| engine.stats()[0].connections == 1);
    client.send(call("echo", "1").repeat(500));
    let (mut turns, mut more, start) = (0, 0, Instant::now());
    while requests(&engine) < 500 {
        assert!(start.elapsed() < Duration::from_secs(5), "{turns} turns");
        turns += 1;
        match shard.turn(|| false) {
            Turned::More => more += 1,
            _ => _ = wait(&shard, ms(50)),
        }
    }
    settle(&mut shard);
    assert!(more > 0, "{turns} turns, all to their end");
    (0..500).for_each(|_| assert_eq!(client.reply().result(), "1"));
}

fn who_drops_it_ends_it(driver: DriverChoice) {
    let descriptors = process::descriptors();
    let (engine, mut shard) = start(driver, |_| {});
    let mut client = Client::tcp(engine.tcp_address().unwrap());
    assert_eq!(ask(&mut shard, &engine, &mut client, call("echo", "1")), "1");
    drop(shard);
    client.expect_end();
    drop((client, engine));
    support::eventually("no descriptor is left", || process::descriptors() <= descriptors);
}

/// The probe's answer comes from a thread of its own, which knows that this one does not turn.
fn health_is_told_while_nobody_turns(driver: DriverChoice) {
    let (engine, mut shard) = start(driver, |config| config.admin = Some(any_port()));
    let Some(Listen::Tcp(admin)) = engine.admin_address().cloned() else { panic!("an address") };
    let mut client = Client::tcp(engine.tcp_address().unwrap());
    assert_eq!(ask(&mut shard, &engine, &mut client, call("echo", "1")), "1");
    let ready = || {
        let mut probe = Client::tcp(admin);
        probe.send(request("GET", "/readyz", "", ""));
        probe.reply().status
    };
    settle(&mut shard);
    assert_eq!(ready(), 200);
    std::thread::sleep(HOST_BEHIND + ms(100));
    assert_eq!(ready(), 503, "it was asked to turn a second ago, and has not");
    settle(&mut shard);
    assert_eq!(ready(), 200);
    assert_eq!((engine.shards(), engine.stats().len()), (1, 1), "that thread is no shard that serves");
    engine.stop(ms(0));
    turn_until(&mut shard, "it has ended", |shard| shard.turn(|| false) == Turned::Ended);
    support::server::join_within(engine, Duration::from_secs(5));
}

#[test]
fn one_thread_turns_one_shard() {
    let (handlers, _) = handlers();
    let mut config = config(DriverChoice::Epoll, handlers.specs());
    config.shards = 2;
    let refused = Engine::start_inline(config, handlers.into_backend()).err();
    assert!(matches!(refused, Some(StartError::Shards { got: 2, max: 1 })));
}

on_both_drivers!(
    calls_are_answered_by_turning,
    a_shard_with_nothing_to_do_is_not_turned,
    a_turn_leaves_nothing_that_the_kernel_was_not_told,
    calls_are_taken_between_two_turns_and_nobody_is_woken,
    a_crowd_does_not_keep_a_turn_going,
    who_drops_it_ends_it,
    health_is_told_while_nobody_turns,
);
