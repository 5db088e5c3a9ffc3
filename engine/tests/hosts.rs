//! Event loops that attach to a running engine and leave it: an engine needs none to run, calls find the one that serves
//! them, and whatever a loop leaves behind is answered.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fasttunnel_engine::host::{Bridge, RawParts};
use fasttunnel_engine::limits::{HOST_QUEUE_BATCHES, MAX_HOSTS};
use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::link::batch::{AnswerBatch, CallBatch, CallKey, CallRecord, Frame, FrameKind, Notice, Outcome};
use fasttunnel_engine::link::clock;
use fasttunnel_engine::link::host::{Host, Next};
use fasttunnel_engine::link::hosts::{Hosts, Offer, TooManyHosts};
use fasttunnel_engine::tunnel::table::Kind;
use fasttunnel_engine::wire::fields::Span;
use fasttunnel_engine::{Config, Engine, Listen};
use support::event_loop::{EventLoop, Given, Told, without_loop};
use support::server::any_port;
use support::{Client, DriverChoice, Reply, Server, call, eventually, ms, octets};

fn with_admin(config: &mut Config) {
    config.admin = Some(any_port());
}

#[track_caller]
fn readiness(server: &Server) -> Reply {
    let Some(Listen::Tcp(address)) = server.engine().admin_address() else { panic!("an admin listener") };
    Client::tcp(*address).ask("GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n")
}

#[track_caller]
fn expect_unavailable(reply: &Reply) {
    assert_eq!((reply.status, reply.field("retry-after")), (503, Some("1")), "{reply:?}");
}

fn an_engine_runs_before_an_event_loop_comes_and_after_it_has_left(driver: DriverChoice) {
    let (mut server, hosts) = without_loop(driver, with_admin);
    let mut client = server.client();
    assert_eq!(client.ask(call("echo", "1")).status, 403, "nobody offers it");
    assert_eq!((readiness(&server).status, readiness(&server).body.as_str()), (503, "javascript is behind"));
    for round in 0..3 {
        let mut one = EventLoop::attach(server.engine(), &hosts, &["echo"]);
        assert_eq!((hosts.count(), one.bridge.link().number(), one.tasks[0].1), (1, round, round));
        assert_eq!(readiness(&server).body, "ok");
        client.send(call("echo", "7"));
        one.serve("8");
        assert_eq!(client.reply().result(), "8");
        one.bridge.detach();
        assert_eq!((hosts.count(), readiness(&server).status), (0, 503));
        one.bridge.detach();
        assert!(one.turn().is_empty());
    }
    assert_eq!(server.sum(|shard| shard.answered), 3);
    server.engine().stop(ms(1000));
    drop(client);
    server.join();
}

fn calls_wait_for_an_event_loop_as_long_as_for_one_that_is_behind(driver: DriverChoice) {
    let (server, hosts) = without_loop(driver, |config| config.limits.queue_timeout_ms = 300);
    drop(EventLoop::attach(server.engine(), &hosts, &["echo"]));
    let (mut client, mut streams) = (server.client(), server.client());
    let start = Instant::now();
    client.send(call("echo", "1").repeat(3));
    streams.send(octets("echo", "content-length: 4\r\n"));
    streams.send("abcd");
    for _ in 0..3 {
        expect_unavailable(&client.reply());
    }
    expect_unavailable(&streams.reply());
    assert!(start.elapsed() >= ms(300) && start.elapsed() < ms(3000), "{:?}", start.elapsed());
    assert_eq!((server.sum(|shard| shard.shed), server.sum(|shard| shard.in_flight)), (4, 0));
    // Nothing of them is left for the next.
    let mut next = EventLoop::attach(server.engine(), &hosts, &["echo"]);
    client.send(call("echo", "2"));
    next.serve("2");
    assert_eq!(client.reply().result(), "2");
    assert!(next.turn().is_empty() && next.frames.is_empty());
}

/// Its handlers have other numbers there.
fn calls_that_wait_are_taken_by_the_next_event_loop(driver: DriverChoice) {
    let (server, hosts) = without_loop(driver, |config| config.limits.queue_timeout_ms = 5000);
    drop(EventLoop::attach(server.engine(), &hosts, &["echo", "other"]));
    let (mut client, mut leaves) = (server.client(), server.client());
    client.send(call("other", "1"));
    leaves.send(call("echo", "2"));
    eventually("two calls", || server.sum(|shard| shard.in_flight) == 2);
    drop(leaves);
    eventually("one call", || server.sum(|shard| shard.in_flight) == 1);
    let mut next = EventLoop::attach(server.engine(), &hosts, &["new", "other"]);
    let given = next.calls(1).remove(0);
    assert_eq!((given.task.as_str(), given.text.as_str()), ("other", "1"));
    next.result(given.ticket, "3");
    assert_eq!(client.reply().result(), "3");
    assert!(next.departed.is_empty());
    assert_eq!(client.ask(call("echo", "1")).status, 403, "it left with the loop that offered it");
}

fn what_an_event_loop_leaves_behind_is_answered(driver: DriverChoice) {
    let (server, hosts) = without_loop(driver, |_| {});
    let mut one = EventLoop::attach(server.engine(), &hosts, &["echo"]);
    let [mut begun, mut opened, mut body, mut queued] = [0; 4].map(|_| server.client());
    begun.send(call("echo", "1"));
    let begun_ticket = one.calls(1)[0].ticket;
    opened.send(call("echo", "2"));
    let opened_ticket = one.calls(1)[0].ticket;
    let head = RawParts { status: 200.0, reason: "", headers: &[], body: b"", cors: false, security: false };
    assert!(one.bridge.open_stream(opened_ticket, &head, None));
    one.bridge.append(opened_ticket, Outcome::Data, b"some");
    one.result(u32::MAX, "0");
    body.send(octets("echo", "content-length: 10\r\n"));
    one.calls(1);
    assert_eq!(opened.head().status, 200);
    queued.send(call("echo", "3"));
    eventually("it waits", || one.bridge.link().queued() == 1);
    one.bridge.detach();
    // What it has begun cannot be tried again without a thought; what it has not may be.
    for reply in [begun.reply(), body.reply()] {
        assert_eq!((reply.status, reply.field("retry-after")), (503, None));
        assert!(reply.body.contains("HANDLER_LOST") && reply.body.contains("it may have run"), "{reply:?}");
    }
    expect_unavailable(&queued.reply());
    let (bytes, _) = opened.until_end();
    assert!(!bytes.ends_with(b"0\r\n\r\n"), "it breaks off: {bytes:?}");
    eventually("nothing is under way", || server.sum(|shard| shard.in_flight) == 0);
    // It has nothing to say any more.
    one.result(begun_ticket, "9");
    let mut next = EventLoop::attach(server.engine(), &hosts, &["echo"]);
    queued.send(call("echo", "4"));
    next.serve("5");
    assert_eq!(queued.reply().result(), "5");
}

/// What it has begun goes on to its end: a body that is still coming, and a client that leaves, are its own.
fn an_event_loop_that_retires_ends_what_it_has_begun_and_gets_no_more(driver: DriverChoice) {
    let (server, hosts) = without_loop(driver, |_| {});
    let mut one = EventLoop::attach(server.engine(), &hosts, &["echo"]);
    let [mut body, mut leaves, mut fetched, mut queued] = [0; 4].map(|_| server.client());
    body.send(octets("echo", "content-length: 8\r\n"));
    body.send("abcd");
    let body_ticket = one.calls(1)[0].ticket;
    leaves.send(call("echo", "2"));
    let left_ticket = one.calls(1)[0].ticket;
    // One is fetched and not given out, one lies in the queue.
    fetched.send(call("echo", "3").repeat(2));
    eventually("they wait", || one.bridge.link().queued() > 0 && server.sum(|shard| shard.calls) == 4);
    let mut told = Told::default();
    assert_eq!(one.bridge.drain(&mut told, 1).calls, 1);
    queued.send(call("echo", "4"));
    eventually("it waits", || one.bridge.link().queued() > 0);
    let mut other = EventLoop::attach(server.engine(), &hosts, &["echo"]);
    one.bridge.retire();
    server.engine().set_exposure(&Arc::new(support::server::exposure(&hosts.registrations())));
    let given = other.calls(2);
    given.iter().for_each(|given| other.result(given.ticket, &given.text));
    assert_eq!(queued.reply().result(), "4");
    one.result(told.calls[0].0, "3");
    assert_eq!([fetched.reply().result(), fetched.reply().result()], ["3", "3"]);
    body.send("efgh");
    drop(leaves);
    eventually("both are told", || {
        assert!(one.turn().is_empty(), "no more calls");
        one.departed == [left_ticket] && one.frames.iter().any(|(_, kind, _)| *kind == FrameKind::End)
    });
    let bytes: Vec<u8> = one.frames.iter().flat_map(|(_, _, bytes)| bytes.clone()).collect();
    assert_eq!(bytes, b"abcdefgh");
    one.result(body_ticket, "5");
    assert_eq!(body.reply().result(), "5");
    queued.send(call("echo", "6"));
    other.serve("6");
    assert_eq!(queued.reply().result(), "6");
    one.result(left_ticket, "0");
    assert_eq!((one.bridge.live(), hosts.count()), (0, 2));
    one.bridge.detach();
    assert_eq!((hosts.count(), server.sum(|shard| shard.in_flight)), (1, 0));
}

/// A crowd that is refused is told to it, and the end of the shards.
fn an_observer_gets_no_calls_and_hears_what_is_told(driver: DriverChoice) {
    let (mut server, hosts) = without_loop(driver, |config| {
        config.report_refusals = true;
        config.limits.queue_timeout_ms = 200;
    });
    let offer = |id: &str| Offer { kind: Kind::Task, id: id.to_owned(), number: None };
    hosts.announce(&[offer("echo")]).unwrap();
    server.engine().set_exposure(&Arc::new(support::server::exposure(&hosts.registrations())));
    let mut observer = Bridge::observe(hosts.clone(), || {});
    let mut client = server.client();
    client.send(call("echo", "1"));
    expect_unavailable(&client.reply());
    client.send(call("echo", "2"));
    let mut one = EventLoop::attach(server.engine(), &hosts, &["echo"]);
    one.serve("2");
    assert_eq!(client.reply().result(), "2", "what was announced has waited for it");
    assert_eq!((hosts.count(), observer.link().calls()), (1, 0));
    one.bridge.detach();
    client.send(call("echo", "3"));
    expect_unavailable(&client.reply());
    assert_eq!(observer.drain(&mut Told::default(), 1).calls, 0);
    drop(client);
    server.engine().stop(ms(1000));
    eventually("it hears of the end", || observer.drain(&mut Told::default(), 1).stopped);
    server.join();
    observer.detach();
}

/// The second call is in the slot of the first.
fn a_late_answer_of_a_host_that_has_left_finds_nothing(driver: DriverChoice) {
    let (server, hosts) = without_loop(driver, |_| {});
    let one = EventLoop::attach(server.engine(), &hosts, &["echo"]);
    let late = one.bridge.link().clone();
    let mut client = server.client();
    client.send(call("echo", "1"));
    eventually("it waits", || late.queued() == 1);
    let Next::Calls(calls) = late.next(0) else { panic!("a call") };
    let key = calls.records[0].key;
    client.reset();
    eventually("it is gone", || server.sum(|shard| shard.in_flight) == 0);
    drop(one);
    let mut next = EventLoop::attach(server.engine(), &hosts, &["echo"]);
    let mut client = server.client();
    client.send(call("echo", "2"));
    let given = next.calls(1).remove(0);
    let mut answers = Box::<AnswerBatch>::default();
    answers.push(key, Outcome::Result, b"\"wrong\"");
    late.answer(0, answers);
    eventually("it is dropped", || server.sum(|shard| shard.dropped) == 1);
    next.result(given.ticket, "3");
    assert_eq!(client.reply().result(), "3");
}

fn the_event_loop_with_the_fewest_calls_gets_the_next(driver: DriverChoice) {
    let (server, hosts) = without_loop(driver, |_| {});
    // However long the test takes.
    hosts.set_busy_after(Duration::MAX);
    let mut loops = [0; 3].map(|_| EventLoop::attach(server.engine(), &hosts, &["echo"]));
    let mut clients: Vec<_> = (0..9).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(call("echo", &number.to_string()));
        eventually("it is handed over", || server.sum(|shard| shard.calls) == number as u64 + 1);
    }
    let given = loops.each_mut().map(|one| one.calls(3));
    // Those that came in one tick are spread as well; whoever has answered gets more.
    for given in &given[1] {
        loops[1].result(given.ticket, "1");
    }
    server.client().send(call("echo", "1"));
    let mut many = server.client();
    many.send(call("echo", "1").repeat(6));
    eventually("all are handed over", || server.sum(|shard| shard.calls) == 9 + 7);
    let open = loops.each_mut().map(|one| {
        one.turn();
        one.bridge.live()
    });
    assert_eq!(open.iter().sum::<usize>(), 9 - 3 + 7);
    assert!(open.iter().max().unwrap() - open.iter().min().unwrap() <= 1, "{open:?}");
}

fn a_call_goes_to_an_event_loop_that_serves_it(driver: DriverChoice) {
    let (server, hosts) = without_loop(driver, |config| config.limits.queue_timeout_ms = 300);
    let mut one = EventLoop::attach(server.engine(), &hosts, &["both", "first"]);
    let mut two = EventLoop::attach(server.engine(), &hosts, &["second", "both"]);
    let mut client = server.client();
    let requests = [("first", "1"), ("second", "2"), ("first", "3"), ("first", "4")].map(|(id, text)| call(id, text));
    client.send(requests.concat());
    let texts = |given: &[Given]| given.iter().map(|one| one.text.clone()).collect::<Vec<_>>();
    let (of_one, of_two) = (one.calls(3), two.calls(1));
    assert_eq!((texts(&of_one), texts(&of_two)), (vec!["1".into(), "3".into(), "4".into()], vec!["2".into()]));
    for (event_loop, given) in [(&mut one, of_one), (&mut two, of_two)] {
        given.iter().for_each(|given| event_loop.result(given.ticket, &given.text));
    }
    for text in ["1", "2", "3", "4"] {
        assert_eq!(client.reply().result(), text);
    }
    // A handler that only the other had waits for somebody, and does not hold up those that have somebody.
    one.bridge.detach();
    let mut waits = server.client();
    waits.send(call("first", "1"));
    client.send(call("both", "5"));
    two.serve("5");
    assert_eq!(client.reply().result(), "5");
    expect_unavailable(&waits.reply());
}

fn what_follows_a_call_goes_where_the_call_is(driver: DriverChoice) {
    let (server, hosts) = without_loop(driver, |_| {});
    let mut loops = [0; 2].map(|_| EventLoop::attach(server.engine(), &hosts, &["echo"]));
    let mut clients = [0; 2].map(|_| server.client());
    let mut tickets = Vec::new();
    for (client, one) in clients.iter_mut().zip(&mut loops) {
        client.send(octets("echo", "content-length: 8\r\n"));
        tickets.push(one.calls(1)[0].ticket);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("{number}{number}{number}{number}"));
    }
    for (number, one) in loops.iter_mut().enumerate() {
        eventually("its piece", || {
            assert!(one.turn().is_empty());
            one.frames.iter().map(|(.., bytes)| bytes.len()).sum::<usize>() == 4
        });
        assert!(one.frames.iter().all(|(ticket, kind, bytes)| {
            (*ticket, *kind) == (tickets[number], FrameKind::Data)
                && bytes.iter().all(|byte| *byte == b'0' + number as u8)
        }));
        // Answers are for the call of that client, too.
        one.bridge.append(tickets[number], Outcome::Credit(4), b"");
    }
    let [first, mut second] = clients;
    drop(first);
    eventually("it is told", || {
        loops[0].turn();
        loops[0].departed == [tickets[0]]
    });
    loops[1].turn();
    assert!(loops[1].departed.is_empty());
    loops[1].result(tickets[1], "2");
    assert_eq!(second.reply().result(), "2");
}

fn an_event_loop_that_looks_at_nothing_holds_up_no_other(driver: DriverChoice) {
    let (server, hosts) = without_loop(driver, |config| {
        config.limits.queue_timeout_ms = 0;
        config.limits.max_pipelined = 1000;
    });
    let mut deaf = EventLoop::attach(server.engine(), &hosts, &["deaf"]);
    let mut other = EventLoop::attach(server.engine(), &hosts, &["other"]);
    let [mut leaves, mut client, mut elsewhere] = [0; 3].map(|_| server.client());
    leaves.send(call("deaf", "0"));
    // One batch a call, until its queue is full.
    for number in 1..=HOST_QUEUE_BATCHES as u64 {
        eventually("its batch", || server.sum(|shard| shard.batches) == number);
        client.send(call("deaf", &number.to_string()));
    }
    client.send(call("deaf", "100"));
    drop(leaves);
    eventually("it is gone", || server.sum(|shard| shard.abandoned) == 1);
    for number in 0..10 {
        elsewhere.send(call("other", &number.to_string()));
        other.serve("7");
        assert_eq!(elsewhere.reply().result(), "7");
    }
    assert_eq!(deaf.bridge.link().outstanding(), HOST_QUEUE_BATCHES as u64, "its queue is bounded");
    // It hears of everything when it looks: also that a client has left, for which its queue had no room.
    for given in deaf.calls(HOST_QUEUE_BATCHES + 1) {
        assert_ne!(given.text, "0");
        deaf.result(given.ticket, &given.text);
    }
    for number in (1..=HOST_QUEUE_BATCHES as u64).chain([100]) {
        assert_eq!(client.reply().result(), number.to_string());
    }
    assert!(deaf.departed.is_empty());
}

/// The host that leaves has not even looked at the call, nor at the word that its client has left.
fn a_call_whose_client_has_left_does_not_move_into_the_slot_of_the_next(driver: DriverChoice) {
    let (server, hosts) = without_loop(driver, |_| {});
    let mut leaves = EventLoop::attach(server.engine(), &hosts, &["echo"]);
    let mut stays = EventLoop::attach(server.engine(), &hosts, &["echo"]);
    let mut gone = server.client();
    gone.send(call("echo", "1"));
    eventually("it waits", || leaves.bridge.link().queued() == 1);
    gone.reset();
    eventually("its leaving waits", || leaves.bridge.link().queued() == 2);
    let mut next = server.client();
    next.send(octets("echo", "content-length: 4\r\n"));
    let ticket = stays.calls(1)[0].ticket;
    leaves.bridge.detach();
    assert!(stays.turn().is_empty() && stays.departed.is_empty(), "nothing has come of what is over");
    next.send("1234");
    eventually("its end", || {
        assert!(stays.turn().is_empty());
        stays.frames.iter().any(|(one, kind, _)| (*one, *kind) == (ticket, FrameKind::End))
    });
    stays.result(ticket, "2");
    assert_eq!(next.reply().result(), "2");
}

/// A body whose call waits gathers in the shard, while the pieces of others pass it.
fn a_body_that_waits_gets_no_bytes_of_another(driver: DriverChoice) {
    let (server, hosts) = without_loop(driver, |config| {
        config.limits.queue_timeout_ms = 0;
        config.limits.max_pipelined = 1000;
    });
    let mut deaf = EventLoop::attach(server.engine(), &hosts, &["deaf"]);
    let mut other = EventLoop::attach(server.engine(), &hosts, &["other"]);
    let [mut fills, mut waits, mut goes] = [0; 3].map(|_| server.client());
    goes.send(octets("other", "content-length: 8\r\n"));
    let ticket = other.calls(1)[0].ticket;
    let before = server.sum(|shard| shard.batches);
    for number in 1..=HOST_QUEUE_BATCHES as u64 {
        fills.send(call("deaf", &number.to_string()));
        eventually("its batch", || server.sum(|shard| shard.batches) == before + number);
    }
    waits.send(format!("{}1111", octets("deaf", "content-length: 8\r\n")));
    eventually("it waits", || server.sum(|shard| shard.in_flight) == HOST_QUEUE_BATCHES as u64 + 2);
    let pieces = |of: &EventLoop, ticket: u32| {
        let all = of.frames.iter().filter(|(one, ..)| *one == ticket).map(|(.., bytes)| bytes.clone());
        String::from_utf8(all.collect::<Vec<_>>().concat()).unwrap()
    };
    goes.send("2222");
    eventually("its piece", || {
        other.turn();
        pieces(&other, ticket) == "2222"
    });
    waits.send("3333");
    assert_eq!(server.client().ask(call("nobody", "1")).status, 403, "the shard has read on");
    let ticket = deaf.calls(HOST_QUEUE_BATCHES + 1).pop().unwrap().ticket;
    eventually("its end", || {
        deaf.turn();
        deaf.frames.iter().any(|(one, kind, _)| (*one, *kind) == (ticket, FrameKind::End))
    });
    assert_eq!(pieces(&deaf, ticket), "11113333");
}

/// An event loop that answers at once, on a thread of its own, until it is told to leave.
fn run(engine: &Engine, hosts: &Arc<Hosts>, leave: &AtomicBool, served: &AtomicU64) {
    let mut own = EventLoop::attach(engine, hosts, &["echo"]);
    while !leave.load(Ordering::Relaxed) {
        let given = own.turn();
        if given.is_empty() {
            std::thread::yield_now();
        }
        for given in given {
            own.result(given.ticket, &given.text);
            served.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn one_leaves_in_traffic_and_the_others_go_on(driver: DriverChoice) {
    let (server, hosts) = without_loop(driver, |config| config.limits.queue_timeout_ms = 5000);
    let (engine, address) = (server.engine(), server.address());
    let (over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let [stays, leaves] = [0; 2].map(|_| (AtomicBool::new(false), AtomicU64::new(0)));
    std::thread::scope(|scope| {
        scope.spawn(|| run(engine, &hosts, &stays.0, &stays.1));
        eventually("it is there", || hosts.count() == 1 && !hosts.registrations().is_empty());
        let clients: Vec<_> = (0..6_u64)
            .map(|client| {
                let (over, answered) = (&over, &answered);
                scope.spawn(move || {
                    let mut connection = Client::tcp(address);
                    let mut number = client * 1_000_000;
                    while !over.load(Ordering::Relaxed) {
                        let burst: Vec<u64> = (number..number + 1 + number % 7).collect();
                        number += burst.len() as u64;
                        connection.send(burst.iter().map(|one| call("echo", &one.to_string())).collect::<String>());
                        for one in burst {
                            // Every loop ends what it has begun before it leaves: not one call fails.
                            assert_eq!(connection.reply().result(), one.to_string());
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        for _ in 0..15 {
            leaves.0.store(false, Ordering::Relaxed);
            let before = leaves.1.load(Ordering::Relaxed);
            let guest = scope.spawn(|| run(engine, &hosts, &leaves.0, &leaves.1));
            let start = Instant::now();
            while leaves.1.load(Ordering::Relaxed) < before + 20 && start.elapsed() < Duration::from_secs(4) {
                std::thread::sleep(ms(1));
            }
            leaves.0.store(true, Ordering::Relaxed);
            guest.join().unwrap();
        }
        let then = stays.1.load(Ordering::Relaxed);
        eventually("the other goes on", || stays.1.load(Ordering::Relaxed) > then + 100);
        over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
        stays.0.store(true, Ordering::Relaxed);
    });
    assert!(leaves.1.load(Ordering::Relaxed) >= 15 * 20, "the guests had calls");
    assert_eq!(stays.1.load(Ordering::Relaxed) + leaves.1.load(Ordering::Relaxed), answered.load(Ordering::Relaxed));
    assert_eq!((server.sum(|shard| shard.in_flight), server.sum(|shard| shard.dropped)), (0, 0));
}

fn every_event_loop_hears_of_the_end(driver: DriverChoice) {
    let (mut server, hosts) = without_loop(driver, |config| config.shards = 2);
    let mut early = EventLoop::attach(server.engine(), &hosts, &["echo"]);
    server.engine().stop(ms(0));
    server.join();
    let mut late = Bridge::attach(hosts.clone(), || {}).unwrap();
    assert!(late.drain(&mut Told::default(), 1).stopped);
    assert!(early.bridge.drain(&mut Told::default(), 1).stopped);
}

on_both_drivers!(
    an_event_loop_that_retires_ends_what_it_has_begun_and_gets_no_more,
    an_observer_gets_no_calls_and_hears_what_is_told,
    an_engine_runs_before_an_event_loop_comes_and_after_it_has_left,
    calls_wait_for_an_event_loop_as_long_as_for_one_that_is_behind,
    calls_that_wait_are_taken_by_the_next_event_loop,
    what_an_event_loop_leaves_behind_is_answered,
    a_late_answer_of_a_host_that_has_left_finds_nothing,
    the_event_loop_with_the_fewest_calls_gets_the_next,
    a_call_goes_to_an_event_loop_that_serves_it,
    what_follows_a_call_goes_where_the_call_is,
    an_event_loop_that_looks_at_nothing_holds_up_no_other,
    a_call_whose_client_has_left_does_not_move_into_the_slot_of_the_next,
    a_body_that_waits_gets_no_bytes_of_another,
    one_leaves_in_traffic_and_the_others_go_on,
    every_event_loop_hears_of_the_end,
);

/// Two hosts, the first of which has a full queue and looks at nothing.
fn one_deaf_of_two() -> (Hosts, [Arc<Host>; 2]) {
    let hosts = Hosts::new(1, 0);
    let both = ["deaf", "other"].map(|id| {
        let host = hosts.add(|| {}).unwrap();
        hosts.register(&host, &[Offer { kind: Kind::Task, id: id.to_owned(), number: None }]).unwrap();
        host
    });
    for slot in 0..HOST_QUEUE_BATCHES as u32 {
        assert_eq!(submit(&hosts, batch_of(slot, 0)).records.len(), 0);
    }
    assert_eq!(both[0].queued(), HOST_QUEUE_BATCHES);
    (hosts, both)
}

fn key_of(slot: u32) -> CallKey {
    CallKey { slot, generation: 0 }
}

fn batch_of(slot: u32, handler: u32) -> Box<CallBatch> {
    let mut batch = Box::<CallBatch>::default();
    let (request_id, fields) = batch.push_call_head(b"id", b"GET / HTTP/1.1\r\n\r\n");
    batch.records.push(CallRecord {
        key: key_of(slot),
        handler,
        flags: 0,
        body: Span::default(),
        request_id,
        fields,
        peer: 0,
    });
    batch
}

fn put_notice(batch: &mut CallBatch) {
    let [request_id, method, path] = [&b"id"[..], b"GET", b"/a/path"].map(|text| batch.push_head(text));
    batch.notices.push(Notice { status: 401, code: "UNAUTHORIZED", request_id, method, path });
}

/// What of a batch nobody has taken.
fn submit(hosts: &Hosts, batch: Box<CallBatch>) -> Box<CallBatch> {
    hosts.submit(0, batch, &mut AnswerBatch::default()).unwrap_or_default()
}

fn told(host: &Host) -> usize {
    let batches = std::iter::from_fn(|| if let Next::Calls(batch) = host.next(0) { Some(batch) } else { None });
    batches.map(|batch| batch.notices.len()).sum()
}

#[test]
fn refusals_are_told_to_a_host_that_has_room_and_wait_where_none_has() {
    let (hosts, [deaf, other]) = one_deaf_of_two();
    let with_notice = |mut batch: Box<CallBatch>| {
        put_notice(&mut batch);
        submit(&hosts, batch)
    };
    let mut left = Box::default();
    for _ in 0..2 * HOST_QUEUE_BATCHES {
        left = with_notice(left);
    }
    assert_eq!((other.queued(), left.notices.len()), (HOST_QUEUE_BATCHES, HOST_QUEUE_BATCHES), "the rest waits");
    assert_eq!((told(&deaf), told(&other)), (0, HOST_QUEUE_BATCHES), "nothing is put aside for a host that looks away");
    assert!(submit(&hosts, left).is_empty());
    assert_eq!(told(&deaf) + told(&other), HOST_QUEUE_BATCHES);
}

#[test]
fn refusals_that_a_host_leaves_unread_are_told_to_the_others_or_the_next() {
    let (hosts, [deaf, other]) = one_deaf_of_two();
    // Nobody has room.
    (0..HOST_QUEUE_BATCHES as u32).for_each(|slot| assert!(submit(&hosts, batch_of(100 + slot, 1)).is_empty()));
    let mut batch = batch_of(200, 0);
    put_notice(&mut batch);
    assert!(!submit(&hosts, batch).is_empty());
    assert!(matches!(deaf.next(0), Next::Calls(_)));
    let mut batch = batch_of(201, 0);
    put_notice(&mut batch);
    assert!(submit(&hosts, batch).is_empty());
    hosts.remove(&deaf, Vec::new());
    hosts.remove(&other, Vec::new());
    let next = hosts.add(|| {}).unwrap();
    assert_eq!(told(&next), 1);
}

#[test]
fn observers_hear_of_refusals_and_failures_and_hosts_of_calls() {
    let (hosts, [deaf, other]) = one_deaf_of_two();
    assert_eq!(told(&deaf), 0);
    let observer = hosts.observe(|| {});
    let mut batch = batch_of(100, 1);
    put_notice(&mut batch);
    batch.restarted = true;
    assert!(submit(&hosts, batch).is_empty());
    let Next::Calls(calls) = other.next(0) else { panic!("a call") };
    assert_eq!((calls.records.len(), calls.notices.len(), calls.restarted), (1, 0, false));
    let Next::Calls(news) = observer.next(0) else { panic!("news") };
    assert_eq!((news.records.len(), news.notices.len(), news.restarted), (0, 1, true));
    hosts.stopped(0);
    assert!(matches!(observer.next(0), Next::Stopped));
}

/// The one that has the admin listener and nothing else, where a loop turns the other.
#[test]
fn what_becomes_of_a_shard_that_hands_no_calls_over_is_told_once() {
    let rings = Arc::new(AtomicU64::default());
    let count = rings.clone();
    let hosts = Hosts::new(1, 0);
    let host = hosts.add(move || _ = count.fetch_add(1, Ordering::Relaxed)).unwrap();
    let news = || {
        host.awake();
        let news = host.apart_news();
        assert!(host.try_park());
        (news.restarted, news.failed)
    };
    assert_eq!(news(), (false, false));
    let mut batch = Box::<CallBatch>::default();
    batch.restarted = true;
    let home = hosts.submit(1, batch, &mut AnswerBatch::default()).unwrap();
    assert!(home.is_empty(), "nothing is left to be told");
    assert_eq!((rings.load(Ordering::Relaxed), news(), news()), (1, (true, false), (false, false)));
    hosts.failed(1);
    assert_eq!((rings.load(Ordering::Relaxed), news(), news()), (2, (false, true), (false, false)));
    hosts.stopped(1);
    assert_eq!(rings.load(Ordering::Relaxed), 2, "nobody waits for its end");
}

#[test]
fn of_hosts_with_as_many_calls_the_one_that_has_looked_last_gets_the_next() {
    let hosts = Hosts::new(1, 0);
    hosts.set_busy_after(Duration::MAX);
    let both = [0, 1].map(|_| {
        let host = hosts.add(|| {}).unwrap();
        hosts.register(&host, &[Offer { kind: Kind::Task, id: "a".to_owned(), number: None }]).unwrap();
        host
    });
    let next = |slot| {
        let before = both.each_ref().map(|host| host.calls());
        assert!(submit(&hosts, batch_of(slot, 0)).is_empty());
        (0..2).find(|place| both[*place].calls() > before[*place]).unwrap()
    };
    assert_eq!((next(0), next(1)), (0, 1), "who has nothing to do comes first");
    for (first, second) in [(1, 0), (0, 1)] {
        both[second].awake();
        std::thread::sleep(ms(2));
        both[first].awake();
        let slot = 2 + 2 * second as u32;
        assert_eq!((next(slot), next(slot + 1)), (first, second), "the other is busy for longer");
    }
}

/// Two hosts that offer the same, each of which has taken a call and is at it.
fn two_at_a_call() -> (Hosts, [Arc<Host>; 2]) {
    let hosts = Hosts::new(1, 0);
    let both = [0, 1].map(|_| {
        let host = hosts.add(|| {}).unwrap();
        hosts.register(&host, &[Offer { kind: Kind::Task, id: "a".to_owned(), number: None }]).unwrap();
        assert!(host.try_park());
        host
    });
    for (slot, host) in both.iter().enumerate() {
        assert!(host.submit(0, batch_of(slot as u32, 0), &mut AnswerBatch::default()).is_none());
        take(host, 1);
    }
    (hosts, both)
}

/// It looks, takes what is there, and runs `running` calls now.
fn take(host: &Host, running: usize) {
    host.awake();
    let taken =
        std::iter::from_fn(|| if let Next::Calls(batch) = host.next(0) { Some(batch.records.len()) } else { None });
    let taken = taken.sum();
    if taken > 0 {
        host.note_drain(taken);
    }
    host.note_open(running, 0);
}

/// How many each host gets of calls that come at once.
fn shares(hosts: &Hosts, both: &[Arc<Host>; 2], slots: std::ops::Range<u32>) -> [u64; 2] {
    let before = both.each_ref().map(|host| host.calls());
    let mut batch = batch_of(slots.start, 0);
    batch.handed_over_ns = clock::now_ns();
    for slot in slots.skip(1) {
        let record = CallRecord { key: key_of(slot), ..batch.records[0] };
        batch.records.push(record);
    }
    assert!(submit(hosts, batch).is_empty());
    [0, 1].map(|place| both[place].calls() - before[place])
}

#[test]
fn a_host_that_is_busy_with_a_long_call_gets_none_while_another_is_free() {
    let (hosts, both) = two_at_a_call();
    let busy = ms(200);
    hosts.set_busy_after(busy);
    std::thread::sleep(busy + ms(5));
    take(&both[1], 0);
    assert!(both[1].try_park());
    assert_eq!(shares(&hosts, &both, 10..30), [0, 20]);
    assert_eq!(shares(&hosts, &both, 30..40), [0, 10], "though it has been handed many, and has not looked yet");
    take(&both[0], 0);
    assert_eq!(shares(&hosts, &both, 40..50), [10, 0], "it has looked, and has fewer");
}

#[test]
fn a_host_whose_calls_wait_for_something_is_not_busy_however_long_that_takes() {
    let (hosts, both) = two_at_a_call();
    let busy = ms(200);
    hosts.set_busy_after(busy);
    take(&both[0], 1);
    assert!(both[0].try_park());
    take(&both[1], 3);
    assert!(both[1].try_park());
    std::thread::sleep(busy + ms(5));
    assert_eq!(shares(&hosts, &both, 10..12), [2, 0], "it has fewer");
    assert_eq!(shares(&hosts, &both, 12..14), [1, 1], "nor is one that was just woken");
}

/// The one is at the end of its last call, the other at its first.
#[test]
fn long_calls_that_come_at_once_do_not_all_go_to_whoever_has_looked_last() {
    let (hosts, both) = two_at_a_call();
    hosts.set_busy_after(ms(5));
    std::thread::sleep(ms(20));
    for host in &both {
        // It has done one of 20 ms, and begins another.
        take(host, 1);
        host.note_drain(1);
    }
    std::thread::sleep(ms(40));
    take(&both[1], 1);
    let [first, second] = shares(&hosts, &both, 10..30);
    assert!(first >= 5 && second > first, "{first} and {second}");
}

/// The table that is in force may have been built when the other was there; long after that, too.
#[test]
fn a_host_that_is_alone_gets_calls_by_its_own_numbers_after_another_has_left() {
    let hosts = Hosts::new(1, 0);
    let offer = [Offer { kind: Kind::Task, id: "a".to_owned(), number: None }];
    let [first, second] = [0, 1].map(|number| {
        let host = hosts.add(|| {}).unwrap();
        assert_eq!(hosts.register(&host, &offer).unwrap(), [number]);
        host
    });
    hosts.remove(&first, Vec::new());
    let mut batch = batch_of(0, 0);
    batch.handed_over_ns = u64::MAX;
    assert!(submit(&hosts, batch).is_empty());
    let Next::Calls(calls) = second.next(0) else { panic!("a call") };
    assert_eq!(calls.records[0].handler, 1);
    assert_eq!(hosts.registrations()[0].index, 1, "new tables name whoever is here");
    assert_eq!((hosts.tally(0).queue_ns.count, hosts.members().len()), (0, 1));
}

#[test]
fn what_hosts_that_have_left_have_measured_is_kept() {
    let (hosts, [deaf, other]) = one_deaf_of_two();
    assert!(submit(&hosts, batch_of(100, 1)).is_empty());
    deaf.meter(0).unwrap().host_ns.record(1000, 3);
    other.meter(0).unwrap().host_ns.record(9000, 1);
    let before = hosts.tally(0);
    assert_eq!((before.host_ns.count, before.host_ns.sum, before.host_ns.max), (4, 12_000, 9000));
    hosts.remove(&deaf, Vec::new());
    let after = hosts.tally(0);
    assert_eq!((after.host_ns, after.host_wakes), (before.host_ns, before.host_wakes));
    assert_eq!(after.waiting, 1, "of those that are here");
}

#[test]
fn what_passes_a_call_that_waits_leaves_nothing_in_its_batch() {
    let (hosts, [deaf, other]) = one_deaf_of_two();
    assert!(submit(&hosts, batch_of(100, 1)).is_empty());
    assert!(matches!(other.next(0), Next::Calls(_)));
    let mut left = submit(&hosts, batch_of(101, 0));
    let before = left.bytes();
    for _ in 0..3 * HOST_QUEUE_BATCHES {
        left.data.extend_from_slice(&[b'x'; 1000]);
        let data = Span { start: 0, end: 1000 };
        left.frames.push(Frame { key: key_of(100), kind: FrameKind::Data, data });
        put_notice(&mut left);
        left = submit(&hosts, left);
        assert_eq!((left.records.len(), left.bytes()), (1, before));
        let Next::Calls(batch) = other.next(0) else { panic!("its frame") };
        assert_eq!((batch.frames[0].data.of(&batch.data).len(), batch.notices.len()), (1000, 1));
    }
    assert_eq!(deaf.outstanding(), HOST_QUEUE_BATCHES as u64);
}

/// The host is fast, so that it mostly finds nothing; whenever it is held up, the shard fills the queue and puts more aside.
#[test]
fn what_was_put_aside_is_taken_behind_what_is_in_the_queue() {
    const FRAMES: u32 = 300_000;
    let hosts = Hosts::new(1, 0);
    let [host, _] = ["one", "two"].map(|id| {
        let host = hosts.add(|| {}).unwrap();
        hosts.register(&host, &[Offer { kind: Kind::Task, id: id.to_owned(), number: None }]).unwrap();
        host
    });
    assert!(submit(&hosts, batch_of(0, 0)).is_empty());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..FRAMES {
                let mut batch = Box::<CallBatch>::default();
                batch.frames.push(Frame { key: key_of(0), kind: FrameKind::Credit(number), data: Span::default() });
                assert!(submit(&hosts, batch).is_empty());
            }
        });
        let mut next = 0;
        while next < FRAMES {
            let Next::Calls(batch) = host.next(0) else { continue };
            for frame in &batch.frames {
                assert_eq!(frame.kind, FrameKind::Credit(next));
                next += 1;
            }
        }
    });
}

#[test]
fn no_more_than_a_bound_of_event_loops_are_attached() {
    let hosts = Hosts::new(1, 0);
    let all: Vec<_> = (0..MAX_HOSTS).map(|_| hosts.add(|| {}).unwrap()).collect();
    assert_eq!(hosts.add(|| {}).err(), Some(TooManyHosts));
    hosts.remove(&all[3], Vec::new());
    assert_eq!(hosts.add(|| {}).unwrap().number(), MAX_HOSTS as u32);
    assert_eq!(hosts.unseen_ns(0), 0);
}
