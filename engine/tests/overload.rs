//! Too much of everything: what is refused, how, and that it is over when the load is over.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fasttunnel_engine::handlers::{Answer, Handlers};
use fasttunnel_engine::limits::{HOST_QUEUE_BATCHES, MAX_TURNED_AWAY};
use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::link::batch::{AnswerBatch, CallBatch, Outcome};
use fasttunnel_engine::link::host::{Host, Next};
use fasttunnel_engine::link::port::ShardPort;
use support::host::hosted;
use support::{Client, DriverChoice, Server, call, eventually, ms, octets, process, request};

fn calls_beyond_the_bound_get_503(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.max_calls_in_flight = 3);
    let mut busy = server.client();
    busy.send(call("later", "1").repeat(3));
    let mut tickets: Vec<_> = (0..3).map(|_| server.taken().0).collect();
    let mut other = server.client();
    let reply = other.ask(call("echo", "1"));
    assert_eq!((reply.status, reply.field("retry-after").is_some()), (503, true), "{reply:?}");
    assert!(!reply.closes());
    // A body that comes later is refused as well, and in step.
    let bytes = call("echo", "\"later\"");
    other.send_split(bytes.as_bytes(), bytes.len() - 3);
    assert_eq!(other.reply().status, 503);
    assert_eq!(server.sum(|shard| shard.overloaded), 2);
    tickets.remove(0).json("1");
    assert_eq!(busy.reply().result(), "1");
    other.expect_usable();
}

fn a_body_that_ends_after_the_bound_is_reached_gets_503(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.max_calls_in_flight = 1);
    let (mut early, mut late) = (server.client(), server.client());
    let bytes = call("echo", "\"body\"");
    late.send(&bytes[..bytes.len() - 3]);
    eventually("its head", || server.sum(|shard| shard.requests) == 1);
    early.send(call("later", "1"));
    let (ticket, _) = server.taken();
    late.send(&bytes[bytes.len() - 3..]);
    assert_eq!(late.reply().status, 503);
    ticket.json("1");
    assert_eq!(early.reply().result(), "1");
    late.expect_usable();
}

fn connections_beyond_the_bound_get_503_and_the_end(driver: DriverChoice) {
    let server = Server::with(driver, |config| {
        config.limits.max_connections = 4;
        config.shards = 2;
    });
    let mut clients: Vec<_> = (0..4).map(|_| server.client()).collect();
    clients.iter_mut().for_each(Client::expect_usable);
    for _ in 0..3 {
        let mut surplus = server.client();
        let reply = surplus.reply();
        assert_eq!((reply.status, reply.closes()), (503, true));
        assert!(!reply.field("date").unwrap().contains("1970"));
        surplus.expect_end();
    }
    assert_eq!(server.sum(|shard| shard.turned_away), 3);
    clients.iter_mut().for_each(Client::expect_usable);
    clients.pop();
    eventually("one has left", || server.sum(|shard| shard.connections) == 3);
    server.client().expect_usable();
}

/// Used to meet a reset as soon as it sent more than the first packet.
fn a_connection_beyond_the_bound_finds_its_503_when_it_has_sent_everything(driver: DriverChoice) {
    let server = Server::with(driver, |config| config.limits.max_connections = 1);
    let mut client = server.client();
    client.expect_usable();
    for mebibytes in [1, 12, 64] {
        let mut surplus = server.client();
        surplus.send(request("POST", "/__runner/task/echo", "", &"x".repeat(mebibytes << 20)));
        let reply = surplus.reply();
        assert_eq!((reply.status, reply.closes()), (503, true), "{mebibytes} MiB");
        surplus.expect_end();
    }
    client.expect_usable();
    assert_eq!(server.sum(|shard| shard.connections), 1);
    // What they ask for is never run, and counts as nothing.
    assert_eq!((server.sum(|shard| shard.turned_away), server.sum(|shard| shard.protocol_errors)), (3, 0));
}

fn those_beyond_the_bound_that_do_not_leave_are_bounded_in_number_and_in_time(driver: DriverChoice) {
    let mut server = Server::with(driver, |config| config.limits.max_connections = 1);
    let mut client = server.client();
    client.expect_usable();
    let start = Instant::now();
    let mut surplus: Vec<_> = (0..=MAX_TURNED_AWAY).map(|_| server.client()).collect();
    for client in &mut surplus {
        assert_eq!(client.reply().status, 503);
    }
    let open = process::descriptors();
    // The last is closed at once: what it sends is answered by a reset. The others are closed when their time is over.
    let mut last = surplus.pop().unwrap();
    eventually("it is closed", || last.try_send("x").is_err());
    drop(last);
    eventually("all are closed", || process::descriptors() <= open - 1 - MAX_TURNED_AWAY);
    assert!(start.elapsed() > ms(1500), "{:?}", start.elapsed());
    // Nor do they hold up the end.
    let mut late = server.client();
    assert_eq!(late.reply().status, 503);
    drop(client);
    let end = Instant::now();
    server.engine().stop(ms(5000));
    server.join();
    assert!(end.elapsed() < ms(1500), "{:?}", end.elapsed());
}

fn a_panicking_handler_costs_its_own_call(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    client.send(format!("{}{}{}", call("echo", "1"), call("panics", "{}"), call("echo", "2")));
    assert_eq!(client.reply().result(), "1");
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (500, false));
    assert!(!reply.body.contains("a panic that a test asked for"));
    assert_eq!(client.reply().result(), "2");
    assert_eq!(client.ask(call("fails", "{}")).status, 500);
    client.expect_usable();
}

fn a_dropped_ticket_is_a_500(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    client.send(call("later", "1"));
    drop(server.taken());
    assert_eq!(client.reply().status, 500);
    client.expect_usable();
}

/// A handler that promises an answer and takes no ticket for it used to leave its client waiting for ever.
fn later_without_a_ticket_is_a_500(driver: DriverChoice) {
    let handlers = Handlers::new().task("forgets", |_, _| Answer::Later);
    let server = Server::with_backend(driver, &["forgets"], handlers.into_backend(), |_| {});
    assert_eq!(server.client().ask(call("forgets", "1")).status, 500);
}

/// Tickets that are used on the shard's own thread go through its inbox; when that was full, the shard used to wait
/// for itself.
fn a_handler_may_use_its_tickets_at_once(driver: DriverChoice) {
    let handlers = Handlers::new().task("echo", |call, ticket| {
        ticket().json(call.body.unwrap_or("null"));
        Answer::Later
    });
    let many = |config: &mut fasttunnel_engine::Config| {
        config.limits.max_pipelined = 5000;
        config.limits.max_calls_in_flight = 20_000;
    };
    let server = Server::with_backend(driver, &["echo"], handlers.into_backend(), many);
    let mut clients: Vec<_> = (0..4).map(|_| server.client()).collect();
    // The shard is kept busy, so that the following requests come in few ticks.
    for client in &mut clients {
        client.send(call("echo", "1").repeat(3000));
    }
    for client in &mut clients {
        for _ in 0..3000 {
            assert_eq!(client.reply().result(), "1");
        }
    }
}

/// A backend that breaks its contract, once.
struct PanicsOnce {
    handlers: Arc<dyn Backend>,
    panics: AtomicBool,
}

impl Backend for PanicsOnce {
    fn attach(&self, ports: &[ShardPort]) {
        self.handlers.attach(ports);
    }

    fn submit(&self, shard: usize, calls: Box<CallBatch>, answers: &mut AnswerBatch) -> Option<Box<CallBatch>> {
        assert!(!self.panics.swap(false, Ordering::Relaxed), "a panic that a test asked for");
        self.handlers.submit(shard, calls, answers)
    }

    fn stopped(&self, shard: usize) {
        self.handlers.stopped(shard);
    }
}

/// A panic in a tick used to end the shard, while its sockets stayed open: clients waited for ever.
fn a_panicking_backend_costs_connections_but_no_shard(driver: DriverChoice) {
    let (handlers, later) = support::server::handlers();
    let config = support::server::config(driver, handlers.specs());
    let backend = Arc::new(PanicsOnce { handlers: handlers.into_backend(), panics: AtomicBool::new(true) });
    let engine = fasttunnel_engine::Engine::start(config, backend).unwrap();
    let mut server = Server { engine: Some(engine), turner: None, later };
    let (mut caller, mut idle) = (server.client(), server.client());
    caller.send(call("echo", "1"));
    caller.expect_end();
    idle.expect_end();
    eventually("both are gone", || server.sum(|shard| shard.connections) == 0);
    assert_eq!((server.sum(|shard| shard.panics), server.sum(|shard| shard.in_flight)), (1, 0));
    server.client().expect_usable();
    assert_eq!(server.engine().failed_shards(), 0);
    server.engine().stop(ms(0));
    server.join();
}

/// A host whose test decides when it drains: nobody is woken.
fn host(shards: usize) -> Arc<Host> {
    let host = Arc::new(Host::new(shards, || {}));
    assert!(host.try_park());
    host
}

fn drain(host: &Host, shard: usize) -> usize {
    let mut taken = 0;
    while let Next::Calls(calls) = host.next(shard) {
        let mut answers = Box::<AnswerBatch>::default();
        for record in &calls.records {
            answers.push(record.key, Outcome::Result, record.body.of(&calls.json));
        }
        taken += answers.records.len();
        host.answer(shard, answers);
        host.recycle(shard, calls);
    }
    taken
}

/// Fills the host's queue: one batch per call, because each call waits for its batch to be counted.
fn fill(server: &Server, client: &mut Client) {
    for number in 1..=HOST_QUEUE_BATCHES as u64 {
        client.send(call("echo", &number.to_string()));
        eventually("its batch", || server.sum(|shard| shard.batches) == number);
    }
}

fn a_batch_that_the_host_refused_is_offered_again(driver: DriverChoice) {
    let host = host(1);
    let server = Server::with_backend(driver, &["echo"], host.clone(), |config| config.limits.max_pipelined = 1000);
    let mut client = server.client();
    fill(&server, &mut client);
    client.send(call("echo", "65").repeat(10));
    eventually("ten more calls", || server.sum(|shard| shard.requests) == HOST_QUEUE_BATCHES as u64 + 10);
    assert_eq!(server.sum(|shard| shard.batches), HOST_QUEUE_BATCHES as u64);
    // The host takes one batch and answers nothing: the shard has to hear of the room all the same, and at once,
    // not when its timer happens to strike.
    let room = Instant::now();
    let Next::Calls(first) = host.next(0) else { panic!("the queue is full") };
    while server.sum(|shard| shard.batches) == HOST_QUEUE_BATCHES as u64 && room.elapsed() < ms(1000) {
        std::thread::yield_now();
    }
    assert!(room.elapsed() < ms(20), "the shard heard of the room after {:?}", room.elapsed());
    let mut answers = Box::<AnswerBatch>::default();
    first.records.iter().for_each(|record| answers.push(record.key, Outcome::Result, b"0"));
    host.answer(0, answers);
    assert_eq!(client.reply().result(), "0");
    eventually("everything is drained", || drain(&host, 0) == 0 && host.queued() == 0);
    for number in 2..=HOST_QUEUE_BATCHES {
        assert_eq!(client.reply().result(), number.to_string());
    }
    for _ in 0..10 {
        assert_eq!(client.reply().result(), "65");
    }
}

/// Calls whose clients had left, or whose time was over, used to pile up without a bound in a batch that the host
/// refused: they no longer counted as calls in flight.
fn a_refused_batch_does_not_grow_for_ever(driver: DriverChoice) {
    let host = host(1);
    let server = Server::with_backend(driver, &["echo"], host.clone(), |config| {
        config.limits.max_calls_in_flight = 100;
        config.limits.max_pipelined = 100;
    });
    let mut client = server.client();
    fill(&server, &mut client);
    let mut refused = 0;
    for _ in 0..300 {
        let mut leaver = server.client();
        let requests = server.sum(|shard| shard.requests);
        leaver.send(call("echo", "1"));
        eventually("its call", || server.sum(|shard| shard.requests) == requests + 1);
        leaver.set_patience(ms(1));
        refused += u32::from(leaver.try_reply(true).is_ok_and(|reply| reply.status == 503));
        leaver.reset();
    }
    assert!(refused >= 190, "{refused} of 300 were refused, at most 100 may wait");
    let answering = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while answering.load(Ordering::Relaxed) {
                drain(&host, 0);
                std::thread::sleep(ms(1));
            }
        });
        let mut other = server.client();
        eventually("room again", || other.ask(call("echo", "1")).status == 200);
        answering.store(false, Ordering::Relaxed);
    });
}

fn what_the_host_has_no_time_for_gets_503(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    let body = "x".repeat(40_000);
    for asked in [call("echo", "1"), format!("{}{body}", octets("echo", "content-length: 40000\r\n"))] {
        client.send(asked);
        let (key, _) = host.call();
        host.say(key, Outcome::Overloaded, b"");
        let reply = client.reply();
        assert_eq!((reply.status, reply.field("retry-after"), reply.closes()), (503, Some("1"), false), "{reply:?}");
    }
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.say(key, Outcome::Result, b"2");
    assert_eq!(client.reply().result(), "2");
    assert_eq!((server.sum(|shard| shard.shed), server.sum(|shard| shard.in_flight)), (2, 0));
}

on_both_drivers!(
    what_the_host_has_no_time_for_gets_503,
    calls_beyond_the_bound_get_503,
    a_body_that_ends_after_the_bound_is_reached_gets_503,
    connections_beyond_the_bound_get_503_and_the_end,
    a_connection_beyond_the_bound_finds_its_503_when_it_has_sent_everything,
    those_beyond_the_bound_that_do_not_leave_are_bounded_in_number_and_in_time,
    a_panicking_handler_costs_its_own_call,
    a_dropped_ticket_is_a_500,
    later_without_a_ticket_is_a_500,
    a_handler_may_use_its_tickets_at_once,
    a_panicking_backend_costs_connections_but_no_shard,
    a_batch_that_the_host_refused_is_offered_again,
    a_refused_batch_does_not_grow_for_ever,
);
