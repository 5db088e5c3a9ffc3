//! Clients that leave in the middle: their calls are given up, everybody else stays served.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::link::batch::{AnswerBatch, CallBatch, CallKey, Outcome};
use fasttunnel_engine::link::port::{ShardPort, ToShard};
use support::{Client, DriverChoice, Server, call, eventually, ms, request};

/// Takes every call, answers none by itself, and writes down whose client is gone.
#[derive(Default)]
struct Recorder {
    taken: Mutex<Vec<CallKey>>,
    gone: Mutex<Vec<CallKey>>,
    stopped: Mutex<Vec<usize>>,
    ports: OnceLock<Vec<ShardPort>>,
}

impl Recorder {
    fn taken(&self) -> Vec<CallKey> {
        self.taken.lock().unwrap().clone()
    }

    fn gone(&self) -> Vec<CallKey> {
        self.gone.lock().unwrap().clone()
    }

    fn answer(&self, key: CallKey) {
        let mut answers = Box::<AnswerBatch>::default();
        answers.push(key, Outcome::Result, b"1");
        self.ports.get().unwrap()[0].send(ToShard::Answers(answers)).unwrap();
    }
}

impl Backend for Recorder {
    fn attach(&self, ports: &[ShardPort]) {
        assert!(self.ports.set(ports.to_vec()).is_ok());
    }

    fn submit(&self, _: usize, mut calls: Box<CallBatch>, _: &mut AnswerBatch) -> Option<Box<CallBatch>> {
        self.taken.lock().unwrap().extend(calls.records.iter().map(|record| record.key));
        self.gone.lock().unwrap().extend(&calls.gone);
        calls.reset();
        Some(calls)
    }

    fn stopped(&self, shard: usize) {
        self.stopped.lock().unwrap().push(shard);
    }
}

fn recording(driver: DriverChoice) -> (Server, Arc<Recorder>) {
    let recorder = Arc::<Recorder>::default();
    (Server::with_backend(driver, &["echo", "other"], recorder.clone(), |_| {}), recorder)
}

fn a_reset_abandons_the_calls(driver: DriverChoice) {
    let (server, recorder) = recording(driver);
    let (mut client, mut other) = (server.client(), server.client());
    other.send(call("other", "1"));
    eventually("the other call", || recorder.taken().len() == 1);
    client.send(call("echo", "1").repeat(3));
    eventually("three more calls", || recorder.taken().len() == 4);
    client.reset();
    eventually("three are gone", || recorder.gone().len() == 3);
    let taken = recorder.taken();
    assert_eq!(recorder.gone().into_iter().collect::<HashSet<_>>(), taken[1..].iter().copied().collect());
    assert_eq!(server.sum(|shard| shard.in_flight), 1);
    // A late answer reaches nobody; the other call is still answered.
    recorder.answer(taken[2]);
    recorder.answer(taken[0]);
    assert_eq!(other.reply().result(), "1");
    assert_eq!(server.sum(|shard| shard.dropped), 1);
    assert_eq!(server.sum(|shard| shard.connections), 1);
}

fn a_half_closed_client_gets_what_is_ready_soon(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    client.send(format!("{}{}", call("later", "1"), call("echo", "2")));
    client.finish_sending();
    let (ticket, _) = server.taken();
    ticket.json("1");
    assert_eq!(client.reply().result(), "1");
    assert_eq!(client.reply().result(), "2");
    client.expect_fin();
}

fn a_half_closed_client_counts_as_gone_after_the_grace(driver: DriverChoice) {
    let (server, recorder) = recording(driver);
    let mut client = server.client();
    client.send(call("echo", "1"));
    let start = Instant::now();
    client.finish_sending();
    client.expect_end();
    assert!(start.elapsed() > ms(90) && start.elapsed() < ms(600), "{:?}", start.elapsed());
    // Told before the client saw the end, and once.
    assert_eq!(recorder.gone(), recorder.taken());
    assert_eq!(recorder.gone().len(), 1);
}

/// Where nothing is thrown away, the connection is read all the same: only a read tells of a FIN.
fn a_client_that_leaves_its_last_request_is_noticed_where_nothing_is_thrown_away(driver: DriverChoice) {
    let recorder = Arc::<Recorder>::default();
    let server = Server::with_backend(driver, &["echo"], recorder.clone(), |config| {
        config.limits.max_discarded_bytes = 0;
    });
    let mut client = server.client();
    client.send(request("POST", "/__runner/task/echo", "Connection: close\r\n", "1"));
    eventually("the call", || recorder.taken().len() == 1);
    drop(client);
    eventually("it is gone", || recorder.gone().len() == 1);
    eventually("and so is the connection", || server.sum(|shard| shard.connections) == 0);
}

/// After `Connection: close`, or a refusal, a FIN used to go unnoticed while a call was under way: nothing ended the
/// connection unless the call was answered.
fn a_fin_behind_the_last_request_counts_too(driver: DriverChoice) {
    let (server, recorder) = recording(driver);
    let mut client = server.client();
    client.send(request("POST", "/__runner/task/echo", "Connection: close\r\n", "1"));
    eventually("the call", || recorder.taken().len() == 1);
    // Long enough to pass through every phase that a timer may set.
    std::thread::sleep(ms(250));
    client.finish_sending();
    client.expect_end();
    eventually("it is gone", || recorder.gone().len() == 1);

    let mut client = server.client();
    client.send(format!("{}BROKEN", call("echo", "1")));
    eventually("the call", || recorder.taken().len() == 2);
    std::thread::sleep(ms(250));
    client.finish_sending();
    client.expect_end();
    eventually("it is gone", || recorder.gone().len() == 2);
}

/// Timed out behind a slow call, then FIN: the same.
fn a_fin_after_a_408_behind_a_slow_call_counts_too(driver: DriverChoice) {
    let recorder = Arc::<Recorder>::default();
    let limit = |config: &mut fasttunnel_engine::Config| config.limits.head_timeout_ms = 200;
    let server = Server::with_backend(driver, &["echo"], recorder.clone(), limit);
    let mut client = server.client();
    client.send(format!("{}POST /", call("echo", "1")));
    eventually("the call", || recorder.taken().len() == 1);
    eventually("the 408", || server.sum(|shard| shard.protocol_errors) == 1);
    client.finish_sending();
    client.expect_end();
    eventually("it is gone", || recorder.gone().len() == 1);
    eventually("its connection", || server.sum(|shard| shard.connections) == 0);
}

fn an_incomplete_request_is_never_run(driver: DriverChoice) {
    let (server, recorder) = recording(driver);
    let whole = call("echo", "\"body\"");
    for end in [1, 20, whole.len() - 7, whole.len() - 1] {
        let mut client = server.client();
        client.send(&whole[..end]);
        client.finish_sending();
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (400, true), "cut at {end}");
        client.expect_fin();
        let mut client = server.client();
        client.send(&whole[..end]);
        client.reset();
    }
    eventually("all have left", || server.sum(|shard| shard.connections) == 0);
    assert!(recorder.taken().is_empty());
}

fn a_killed_process_is_noticed(driver: DriverChoice) {
    let (server, recorder) = recording(driver);
    let mut peer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "peer_process", "--ignored"])
        .env("PEER_ADDRESS", server.address().to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("its call", || recorder.taken().len() == 1);
    peer.kill().unwrap();
    peer.wait().unwrap();
    eventually("it is gone", || recorder.gone().len() == 1 && server.sum(|shard| shard.connections) == 0);
}

/// The client of the test above, in a process of its own.
#[test]
#[ignore = "started by another test"]
fn peer_process() {
    let Ok(address) = std::env::var("PEER_ADDRESS") else { return };
    let mut client = support::Client::tcp(address.parse().unwrap());
    client.send(format!("{}{}", call("echo", "1"), &call("echo", "2")[..40]));
    std::thread::sleep(std::time::Duration::from_secs(60));
}

/// Sends fail with EPIPE and ECONNRESET by the hundred; whoever stays gets every byte.
fn a_storm_of_resets_in_the_middle_of_answers_harms_nobody(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.shards = 2);
    let (address, body) = (server.address(), "x".repeat(100_000));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let attack = || {
            for round in 0..100 {
                let mut client = Client::tcp(address);
                let _ = client.try_send(call("big", "100000").repeat(8));
                if round % 2 == 0 {
                    client.read_ahead(1 + round * 3000);
                }
                client.reset();
            }
        };
        let storm: Vec<_> = (0..3).map(|_| scope.spawn(attack)).collect();
        let canary = scope.spawn(|| {
            let mut client = Client::tcp(address);
            let mut answers = 0;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(client.ask(call("big", "100000")).result().trim_matches('"'), body);
                Client::tcp(address).expect_usable();
                answers += 1;
            }
            answers
        });
        storm.into_iter().for_each(|thread| thread.join().unwrap());
        over.store(true, Ordering::Relaxed);
        assert!(canary.join().unwrap() > 3);
    });
    eventually("all have left", || server.sum(|shard| shard.connections) == 0);
    assert_eq!(server.sum(|shard| shard.in_flight), 0);
}

fn the_end_of_a_shard_is_announced_after_its_last_calls(driver: DriverChoice) {
    let recorder = Arc::<Recorder>::default();
    let shards = |config: &mut fasttunnel_engine::Config| config.shards = 3;
    let mut server = Server::with_backend(driver, &["echo"], recorder.clone(), shards);
    let mut clients: Vec<_> = (0..6).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(call("echo", "1"));
    }
    eventually("six calls", || recorder.taken().len() == 6);
    server.engine().stop(ms(0));
    server.join();
    assert_eq!(recorder.gone().len(), 6, "every call of a cut connection is reported");
    let mut stopped = recorder.stopped.lock().unwrap().clone();
    stopped.sort_unstable();
    assert_eq!(stopped, [0, 1, 2]);
}

on_both_drivers!(
    a_reset_abandons_the_calls,
    a_client_that_leaves_its_last_request_is_noticed_where_nothing_is_thrown_away,
    a_half_closed_client_gets_what_is_ready_soon,
    a_half_closed_client_counts_as_gone_after_the_grace,
    a_fin_behind_the_last_request_counts_too,
    a_fin_after_a_408_behind_a_slow_call_counts_too,
    an_incomplete_request_is_never_run,
    a_killed_process_is_noticed,
    a_storm_of_resets_in_the_middle_of_answers_harms_nobody,
    the_end_of_a_shard_is_announced_after_its_last_calls,
);
