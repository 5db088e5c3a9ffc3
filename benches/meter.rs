//! What measuring costs: reading the clock, recording a value, and all that is measured of a batch.
#![allow(missing_docs)] // the macros' functions

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fasttunnel_benches::criterion;
use fasttunnel_engine::link::clock::now_ns;
use fasttunnel_engine::link::histogram::Histogram;
use fasttunnel_engine::link::hosts::{Hosts, Offer};
use fasttunnel_engine::link::meter::{HandoverMeter, HostMeter, Run};
use fasttunnel_engine::link::tasks::{Label, NumbersHere};
use fasttunnel_engine::shard::timing::ShardMeter;
use fasttunnel_engine::tunnel::table::Kind;

fn parts(criterion: &mut Criterion) {
    criterion.bench_function("meter/clock", |bencher| bencher.iter(now_ns));
    let histogram = Histogram::default();
    let mut value = 1;
    criterion.bench_function("meter/record", |bencher| {
        bencher.iter(|| {
            // Any bucket may come next: nothing is to be learned from the values before.
            value = (value * 48_271) % 2_147_483_647;
            histogram.record(black_box(value), 1);
        });
    });
    criterion.bench_function("meter/snapshot, three quantiles", |bencher| {
        bencher.iter(|| {
            let snapshot = histogram.snapshot();
            [0.5, 0.9, 0.99].map(|share| snapshot.quantile(share))
        });
    });
}

/// All that the shard and the host measure of a batch on its way out and home, in one thread. Each of its calls has a
/// connection of its own.
fn batch(criterion: &mut Criterion) {
    let (shard, handover, host) = (ShardMeter::default(), HandoverMeter::default(), HostMeter::default());
    let mut group = criterion.benchmark_group("meter/batch");
    for calls in [1_u64, 16, 64] {
        group.throughput(Throughput::Elements(calls));
        group.bench_with_input(BenchmarkId::from_parameter(calls), &calls, |bencher, calls| {
            bencher.iter(|| {
                // The round, and the batch that ends it.
                let round = now_ns();
                let handed_over = now_ns();
                shard.parse_ns.record(handed_over - round, *calls);
                shard.calls_per_batch.record(*calls, 1);
                handover.most_waiting.raise(1);
                // The drain, and the answers.
                let taken = now_ns();
                host.queue_ns.record(taken - handed_over, *calls);
                let answered = now_ns();
                let mut run = Run::default();
                for _ in 0..*calls {
                    run.add(black_box(0), black_box(taken), |_, since, calls| {
                        host.host_ns.record(answered - since, calls)
                    });
                }
                run.end(|_, since, calls| host.host_ns.record(answered - since, calls));
                shard.answers_per_batch.record(*calls, 1);
                // The next round, which sees what was sent.
                shard.write_ns.record(now_ns() - answered, *calls);
            });
        });
    }
    group.finish();
}

/// What is measured of tasks one by one, where there is an admin listener: of a batch of 64 calls, beside the above.
fn tasks(criterion: &mut Criterion) {
    let hosts = Hosts::new(1, 0).metering_tasks();
    let host = hosts.add(|| {}).expect("room for a host");
    let offer = |id: u32| Offer { kind: Kind::Task, id: format!("app.tasks.{id}"), number: None };
    let numbers = hosts.register(&host, &(0..8).map(offer).collect::<Vec<_>>()).expect("good ids");
    let meters = host.tasks().expect("tasks are measured");
    let mut here = NumbersHere::default();
    let mut group = criterion.benchmark_group("meter/tasks");
    group.throughput(Throughput::Elements(64));
    for different in [1, 8] {
        group.bench_with_input(BenchmarkId::from_parameter(different), &different, |bencher, different| {
            bencher.iter(|| {
                here.look(meters);
                let (taken, answered) = (black_box(1_000), black_box(2_000));
                let note = |label, since, calls| meters.note(label as Label, since, answered, calls);
                let mut run = Run::default();
                for number in numbers.iter().take(*different).cycle().take(64) {
                    run.add(u32::from(here.of(black_box(*number))), taken, note);
                }
                run.end(note);
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = criterion(); targets = parts, batch, tasks }
criterion_main!(benches);
