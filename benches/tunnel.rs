//! What the contract costs: deciding on a request, cutting an array of results into its elements.
#![allow(missing_docs)] // the macros' functions

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fasttunnel_benches::{FETCH_HEAD, SMALL_HEAD, TOKEN, exposure};
use fasttunnel_engine::tunnel::array::ArraySplitter;
use fasttunnel_engine::tunnel::decide::Decision;
use fasttunnel_engine::tunnel::request::Request;
use fasttunnel_engine::tunnel::request_id::write_uuid_v4;
use fasttunnel_engine::tunnel::table::{Kind, Registration};
use fasttunnel_engine::wire::head::{Head, HeadLimits};

/// Among 50 tasks, so that the lookup is not for free.
fn registrations() -> Vec<Registration> {
    let other = |index| Registration { kind: Kind::Task, id: format!("app.tasks.number{index}"), index };
    let mut registered: Vec<_> = (1..50).map(other).collect();
    registered.push(Registration { kind: Kind::Task, id: "app.tasks.add".to_owned(), index: 0 });
    registered
}

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tunnel/decide");
    // The decoy differs in its last byte: comparing must take as long as a match.
    let decoy = format!("{}e", &TOKEN[..TOKEN.len() - 1]);
    for (name, bytes, path, tokens) in [
        ("anonymous", SMALL_HEAD, "/__runner/task/app.tasks.add", None),
        ("anonymous, encoded id", SMALL_HEAD, "/__runner/task/app.tasks.%61dd", None),
        ("one token", FETCH_HEAD, "/__runner/task/app.tasks.add", Some(vec![TOKEN.to_owned()])),
        ("second of two tokens", FETCH_HEAD, "/__runner/task/app.tasks.add", Some(vec![decoy, TOKEN.to_owned()])),
    ] {
        let exposure = exposure(&registrations(), tokens);
        let mut head = Head::default();
        head.parse(bytes, &HeadLimits::default()).expect("the head is valid");
        let request = Request { method: b"POST", path: path.as_bytes(), fields: head.fields.of(bytes) };
        let (mut lines, mut decoded) = (Vec::new(), Vec::new());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                lines.clear();
                let fresh = |id: &mut _| write_uuid_v4(black_box([7; 16]), id);
                let verdict = exposure.decide(black_box(&request), &mut lines, &mut decoded, fresh);
                assert!(matches!(verdict.decision, Decision::Call { handler: 0, .. }));
            });
        });
    }
    group.finish();
}

fn split(criterion: &mut Criterion) {
    const ELEMENTS: usize = 64;
    let mut group = criterion.benchmark_group("tunnel/split_64");
    group.throughput(Throughput::Elements(ELEMENTS as u64));
    let product = r#"{"id":12345,"name":"A product name","price":19.99,"tags":["a","b"],"ok":true}"#;
    for (name, element) in [
        ("digits", "3".to_owned()),
        ("products of 77 B", product.to_owned()),
        ("texts of 10 kB", format!("\"{}\"", "lorem ipsum ".repeat(850))),
    ] {
        let text = format!("[{}]", vec![element; ELEMENTS].join(","));
        group.bench_with_input(BenchmarkId::from_parameter(name), text.as_bytes(), |bencher, text| {
            bencher.iter(|| assert_eq!(ArraySplitter::new(black_box(text)).count(), ELEMENTS));
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = fasttunnel_benches::criterion(); targets = decide, split }
criterion_main!(benches);
