//! The wake protocols under every interleaving that the memory model allows:
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p fasttunnel-engine --test loom_doorbell --release`
//!
//! A lost wake shows as a deadlock, which loom reports.
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;

use fasttunnel_engine::link::doorbell::Doorbell;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// An eventfd: counts, and blocks its reader while it is zero.
#[derive(Default)]
struct Event {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Event {
    fn write(&self) {
        *self.count.lock().unwrap() += 1;
        self.changed.notify_one();
    }

    fn read(&self) {
        let mut count = self.count.lock().unwrap();
        while *count == 0 {
            count = self.changed.wait(count).unwrap();
        }
        *count = 0;
    }
}

/// A sleeper with its queue, as `link/port` builds it. The queue itself is no part of the model: a mutex stands for
/// the channel, and its contents cross by the bell's ordering or by the mutex.
#[derive(Default)]
struct LetterBox {
    queue: Mutex<VecDeque<usize>>,
    bell: Doorbell,
    event: Event,
    wakes: AtomicUsize,
}

impl LetterBox {
    fn send(&self, message: usize) {
        self.queue.lock().unwrap().push_back(message);
        self.nudge();
    }

    fn nudge(&self) {
        if self.bell.ring() {
            self.wakes.fetch_add(1, Ordering::Relaxed);
            self.event.write();
        }
    }

    fn take(&self) -> Option<usize> {
        self.queue.lock().unwrap().pop_front()
    }
}

/// Like `loom::model`, with a bound on preemptions: two find every known bug of this kind, and the search stays short.
fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn no_message_is_lost_and_one_sleep_takes_one_wake() {
    check(|| {
        let letters = Arc::new(LetterBox::default());
        let producers: Vec<_> = (0..2)
            .map(|number| {
                let letters = letters.clone();
                thread::spawn(move || letters.send(number))
            })
            .collect();
        let (mut received, mut sleeps) = (0, 0);
        while received < 2 {
            letters.bell.awake();
            while letters.take().is_some() {
                received += 1;
            }
            if received < 2 && letters.bell.try_park() {
                sleeps += 1;
                letters.event.read();
            }
        }
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        assert!(letters.wakes.load(Ordering::Relaxed) <= sleeps, "a sleep took more than one wake");
    });
}

/// What a producer wrote before it rang is seen without any other synchronisation.
#[test]
fn a_ring_publishes_what_was_written_before() {
    check(|| {
        let letters = Arc::new(LetterBox::default());
        let flag = Arc::new(AtomicBool::new(false));
        let producer = {
            let (letters, flag) = (letters.clone(), flag.clone());
            thread::spawn(move || {
                flag.store(true, Ordering::Relaxed);
                letters.nudge();
            })
        };
        loop {
            letters.bell.awake();
            if flag.load(Ordering::Relaxed) {
                break;
            }
            if letters.bell.try_park() {
                letters.event.read();
                letters.bell.awake();
                assert!(flag.load(Ordering::Relaxed), "woken, and nothing to see");
                break;
            }
        }
        producer.join().unwrap();
    });
}

/// `shard/life/tick`: own events touch, the tick drains in rounds and parks, and gives I/O a turn when rung too often.
#[test]
fn a_shard_that_ticks_in_rounds_loses_nothing() {
    const ROUNDS: usize = 1;
    check(|| {
        let letters = Arc::new(LetterBox::default());
        let producers: Vec<_> = (0..2)
            .map(|number| {
                let letters = letters.clone();
                thread::spawn(move || letters.send(number))
            })
            .collect();
        let mut received = 0;
        // The touch at the start of `Shard::run`; each turn of this loop is a wake through the eventfd.
        loop {
            letters.bell.awake(); // touch
            let parked = (0..ROUNDS).any(|_| {
                while letters.take().is_some() {
                    received += 1;
                }
                let parked = letters.bell.try_park();
                if !parked {
                    letters.bell.awake();
                }
                parked
            });
            if !parked {
                letters.event.write();
            }
            if received == 2 {
                break;
            }
            letters.event.read();
        }
        producers.into_iter().for_each(|producer| producer.join().unwrap());
    });
}

/// `link/host`: a shard whose batch was refused for want of room hears when there is some.
#[test]
fn a_refused_batch_is_offered_again() {
    const ROOM: usize = 1;
    const BATCHES: usize = 2;
    check(|| {
        let (host, shard) = (Arc::new(LetterBox::default()), Arc::new(LetterBox::default()));
        let refused = Arc::new(AtomicBool::new(false));
        let shard_thread = {
            let (host, shard, refused) = (host.clone(), shard.clone(), refused.clone());
            thread::spawn(move || {
                let mut sent = 0;
                while sent < BATCHES {
                    shard.bell.awake();
                    let mut queue = host.queue.lock().unwrap();
                    let room = queue.len() < ROOM;
                    if room {
                        queue.push_back(sent);
                        sent += 1;
                    }
                    drop(queue);
                    if !room {
                        refused.store(true, Ordering::Relaxed);
                    }
                    host.nudge();
                    if !room && shard.bell.try_park() {
                        shard.event.read();
                    }
                }
            })
        };
        let mut received = 0;
        while received < BATCHES {
            host.bell.awake();
            loop {
                let next = host.take();
                if refused.load(Ordering::Relaxed) && refused.swap(false, Ordering::Relaxed) {
                    shard.nudge();
                }
                if next.is_none() {
                    break;
                }
                received += 1;
            }
            if received < BATCHES && host.bell.try_park() {
                host.event.read();
            }
        }
        shard_thread.join().unwrap();
    });
}
