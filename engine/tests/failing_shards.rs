//! A shard that fails as a whole: its connections are cut, its calls are told as gone, it begins again; and when that
//! does not help, it says so.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use fasttunnel_engine::limits::SHARD_RESTARTS;
use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::link::batch::{AnswerBatch, CallBatch, CallKey, Outcome};
use fasttunnel_engine::link::port::{ShardPort, ToShard};
use fasttunnel_engine::{ConnectError, Listen};
use support::{Client, DriverChoice, Server, call, eventually, ms, octets, process};

/// Panics once more when it is dropped. What contains the first panic does not contain that one: it ends the shard.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a second panic that a test asked for");
    }
}

/// A host that notes what it is told, answers `echo` and leaves every other call open; and throws a bomb on request.
#[derive(Default)]
struct Saboteur {
    ports: Mutex<Vec<ShardPort>>,
    taken: Mutex<Vec<(usize, CallKey)>>,
    gone: Mutex<Vec<CallKey>>,
    restarts: AtomicUsize,
    stopped: Mutex<Vec<usize>>,
    failed: Mutex<Vec<usize>>,
    armed: AtomicBool,
}

impl Saboteur {
    fn start(driver: DriverChoice, change: impl FnOnce(&mut fasttunnel_engine::Config)) -> (Server, Arc<Saboteur>) {
        let host = Arc::<Saboteur>::default();
        (Server::with_backend(driver, &["echo", "later"], host.clone(), change), host)
    }

    /// The next call on this connection ends its shard.
    fn arm(&self) {
        self.armed.store(true, Ordering::Relaxed);
    }

    fn taken(&self) -> Vec<(usize, CallKey)> {
        self.taken.lock().unwrap().clone()
    }

    fn answer(&self, shard: usize, fill: impl FnOnce(&mut AnswerBatch)) {
        let mut answers = Box::<AnswerBatch>::default();
        fill(&mut answers);
        let _ = self.ports.lock().unwrap()[shard].send(ToShard::Answers(answers));
    }
}

impl Backend for Saboteur {
    fn attach(&self, ports: &[ShardPort]) {
        *self.ports.lock().unwrap() = ports.to_vec();
    }

    fn submit(&self, shard: usize, mut calls: Box<CallBatch>, answers: &mut AnswerBatch) -> Option<Box<CallBatch>> {
        if !calls.records.is_empty() && self.armed.swap(false, Ordering::Relaxed) {
            std::panic::panic_any(Bomb);
        }
        self.restarts.fetch_add(usize::from(calls.restarted), Ordering::Relaxed);
        self.gone.lock().unwrap().extend(&calls.gone);
        for record in &calls.records {
            if record.handler == 0 {
                answers.push(record.key, Outcome::Result, record.body.of(&calls.json));
            } else {
                self.taken.lock().unwrap().push((shard, record.key));
            }
        }
        calls.reset();
        Some(calls)
    }

    fn takes_frames(&self) -> bool {
        true
    }

    fn stopped(&self, shard: usize) {
        self.stopped.lock().unwrap().push(shard);
    }

    fn failed(&self, shard: usize) {
        self.failed.lock().unwrap().push(shard);
    }
}

/// Ends the shard that serves `client`.
fn sabotage(host: &Saboteur, mut client: Client) {
    host.arm();
    client.send(call("echo", "1"));
    client.expect_end();
}

/// The engine's end is not checked for panics: there were some.
fn end(mut server: Server) {
    server.engine().stop(ms(0));
    server.join();
}

fn a_failed_shard_begins_again(driver: DriverChoice) {
    let (server, host) = Saboteur::start(driver, |_| {});
    let (mut caller, mut idle, mut slow) = (server.client(), server.client(), server.client());
    caller.send(call("later", "1").repeat(2));
    slow.send(&call("echo", "\"half of a body\"")[..80]);
    eventually("two calls", || host.taken().len() == 2);
    idle.expect_usable();
    let descriptors = process::descriptors();
    sabotage(&host, server.client());
    for client in [&mut caller, &mut idle, &mut slow] {
        client.expect_end();
    }
    let calls: Vec<_> = host.taken().into_iter().map(|(_, key)| key).collect();
    eventually("the calls are gone", || calls.iter().all(|key| host.gone.lock().unwrap().contains(key)));
    eventually("it says so", || host.restarts.load(Ordering::Relaxed) == 1);
    assert_eq!((server.sum(|shard| shard.restarts), server.sum(|shard| shard.panics)), (1, 1));
    // It serves as before, and an answer to a call of before finds nobody.
    let mut after = server.client();
    after.expect_usable();
    after.send(call("later", "2"));
    eventually("a call", || host.taken().len() == 3);
    host.answer(0, |answers| calls.iter().for_each(|key| answers.push(*key, Outcome::Result, b"\"of before\"")));
    let (_, key) = host.taken()[2];
    host.answer(0, |answers| answers.push(key, Outcome::Result, b"\"of now\""));
    assert_eq!(after.reply().result(), "\"of now\"");
    assert_eq!(server.sum(|shard| shard.dropped), 2);
    assert_eq!((server.sum(|shard| shard.connections), server.sum(|shard| shard.in_flight)), (1, 0));
    assert_eq!(server.engine().failed_shards(), 0);
    drop((caller, idle, slow, after));
    eventually("nothing is left", || process::descriptors() <= descriptors - 3);
    end(server);
    assert_eq!(*host.stopped.lock().unwrap(), [0]);
}

/// What was sent is whole, or its connection is cut: nothing that looks complete and is not.
fn streams_of_a_failed_shard_are_cut(driver: DriverChoice) {
    let (server, host) = Saboteur::start(driver, |_| {});
    let (mut chunked, mut counted) = (server.client(), server.client());
    chunked.send(format!("{}5\r\nhello\r\n", octets("later", "transfer-encoding: chunked\r\n")));
    counted.send(call("later", "2"));
    eventually("two calls", || host.taken().len() == 2);
    let keys = host.taken();
    for (length, (shard, key)) in [None, Some(1000)].into_iter().zip(keys) {
        host.answer(shard, |answers| {
            answers.push_raw(key, support::host::head(200, length), |_| {});
            answers.push_raw(key, Outcome::Data, |raw| raw.extend_from_slice(&[b'x'; 100]));
        });
    }
    let mut whole = 0;
    for client in [&mut chunked, &mut counted] {
        assert_eq!(client.head().status, 200);
        whole += 1;
    }
    assert_eq!(whole, 2);
    sabotage(&host, server.client());
    assert!(chunked.chunks().is_err(), "the last chunk must not have come");
    let (bytes, _) = counted.until_end();
    assert!(bytes.len() < 1000);
    server.client().expect_usable();
    end(server);
}

/// The other shards, and their connections, do not notice.
fn the_other_shards_serve_on(driver: DriverChoice) {
    let (server, host) = Saboteur::start(driver, |config| config.shards = 2);
    let mut clients: Vec<_> = (0..6).map(|_| server.client()).collect();
    clients.iter_mut().for_each(Client::expect_usable);
    for round in 1..=4 {
        sabotage(&host, server.client());
        eventually("it begins again", || server.sum(|shard| shard.restarts) == round);
        let before = clients.len();
        clients.retain_mut(|client| {
            let sent = client.try_send(call("echo", "1"));
            sent.is_ok() && client.try_reply(true).is_ok_and(|reply| reply.status == 200)
        });
        assert!(clients.len() * 3 >= before && clients.len() < before, "{} of {before}", clients.len());
        clients.extend((0..6).map(|_| server.client()));
        clients.iter_mut().for_each(Client::expect_usable);
    }
    let open = server.engine().stats();
    assert!(open.iter().all(|shard| shard.connections >= 2), "both get connections: {open:?}");
    end(server);
}

fn a_shard_that_fails_again_and_again_is_given_up(driver: DriverChoice) {
    let (server, host) = Saboteur::start(driver, |_| {});
    for round in 1..=SHARD_RESTARTS as u64 {
        sabotage(&host, server.client());
        eventually("it begins again", || server.sum(|shard| shard.restarts) == round);
    }
    let mut caller = server.client();
    caller.send(call("later", "1"));
    eventually("a call", || host.taken().len() == 1);
    sabotage(&host, server.client());
    eventually("it is given up", || *host.failed.lock().unwrap() == [0]);
    caller.expect_end();
    // Nobody waits for it: the kernel refuses, senders are told.
    assert!(Client::try_tcp(server.address()).is_err());
    let start = Instant::now();
    for _ in 0..5000 {
        host.answer(0, |answers| answers.push(host.taken()[0].1, Outcome::Done, b""));
    }
    assert!(start.elapsed() < ms(2000));
    assert!(matches!(server.engine().connect(), Err(ConnectError::Ended)));
    eventually("the engine knows", || server.engine().failed_shards() == 1);
    assert!(host.stopped.lock().unwrap().is_empty());
    end(server);
}

/// Where one shard accepts and another is given up, every connection still finds a shard.
fn nobody_is_handed_to_a_shard_that_was_given_up(driver: DriverChoice) {
    let (server, host) = Saboteur::start(driver, |config| config.shards = 2);
    let mut keeps = server.client();
    keeps.expect_usable();
    while host.failed.lock().unwrap().is_empty() {
        // With one connection on the first shard, the next goes to the second.
        let restarts = server.sum(|shard| shard.restarts);
        sabotage(&host, server.client());
        eventually("it is over", || {
            server.sum(|shard| shard.restarts) > restarts || !host.failed.lock().unwrap().is_empty()
        });
    }
    assert_eq!(*host.failed.lock().unwrap(), [1]);
    keeps.expect_usable();
    let mut clients: Vec<_> = (0..20).map(|_| server.client()).collect();
    clients.iter_mut().for_each(Client::expect_usable);
    let own = server.engine().connect().unwrap();
    Client::over(own.into()).expect_usable();
    end(server);
}

fn a_stop_that_meets_a_failure_ends_it(driver: DriverChoice) {
    let (mut server, host) = Saboteur::start(driver, |_| {});
    let mut caller = server.client();
    caller.send(call("later", "1"));
    eventually("a call", || host.taken().len() == 1);
    let mut last = server.client();
    last.send(&call("echo", "1")[..60]);
    eventually("half a request", || server.sum(|shard| shard.connections) == 2);
    server.engine().stop(ms(4000));
    eventually("it stops", || Client::try_tcp(server.address()).is_err());
    host.arm();
    last.send(&call("echo", "1")[60..]);
    caller.expect_end();
    server.join();
    assert_eq!((host.stopped.lock().unwrap().len(), host.failed.lock().unwrap().len()), (1, 0));
}

fn a_socket_file_outlives_its_shard(driver: DriverChoice) {
    let path = std::env::temp_dir().join(format!("fasttunnel-fails-{}-{driver:?}.sock", std::process::id()));
    let (server, host) = Saboteur::start(driver, |config| config.listen = Listen::Unix(path.clone()));
    for _ in 0..3 {
        sabotage(&host, Client::unix(&path));
        Client::unix(&path).expect_usable();
    }
    end(server);
    assert!(!path.exists());
}

/// A shard whose listening socket is broken would begin again for ever, and accept nobody.
fn a_listening_socket_that_is_lost_is_told(driver: DriverChoice) {
    let (server, host) = Saboteur::start(driver, |_| {});
    let mut client = server.client();
    client.expect_usable();
    let this = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty()).unwrap();
    let number = process::descriptor_of(server.address(), ([0, 0, 0, 0], 0).into());
    let socket = rustix::process::pidfd_getfd(&this, number, rustix::process::PidfdGetfdFlags::empty()).unwrap();
    rustix::net::shutdown(&socket, rustix::net::Shutdown::Both).unwrap();
    client.expect_end();
    eventually("it is given up", || *host.failed.lock().unwrap() == [0]);
    assert_eq!(server.sum(|shard| shard.restarts), SHARD_RESTARTS as u64);
    end(server);
}

fn the_admin_listener_goes_on(driver: DriverChoice) {
    let (server, host) = Saboteur::start(driver, |config| {
        config.shards = 2;
        config.admin = Some(support::server::any_port());
    });
    let Some(Listen::Tcp(admin)) = server.engine().admin_address().cloned() else { panic!("no admin address") };
    let ask = |path: &str| Client::tcp(admin).ask(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
    let mut kept = Client::tcp(admin);
    assert_eq!(kept.ask("GET /livez HTTP/1.1\r\nHost: test\r\n\r\n").status, 200);
    // On a tie the first shard has it.
    sabotage(&host, server.client());
    kept.expect_end();
    assert_eq!((ask("/livez").status, ask("/readyz").status), (200, 200));
    // The other one is given up.
    let left =
        |connections| eventually("the others have left", || server.sum(|shard| shard.connections) == connections);
    left(0);
    let mut first = server.client();
    first.expect_usable();
    for _ in 0..=SHARD_RESTARTS {
        left(1);
        sabotage(&host, server.client());
    }
    eventually("it was given up", || server.engine().failed_shards() == 1);
    for path in ["/livez", "/readyz"] {
        let reply = ask(path);
        assert_eq!((reply.status, &*reply.body), (503, "shard failed"));
    }
    first.expect_usable();
    drop(first);
    end(server);
}

on_both_drivers!(
    the_admin_listener_goes_on,
    a_listening_socket_that_is_lost_is_told,
    a_failed_shard_begins_again,
    streams_of_a_failed_shard_are_cut,
    the_other_shards_serve_on,
    a_shard_that_fails_again_and_again_is_given_up,
    nobody_is_handed_to_a_shard_that_was_given_up,
    a_stop_that_meets_a_failure_ends_it,
    a_socket_file_outlives_its_shard,
);
