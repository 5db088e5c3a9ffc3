//! What it takes to wake a shard by its doorbell: a real shard on either driver, which is sent answers for nobody and
//! counts them. parked: it sleeps in the kernel. busy: it is in a tick of 40 us. storm: messages as fast as possible.
#![allow(missing_docs)] // the macros' functions

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fasttunnel_benches::{criterion, exposure, spin};
use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::link::batch::{AnswerBatch, CallBatch, CallKey, Outcome};
use fasttunnel_engine::link::port::{ShardPort, ToShard};
use fasttunnel_engine::shard::driver::DriverChoice;
use fasttunnel_engine::{Config, Engine, Listen};

/// As in the addon: with glibc's, the cost of freeing what the shard was sent would be in the figures.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes no calls: only the letter boxes are wanted.
#[derive(Default)]
struct Ports(OnceLock<Vec<ShardPort>>);

impl Backend for Ports {
    fn attach(&self, ports: &[ShardPort]) {
        let _ = self.0.set(ports.to_vec());
    }

    fn submit(&self, _shard: usize, calls: Box<CallBatch>, _answers: &mut AnswerBatch) -> Option<Box<CallBatch>> {
        Some(calls)
    }

    fn stopped(&self, _shard: usize) {}
}

/// So many answers to calls that do not exist; they make the shard's counter go up, and cost it some time.
fn strays(count: u32) -> Box<AnswerBatch> {
    let mut batch = Box::<AnswerBatch>::default();
    for slot in 0..count {
        batch.push(CallKey { slot, generation: 1 }, Outcome::Done, b"");
    }
    batch
}

struct Shard {
    engine: Engine,
    port: ShardPort,
}

impl Shard {
    fn start(driver: DriverChoice) -> Option<Self> {
        let backend = Arc::<Ports>::default();
        let mut config = Config::new(Listen::InProcess, Arc::new(exposure(&[], None)));
        config.shards = 1;
        config.driver = driver;
        let engine = Engine::start(config, backend.clone()).ok()?;
        let port = backend.0.get()?.first()?.clone();
        Some(Shard { engine, port })
    }

    fn send(&self, answers: Box<AnswerBatch>) {
        assert!(self.port.send(ToShard::Answers(answers)).is_ok(), "the shard runs");
    }

    /// Answers that the shard has looked at.
    fn seen(&self) -> u64 {
        self.engine.stats().iter().map(|shard| shard.dropped).sum()
    }

    fn wakes(&self) -> u64 {
        self.engine.stats().iter().map(|shard| shard.wakes).sum()
    }

    fn wait_for(&self, seen: u64) {
        spin(|| (self.seen() >= seen).then_some(()));
    }
}

/// Long enough for a shard to fall asleep.
fn pause() {
    thread::sleep(Duration::from_micros(200));
}

/// Batches that keep a shard busy, and the answers in each: small enough for their memory to cost nothing to free.
const BUSY_BATCHES: u32 = 20;
const BUSY_ANSWERS: u32 = 1000;
/// Messages of a storm.
const STORM: u64 = 1000;

fn wake(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wake/shard");
    for (name, driver) in [("io_uring", DriverChoice::IoUring), ("epoll", DriverChoice::Epoll)] {
        let Some(shard) = Shard::start(driver) else {
            println!("wake/shard/{name}: left out: it does not start");
            continue;
        };
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("parked", name), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut total = Duration::ZERO;
                for _ in 0..rounds {
                    pause();
                    let (seen, sent) = (shard.seen(), Instant::now());
                    shard.send(strays(1));
                    shard.wait_for(seen + 1);
                    total += sent.elapsed();
                }
                total
            });
        });
        group.bench_function(BenchmarkId::new("parked, only the sending", name), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut total = Duration::ZERO;
                for _ in 0..rounds {
                    pause();
                    let (seen, message, sent) = (shard.seen(), strays(1), Instant::now());
                    shard.send(message);
                    total += sent.elapsed();
                    shard.wait_for(seen + 1);
                }
                total
            });
        });
        // From the end of what it was busy with to the message that came meanwhile: nobody has to wake it.
        group.bench_function(BenchmarkId::new("busy", name), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut total = Duration::ZERO;
                let mut counted = 0;
                while counted < rounds {
                    pause();
                    let (seen, message) = (shard.seen(), strays(1));
                    let work: Vec<_> = (0..BUSY_BATCHES).map(|_| strays(BUSY_ANSWERS)).collect();
                    let done = seen + u64::from(BUSY_BATCHES * BUSY_ANSWERS);
                    work.into_iter().for_each(|answers| shard.send(answers));
                    shard.send(message);
                    // Woken on this very core, it may be done before this thread goes on: that round does not count.
                    let in_time = shard.seen() < done;
                    shard.wait_for(done);
                    let free = Instant::now();
                    shard.wait_for(done + 1);
                    if in_time {
                        total += free.elapsed();
                        counted += 1;
                    }
                }
                total
            });
        });
        group.throughput(Throughput::Elements(STORM));
        let (wakes, seen) = (shard.wakes(), shard.seen());
        group.bench_function(BenchmarkId::new("storm of 1000", name), |bencher| {
            bencher.iter(|| {
                let seen = shard.seen();
                for _ in 0..STORM {
                    shard.send(strays(1));
                }
                shard.wait_for(seen + STORM);
            });
        });
        println!(
            "wake/shard/storm of 1000/{name}: {} wakes for {} messages",
            shard.wakes() - wakes,
            shard.seen() - seen
        );
    }
    group.finish();
}

criterion_group! { name = benches; config = criterion(); targets = wake }
criterion_main!(benches);
