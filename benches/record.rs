//! What writing records costs: a call into a batch, an answer into another, and emptying both.
#![allow(missing_docs)] // the macros' functions

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fasttunnel_benches::{ADD_BODY, FETCH_HEAD, SMALL_HEAD, criterion, fill};
use fasttunnel_engine::link::batch::{AnswerBatch, CallBatch, CallKey, Outcome};

/// Small calls or answers in a batch: about a tick of a busy shard.
const CALLS: u32 = 64;

/// An answer of 77 bytes.
const PRODUCT: &[u8] = br#"{"id":12345,"name":"A product name","price":19.99,"tags":["a","b"],"ok":true}"#;

fn calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record/calls");
    let large = [b'7'; 10 * 1024];
    for (name, body, head) in [
        ("64 of 23 B, head of 138 B", ADD_BODY, SMALL_HEAD),
        ("64 of 23 B, head of 337 B", ADD_BODY, FETCH_HEAD),
        ("16 of 10 kB, head of 337 B", &large, FETCH_HEAD),
    ] {
        // Below what a batch keeps: the next tick finds its memory again, as on the steady path.
        let calls = if body.len() > 1024 { CALLS / 4 } else { CALLS };
        let mut batch = CallBatch::default();
        group.throughput(Throughput::Elements(u64::from(calls)));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                batch.reset();
                fill(&mut batch, calls, black_box(body), black_box(head));
                assert_eq!(batch.records.len(), calls as usize);
            });
        });
    }
    group.finish();
}

fn answers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record/answers");
    group.throughput(Throughput::Elements(u64::from(CALLS)));
    for (name, text) in [("64 of 1 B", b"3".as_slice()), ("64 of 77 B", PRODUCT)] {
        let mut batch = AnswerBatch::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                batch.reset();
                for slot in 0..CALLS {
                    batch.push(CallKey { slot, generation: 1 }, Outcome::Result, black_box(text));
                }
                assert_eq!(batch.records.len(), CALLS as usize);
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = criterion(); targets = calls, answers }
criterion_main!(benches);
