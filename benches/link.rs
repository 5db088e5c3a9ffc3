//! What crossing threads costs: the doorbell, a batch there and back, and waking a thread that sleeps.
#![allow(missing_docs)] // the macros' functions

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fasttunnel_benches::{ADD_BODY, PATIENCE, SMALL_HEAD, criterion, fill, spin};
use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::link::batch::{AnswerBatch, CallBatch, Outcome};
use fasttunnel_engine::link::doorbell::Doorbell;
use fasttunnel_engine::link::host::{Host, Next};
use fasttunnel_engine::link::hosts::Hosts;
use fasttunnel_engine::link::port::{Inbox, ShardPort, ToShard, letter_box};
use rustix::event::{PollFd, PollFlags, Timespec};

fn doorbell(criterion: &mut Criterion) {
    let bell = Doorbell::default();
    criterion.bench_function("link/doorbell/ring an awake owner", |bencher| bencher.iter(|| bell.ring()));
    criterion.bench_function("link/doorbell/park, ring, awake", |bencher| {
        bencher.iter(|| {
            bell.awake();
            assert!(bell.try_park() && bell.ring());
        });
    });
}

/// The host's thread: answers every call of every batch until it is told to stop.
fn serve(host: Arc<Host>, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut spare = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let Next::Calls(mut calls) = host.next(0) else {
                std::hint::spin_loop();
                continue;
            };
            // As in the bridge: answers use the memory that has come home with calls.
            spare.append(&mut calls.answers_home);
            let mut answers: Box<AnswerBatch> = spare.pop().unwrap_or_default();
            for call in &calls.records {
                answers.push(call.key, Outcome::Result, b"3");
            }
            host.recycle(0, calls);
            host.answer(0, answers);
        }
    })
}

/// A batch is filled, crosses, is answered, and both batches come home. Neither side sleeps: this is the crossing
/// without the kernel.
fn hop(criterion: &mut Criterion) {
    let hosts = Hosts::new(1, 0);
    let (port, inbox) = letter_box().expect("an eventfd");
    hosts.attach(&[port]);
    let host = hosts.add(|| {}).expect("the first");
    let stop = Arc::new(AtomicBool::new(false));
    let server = serve(host.clone(), stop.clone());
    let mut home = Some(Box::<CallBatch>::default());
    let mut answered = None;
    let mut unused = AnswerBatch::default();
    let mut group = criterion.benchmark_group("link/hop");
    for calls in [1, 8, 64, 512] {
        group.throughput(Throughput::Elements(u64::from(calls)));
        group.bench_with_input(BenchmarkId::from_parameter(calls), &calls, |bencher, calls| {
            bencher.iter(|| {
                let mut batch = home.take().unwrap_or_default();
                batch.answers_home.extend(answered.take());
                fill(&mut batch, *calls, ADD_BODY, SMALL_HEAD);
                assert!(hosts.submit(0, batch, &mut unused).is_none(), "the queue is empty");
                let mut answers = spin(|| match inbox.messages.try_recv() {
                    Ok(ToShard::Answers(answers)) => Some(answers),
                    Ok(ToShard::CallsHome(batch)) => {
                        home = Some(batch);
                        None
                    }
                    _ => None,
                });
                assert_eq!(answers.records.len(), *calls as usize);
                answers.reset();
                answered = Some(answers);
            });
        });
    }
    group.finish();
    stop.store(true, Ordering::Relaxed);
    server.join().expect("the host's thread has not panicked");
}

/// Sleeps until a message comes, much as a shard does: parks the bell, then waits for the eventfd (by `poll`, so that
/// it does not wait for ever).
fn sleep_for_message(inbox: &Inbox) -> Option<ToShard> {
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        inbox.bell.state.awake();
        if let Ok(message) = inbox.messages.try_recv() {
            return Some(message);
        }
        let mut event = [PollFd::from_borrowed_fd(inbox.bell.event(), PollFlags::IN)];
        if inbox.bell.state.try_park() && rustix::event::poll(&mut event, Some(&second)).is_ok_and(|ready| ready > 0) {
            rustix::io::read(inbox.bell.event(), &mut [0; 8]).expect("the eventfd is open");
        }
    }
    None
}

/// Returns every batch that comes until `Stop`.
fn echo(inbox: Inbox, back: ShardPort) -> JoinHandle<()> {
    thread::spawn(move || {
        while let Some(message @ ToShard::Answers(_)) = sleep_for_message(&inbox) {
            if back.send(message).is_err() {
                break;
            }
        }
    })
}

/// A message to a thread that sleeps, and back to a thread that sleeps: halved, it is one foreign wake.
fn wake(criterion: &mut Criterion) {
    let (there, far) = letter_box().expect("an eventfd");
    let (back, near) = letter_box().expect("an eventfd");
    let echo = echo(far, back);
    criterion.bench_function("link/wake/a sleeping thread", |bencher| {
        bencher.iter_custom(|rounds| {
            let start = Instant::now();
            for _ in 0..rounds {
                assert!(there.send(ToShard::Answers(Box::default())).is_ok(), "the echo runs");
                assert!(sleep_for_message(&near).is_some(), "the echo answers");
            }
            start.elapsed() / 2
        });
    });
    assert!(there.send(ToShard::Stop { drain_ms: 0 }).is_ok(), "the echo runs");
    echo.join().expect("the echo has not panicked");
}

criterion_group! { name = benches; config = criterion(); targets = doorbell, hop, wake }
criterion_main!(benches);
