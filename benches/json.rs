//! What judging a body costs: the checker (simd-json and marks), the exact grammar, and serde_json beside them.
#![allow(missing_docs)] // the macros' functions

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fasttunnel_benches::ADD_BODY;
use fasttunnel_engine::tunnel::json::{JsonChecker, JsonVerdict};
use fasttunnel_engine::tunnel::json_grammar::{Grammar, check_grammar};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// Bodies by size; the largest is the largest whose buffers the checker keeps.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let item = json!({ "id": 12345, "name": "A product name", "price": 19.99, "tags": ["a", "b"], "ok": true });
    let products = |count: usize| json!({ "input": vec![&item; count] }).to_string().into_bytes();
    let filter = json!({ "input": { "userId": "u_123456", "limit": 20, "cursor": null, "query": "hello world" } });
    let text = json!({ "input": "lorem ipsum dolor sit amet ".repeat(380) });
    vec![
        ("23 B", ADD_BODY.to_vec()),
        ("79 B", filter.to_string().into_bytes()),
        ("1 kB", products(13)),
        ("10 kB", products(126)),
        ("10 kB text", text.to_string().into_bytes()),
        ("64 kB", products(828)),
    ]
}

fn json(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("json");
    for (name, body) in &bodies() {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("checker/{name}"), |bencher| {
            let mut checker = JsonChecker::default();
            bencher.iter(|| matches!(checker.check(black_box(body)), JsonVerdict::Plain(_) | JsonVerdict::Input(_)));
        });
        // With the UTF-8 check that the grammar leaves to its caller.
        group.bench_function(format!("grammar/{name}"), |bencher| {
            bencher.iter(|| {
                let body = black_box(body);
                std::str::from_utf8(body).is_ok() && check_grammar(body) != Grammar::Invalid
            });
        });
        group.bench_function(format!("serde_json check/{name}"), |bencher| {
            bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(body)).is_ok());
        });
        group.bench_function(format!("serde_json value/{name}"), |bencher| {
            bencher.iter(|| serde_json::from_slice::<Value>(black_box(body)).is_ok());
        });
    }
    group.finish();
}

/// 1024 small bodies, no two alike: what one body over and over hides, the branch predictor's misses.
fn different_bodies() -> Vec<Vec<u8>> {
    // A linear congruential generator: the same bodies in every run.
    let mut state = 1_u64;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut body = || {
        let mut input = serde_json::Map::new();
        for field in 0..1 + below(6) {
            let value = match below(6) {
                0 => json!(below(1_000_000)),
                1 => json!(below(1_000_000) as f64 / 100.0),
                2 => json!("text ".repeat(below(12) as usize)),
                3 => json!({ "id": below(99), "tags": vec!["a"; below(4) as usize] }),
                4 => json!(below(2) == 0),
                _ => Value::Null,
            };
            input.insert(format!("{}{field}", "name".repeat(1 + below(3) as usize)), value);
        }
        json!({ "input": input }).to_string().into_bytes()
    };
    (0..1024).map(|_| body()).collect()
}

fn different(criterion: &mut Criterion) {
    let bodies = different_bodies();
    let mut group = criterion.benchmark_group("json/1024 different");
    group.throughput(Throughput::Elements(bodies.len() as u64));
    group.bench_function("checker", |bencher| {
        let mut checker = JsonChecker::default();
        let mut check =
            |body: &Vec<u8>| matches!(checker.check(black_box(body)), JsonVerdict::Plain(_) | JsonVerdict::Input(_));
        bencher.iter(|| bodies.iter().filter(|body| check(body)).count());
    });
    group.bench_function("grammar", |bencher| {
        let check = |body: &[u8]| std::str::from_utf8(body).is_ok() && check_grammar(body) != Grammar::Invalid;
        bencher.iter(|| bodies.iter().filter(|body| check(black_box(body))).count());
    });
    group.bench_function("serde_json check", |bencher| {
        let check = |body: &[u8]| serde_json::from_slice::<IgnoredAny>(body).is_ok();
        bencher.iter(|| bodies.iter().filter(|body| check(black_box(body))).count());
    });
    group.finish();
}

criterion_group! { name = benches; config = fasttunnel_benches::criterion(); targets = json, different }
criterion_main!(benches);
