//! The link with real threads: four shards' worth of producers against one host, parking at random on both sides.
//! Every call is answered once, and nobody sleeps for ever. `loom_doorbell` checks the same protocol exhaustively.
#![allow(clippy::unwrap_used)]

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fasttunnel_engine::limits::HOST_QUEUE_BATCHES;
use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::link::batch::{AnswerBatch, CallBatch, CallKey, CallRecord, Outcome};
use fasttunnel_engine::link::host::{Host, Next};
use fasttunnel_engine::link::port::{Inbox, ToShard, letter_box};
use fasttunnel_engine::wire::fields::Span;

const SHARDS: usize = 4;
const CALLS: u32 = 30_000;

/// Enough randomness to part the threads (xorshift), the same in every run.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % sides
    }
}

fn record(slot: u32) -> CallRecord {
    let key = CallKey { slot, generation: 0 };
    CallRecord {
        key,
        handler: 0,
        flags: 0,
        body: Span::default(),
        request_id: Span::default(),
        fields: Span::default(),
        peer: 0,
    }
}

/// What a shard does, without sockets: submits batches, takes answers home, parks when there is nothing to do.
fn shard(index: usize, host: &Host, inbox: &Inbox) {
    let mut dice = Dice(index as u32 + 1);
    let mut answered = vec![false; CALLS as usize];
    let (mut next, mut done, mut refusals) = (0, 0, 0u32);
    let mut open = Box::<CallBatch>::default();
    let mut none = AnswerBatch::default();
    while done < CALLS {
        inbox.bell.state.awake();
        for _ in 0..dice.roll(4) {
            if next < CALLS && open.records.len() < 1000 {
                open.records.push(record(next));
                next += 1;
            }
        }
        let mut held = false;
        if !open.is_empty()
            && let Some(refused) = host.submit(index, std::mem::take(&mut open), &mut none)
        {
            (open, held) = (refused, true);
            refusals += 1;
        }
        while let Ok(message) = inbox.messages.try_recv() {
            let ToShard::Answers(answers) = message else { continue };
            for record in &answers.records {
                let seen = std::mem::replace(&mut answered[record.key.slot as usize], true);
                assert!(!seen, "call {} was answered twice", record.key.slot);
                done += 1;
            }
        }
        assert!(inbox.bell.take_surplus().is_empty(), "nobody here is a shard's own thread");
        // Sleeps when there is nothing to do: nothing left to send, a refused batch, or just so.
        let idle = next == CALLS || held || dice.roll(8) == 0 && done < next;
        if idle && done < CALLS && inbox.bell.state.try_park() {
            rustix::io::read(inbox.bell.event(), &mut [0; 8]).unwrap();
        }
    }
    println!("shard {index}: {refusals} refusals");
}

/// What the host does: drains within a budget, answers each batch, parks when everything is drained.
fn drain_until_stopped(host: &Host, woken: &Receiver<()>) {
    let mut dice = Dice(77);
    let mut stopped = 0;
    while stopped < SHARDS {
        host.awake();
        for shard in 0..SHARDS {
            for _ in 0..1 + dice.roll(HOST_QUEUE_BATCHES as u32) {
                match host.next(shard) {
                    Next::Calls(calls) => {
                        let mut answers = Box::<AnswerBatch>::default();
                        calls.records.iter().for_each(|record| answers.push(record.key, Outcome::Done, b""));
                        host.recycle(shard, calls);
                        host.answer(shard, answers);
                    }
                    Next::Stopped | Next::Failed => stopped += 1,
                    Next::Nothing => break,
                }
            }
        }
        if dice.roll(50) == 0 {
            // A blocked event loop: the queues fill.
            std::thread::sleep(Duration::from_millis(2));
        }
        if host.queued() == 0 && stopped < SHARDS && host.try_park() {
            woken.recv_timeout(Duration::from_secs(10)).expect("a wake for work that is there");
        }
    }
}

#[test]
fn every_call_is_answered_once() {
    let (wake, woken) = channel();
    let wake = Mutex::new(wake);
    let host = Arc::new(Host::new(SHARDS, move || wake.lock().unwrap().send(()).unwrap()));
    let (ports, inboxes): (Vec<_>, Vec<_>) = (0..SHARDS).map(|_| letter_box().unwrap()).unzip();
    host.attach(&ports);
    let (finished, all) = channel();
    for (index, inbox) in inboxes.into_iter().enumerate() {
        let (host, finished) = (host.clone(), finished.clone());
        std::thread::spawn(move || {
            shard(index, &host, &inbox);
            host.stopped(index);
            finished.send(()).unwrap();
        });
    }
    let draining = {
        let host = host.clone();
        std::thread::spawn(move || drain_until_stopped(&host, &woken))
    };
    for _ in 0..SHARDS {
        all.recv_timeout(Duration::from_secs(30)).expect("a shard sleeps for ever");
    }
    draining.join().unwrap();
    assert_eq!(host.queued(), 0);
}
