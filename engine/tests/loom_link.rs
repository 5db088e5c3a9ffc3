//! The link itself, as it ships, under every interleaving of a few steps that the memory model allows: its channels (full
//! with one message), its doorbells and its batches. `loom_doorbell` checks the wake protocols alone.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p fasttunnel-engine --test loom_link --release`
//!
//! A lost wake shows as a deadlock, which loom reports.
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::link::batch::{AnswerBatch, CallBatch, CallKey, CallRecord, Frame, FrameKind, Outcome};
use fasttunnel_engine::link::host::{Host, Next};
use fasttunnel_engine::link::hosts::{Hosts, Offer};
use fasttunnel_engine::link::port::{Inbox, ShardPort, ToShard, enter_shard_thread, letter_box};
use fasttunnel_engine::tunnel::table::Kind;
use fasttunnel_engine::wire::fields::Span;
use loom::sync::{Condvar, Mutex};
use loom::thread;

/// Like in `loom_doorbell`: two preemptions find every known bug of this kind.
fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn key(slot: u32) -> CallKey {
    CallKey { slot, generation: 0 }
}

fn answers(slot: u32) -> Box<AnswerBatch> {
    let mut batch = Box::<AnswerBatch>::default();
    batch.push(key(slot), Outcome::Done, b"");
    batch
}

fn calls(slot: u32, mut batch: Box<CallBatch>) -> Box<CallBatch> {
    assert!(batch.is_empty(), "a batch comes home empty");
    let (body, request_id, fields) = Default::default();
    batch.records.push(CallRecord { key: key(slot), handler: 0, flags: 0, body, request_id, fields, peer: 0 });
    let _: Span = body;
    batch
}

/// What a shard finds in its letter box: the calls that were answered, and batches that came home.
#[derive(Default)]
struct Found {
    answered: Vec<u32>,
    home: Vec<Box<CallBatch>>,
}

impl Found {
    /// As `shard/life/tick` does it.
    fn look(&mut self, inbox: &Inbox) {
        while let Ok(message) = inbox.messages.try_recv() {
            self.take(message);
        }
        for message in inbox.bell.take_surplus() {
            self.take(message);
        }
    }

    fn take(&mut self, message: ToShard) {
        match message {
            ToShard::Answers(batch) => self.answered.extend(batch.records.iter().map(|record| record.key.slot)),
            ToShard::CallsHome(batch) => self.home.push(batch),
            _ => unreachable!("nobody sends it here"),
        }
    }
}

/// Runs a shard that only receives, until so many calls are answered.
fn receive(inbox: &Inbox, count: usize) -> Vec<u32> {
    let mut found = Found::default();
    loop {
        inbox.bell.state.awake();
        found.look(inbox);
        if found.answered.len() >= count {
            return found.answered;
        }
        if inbox.bell.state.try_park() {
            inbox.bell.sleep();
        }
    }
}

fn send_two(port: &ShardPort, first: u32) {
    for slot in [first, first + 1] {
        port.send(ToShard::Answers(answers(slot))).unwrap();
    }
}

#[test]
fn a_full_inbox_makes_its_sender_wait_and_loses_nothing() {
    check(|| {
        let (port, inbox) = letter_box().unwrap();
        let sender = thread::spawn(move || send_two(&port, 0));
        assert_eq!(receive(&inbox, 2), [0, 1]);
        sender.join().unwrap();
    });
}

#[test]
fn a_shard_that_finds_an_inbox_full_does_not_wait_and_loses_nothing() {
    check(|| {
        let (port, inbox) = letter_box().unwrap();
        let other = thread::spawn(move || {
            enter_shard_thread();
            send_two(&port, 0);
        });
        let mut answered = receive(&inbox, 2);
        answered.sort_unstable();
        assert_eq!(answered, [0, 1]);
        other.join().unwrap();
    });
}

#[test]
fn senders_of_both_kinds_share_an_inbox() {
    check(|| {
        let (port, inbox) = letter_box().unwrap();
        let (foreign, from_shard) = (port.clone(), port);
        let threads = [
            thread::spawn(move || foreign.send(ToShard::Answers(answers(0))).unwrap()),
            thread::spawn(move || {
                enter_shard_thread();
                from_shard.send(ToShard::Answers(answers(1))).unwrap();
            }),
        ];
        let mut answered = receive(&inbox, 2);
        answered.sort_unstable();
        assert_eq!(answered, [0, 1]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// What wakes the host's thread.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// A shard hands over calls one batch at a time, more than the queue holds; the host answers each batch and sends it
/// home. Every call is seen once and in order, and answered once; a refused batch is offered again without being asked
/// for twice; whatever came home was empty and is used again.
#[test]
fn refused_batches_and_recycled_ones_are_neither_lost_nor_seen_twice() {
    const CALLS: u32 = 3;
    check(|| {
        let bell = Arc::new(Bell::default());
        let ring = bell.clone();
        let host = Arc::new(Host::new(1, move || ring.ring()));
        let (port, inbox) = letter_box().unwrap();
        host.attach(&[port]);
        let backend = host.clone();
        let shard = thread::spawn(move || {
            enter_shard_thread();
            let (mut found, mut next, mut held) = (Found::default(), 0, None);
            let mut inline = AnswerBatch::default();
            while found.answered.len() < CALLS as usize {
                inbox.bell.state.awake();
                if held.is_none() && next < CALLS {
                    held = Some(calls(next, found.home.pop().unwrap_or_default()));
                    next += 1;
                }
                held = held.and_then(|batch| backend.submit(0, batch, &mut inline));
                found.look(&inbox);
                let idle = held.is_some() || next == CALLS;
                if idle && found.answered.len() < CALLS as usize && inbox.bell.state.try_park() {
                    inbox.bell.sleep();
                }
            }
            backend.stopped(0);
            found.answered
        });
        let (mut seen, mut stopped) = (Vec::new(), false);
        while !stopped {
            host.awake();
            loop {
                match host.next(0) {
                    Next::Calls(batch) => {
                        seen.extend(batch.records.iter().map(|record| record.key.slot));
                        host.recycle(0, batch);
                        // Not before: an answer would wake the shard, which has to hear of room without one.
                        if seen.len() == CALLS as usize {
                            seen.iter().for_each(|slot| host.answer(0, answers(*slot)));
                        }
                    }
                    Next::Stopped | Next::Failed => stopped = true,
                    Next::Nothing => break,
                }
            }
            if !stopped && host.try_park() {
                bell.wait();
            }
        }
        assert_eq!(seen, [0, 1, 2]);
        assert_eq!(shard.join().unwrap(), [0, 1, 2]);
    });
}

/// Nobody's yet, and the letter box of the one shard.
fn hosts() -> (Arc<Hosts>, Inbox) {
    let hosts = Arc::new(Hosts::new(1, 0));
    let (port, inbox) = letter_box().unwrap();
    hosts.attach(&[port]);
    (hosts, inbox)
}

/// A host leaves while its shard hands calls over, and another one comes: each call is answered once, by the first that
/// has left, or by the second, and nobody sleeps for ever.
#[test]
fn a_host_that_leaves_and_one_that_comes_lose_no_call() {
    const CALLS: u32 = 2;
    check(|| {
        let (hosts, inbox) = hosts();
        let offer = [Offer { kind: Kind::Task, id: "a".to_owned(), number: None }];
        let first = hosts.add(|| {}).unwrap();
        assert_eq!(hosts.register(&first, &offer).unwrap(), [0]);
        let backend = hosts.clone();
        let shard = thread::spawn(move || {
            enter_shard_thread();
            let (mut found, mut next, mut held) = (Found::default(), 0, None);
            let mut inline = AnswerBatch::default();
            loop {
                inbox.bell.state.awake();
                if held.is_none() && next < CALLS {
                    held = Some(calls(next, Box::default()));
                    next += 1;
                }
                // A batch that was taken apart comes back empty.
                let offered = held.and_then(|batch| backend.submit(0, batch, &mut inline));
                held = offered.filter(|batch| !batch.is_empty());
                found.look(&inbox);
                if found.answered.len() == CALLS as usize {
                    break;
                }
                let idle = held.is_some() || next == CALLS;
                if idle && inbox.bell.state.try_park() {
                    inbox.bell.sleep();
                }
            }
            assert!(inline.records.is_empty(), "without a limit nothing is late");
            backend.stopped(0);
            found.answered
        });
        hosts.remove(&first, Vec::new());
        let bell = Arc::new(Bell::default());
        let ring = bell.clone();
        let second = hosts.add(move || ring.ring()).unwrap();
        assert_eq!(hosts.register(&second, &offer).unwrap(), [1]);
        let mut stopped = false;
        while !stopped {
            second.awake();
            loop {
                match second.next(0) {
                    Next::Calls(batch) => {
                        for record in &batch.records {
                            assert_eq!(record.handler, 1, "its own number");
                            second.answer(0, answers(record.key.slot));
                        }
                        second.recycle(0, batch);
                    }
                    Next::Stopped | Next::Failed => stopped = true,
                    Next::Nothing => break,
                }
            }
            if !stopped && second.try_park() {
                bell.wait();
            }
        }
        let mut answered = shard.join().unwrap();
        answered.sort_unstable();
        assert_eq!(answered, [0, 1]);
    });
}

/// A host retires while its shard hands over a call and what follows one that it has begun: it gets all that follows, the
/// other gets the call, and each is seen once.
#[test]
fn a_host_that_retires_gets_what_follows_its_calls_and_the_other_gets_the_rest() {
    check(|| {
        let (hosts, _inbox) = hosts();
        let offer = [Offer { kind: Kind::Task, id: "a".to_owned(), number: None }];
        let bell = Arc::new(Bell::default());
        let ring = bell.clone();
        let old = hosts.add(move || ring.ring()).unwrap();
        hosts.register(&old, &offer).unwrap();
        assert!(hosts.submit(0, calls(0, Box::default()), &mut AnswerBatch::default()).is_none());
        assert!(matches!(old.next(0), Next::Calls(_)), "it has begun this one");
        let fresh = hosts.add(|| {}).unwrap();
        hosts.register(&fresh, &offer).unwrap();
        let backend = hosts.clone();
        let shard = thread::spawn(move || {
            let mut batch = calls(1, Box::default());
            batch.frames.push(Frame { key: key(0), kind: FrameKind::Data, data: Span::default() });
            let rest = backend.submit(0, batch, &mut AnswerBatch::default());
            assert!(rest.is_none_or(|batch| batch.is_empty()));
            let mut end = Box::<CallBatch>::default();
            end.frames.push(Frame { key: key(0), kind: FrameKind::End, data: Span::default() });
            let rest = backend.submit(0, end, &mut AnswerBatch::default());
            assert!(rest.is_none_or(|batch| batch.is_empty()));
        });
        hosts.retire(&old, Vec::new());
        let mut frames = Vec::new();
        while frames.len() < 2 {
            old.awake();
            while let Next::Calls(batch) = old.next(0) {
                assert!(batch.records.is_empty(), "it wants no more calls");
                frames.extend(batch.frames.iter().map(|frame| frame.kind));
            }
            if frames.len() < 2 && old.try_park() {
                bell.wait();
            }
        }
        shard.join().unwrap();
        assert_eq!(frames, [FrameKind::Data, FrameKind::End]);
        let Next::Calls(batch) = fresh.next(0) else { panic!("the call is lost") };
        assert_eq!(batch.records.iter().map(|record| record.key.slot).collect::<Vec<_>>(), [1]);
    });
}

/// An observer comes and goes while its shard has something to tell: it hears of it, or another one does.
#[test]
fn news_of_a_shard_reach_an_observer_while_hosts_come() {
    check(|| {
        let (hosts, _inbox) = hosts();
        let bell = Arc::new(Bell::default());
        let ring = bell.clone();
        let observer = hosts.observe(move || ring.ring());
        let backend = hosts.clone();
        let shard = thread::spawn(move || {
            let mut news = Box::<CallBatch>::default();
            news.restarted = true;
            let rest = backend.submit(0, news, &mut AnswerBatch::default());
            assert!(rest.is_none_or(|batch| batch.is_empty()));
            backend.stopped(0);
        });
        let host = hosts.add(|| {}).unwrap();
        let (mut restarted, mut stopped) = (0, 0);
        while stopped == 0 {
            observer.awake();
            loop {
                match observer.next(0) {
                    Next::Calls(batch) => restarted += u32::from(batch.restarted),
                    Next::Stopped | Next::Failed => stopped += 1,
                    Next::Nothing => break,
                }
            }
            if stopped == 0 && observer.try_park() {
                bell.wait();
            }
        }
        shard.join().unwrap();
        assert_eq!((restarted, stopped), (1, 1));
        assert!(matches!(host.next(0), Next::Stopped), "it hears of the end, and of nothing else");
        assert!(matches!(host.next(0), Next::Nothing));
    });
}

/// What follows a call has a way around a full queue, and comes behind what is in it.
#[test]
fn what_follows_a_call_passes_a_full_queue_in_order() {
    check(|| {
        let (hosts, _inbox) = hosts();
        let bell = Arc::new(Bell::default());
        let ring = bell.clone();
        let host = hosts.add(move || ring.ring()).unwrap();
        let other = hosts.add(|| {}).unwrap();
        for host in [&host, &other] {
            let id = if host.number() == 0 { "a" } else { "b" };
            hosts.register(host, &[Offer { kind: Kind::Task, id: id.to_owned(), number: None }]).unwrap();
        }
        let backend = hosts.clone();
        let shard = thread::spawn(move || {
            let mut inline = AnswerBatch::default();
            let taken = |batch: Option<Box<CallBatch>>| assert!(batch.is_none_or(|batch| batch.is_empty()));
            taken(backend.submit(0, calls(0, Box::default()), &mut inline));
            for kind in [FrameKind::Data, FrameKind::FileEnd, FrameKind::End] {
                let mut batch = Box::<CallBatch>::default();
                batch.frames.push(Frame { key: key(0), kind, data: Span::default() });
                taken(backend.submit(0, batch, &mut inline));
            }
        });
        let (mut begun, mut frames) = (false, Vec::new());
        while frames.len() < 3 {
            host.awake();
            while let Next::Calls(batch) = host.next(0) {
                begun |= !batch.records.is_empty();
                assert!(begun, "a frame before its call");
                frames.extend(batch.frames.iter().map(|frame| frame.kind));
            }
            if frames.len() < 3 && host.try_park() {
                bell.wait();
            }
        }
        assert_eq!(frames, [FrameKind::Data, FrameKind::FileEnd, FrameKind::End]);
        shard.join().unwrap();
        assert!(matches!(other.next(0), Next::Nothing));
    });
}

/// Two hosts, so that calls are spread: the first with a call in its full queue.
fn two_hosts(bell: &Arc<Bell>) -> (Arc<Hosts>, Inbox, Arc<Host>) {
    let (hosts, inbox) = hosts();
    let ring = bell.clone();
    let host = hosts.add(move || ring.ring()).unwrap();
    let other = hosts.add(|| {}).unwrap();
    for (host, id) in [(&host, "a"), (&other, "b")] {
        hosts.register(host, &[Offer { kind: Kind::Task, id: id.to_owned(), number: None }]).unwrap();
    }
    let taken = hosts.submit(0, calls(0, Box::default()), &mut AnswerBatch::default());
    assert!(taken.is_none_or(|batch| batch.is_empty()));
    (hosts, inbox, host)
}

/// The queue is found full, the host empties it and goes to sleep, the shard goes to sleep.
#[test]
fn a_shard_that_finds_no_room_for_a_call_hears_of_it() {
    check(|| {
        let bell = Arc::new(Bell::default());
        let (hosts, inbox, host) = two_hosts(&bell);
        let shard = thread::spawn(move || {
            enter_shard_thread();
            let mut held = Some(calls(1, Box::default()));
            loop {
                inbox.bell.state.awake();
                let rest = held.and_then(|batch| hosts.submit(0, batch, &mut AnswerBatch::default()));
                held = rest.filter(|batch| !batch.is_empty());
                if held.is_none() {
                    break;
                }
                if inbox.bell.state.try_park() {
                    inbox.bell.sleep();
                }
            }
        });
        let mut seen = Vec::new();
        while seen.len() < 2 {
            host.awake();
            while let Next::Calls(batch) = host.next(0) {
                seen.extend(batch.records.iter().map(|record| record.key.slot));
            }
            if seen.len() < 2 && host.try_park() {
                bell.wait();
            }
        }
        assert_eq!(seen, [0, 1]);
        shard.join().unwrap();
    });
}
