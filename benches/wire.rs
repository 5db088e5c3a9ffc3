//! What bytes cost: finding and reading the head of a request or an answer, writing an answer.
#![allow(missing_docs)] // the macros' functions

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fasttunnel_benches::{FETCH_HEAD, SMALL_HEAD};
use fasttunnel_engine::tunnel::envelope::ok_result;
use fasttunnel_engine::wire::answer::{Answer, Content, Given};
use fasttunnel_engine::wire::answer_reader::AnswerReader;
use fasttunnel_engine::wire::date::HttpDate;
use fasttunnel_engine::wire::field_lines::FieldLines;
use fasttunnel_engine::wire::head::{Head, HeadLimits, HeadScanner, Method, Scan};
use fasttunnel_engine::wire::reply::Connection;

const REQUEST_ID: &[u8] = b"x-runner-request-id: 0b9f7c1e-3f0a-4a55-9d39-51f0c1a2b3c4\r\nVary: Origin\r\n";

fn request_heads(criterion: &mut Criterion) {
    let limits = HeadLimits::default();
    let mut group = criterion.benchmark_group("wire/request_head");
    for (name, head) in [("138 B", SMALL_HEAD), ("337 B", FETCH_HEAD)] {
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(format!("scan/{name}"), |bencher| {
            let mut scanner = HeadScanner::default();
            bencher.iter(|| {
                scanner.reset();
                scanner.find(black_box(head), &limits)
            });
        });
        group.bench_function(format!("scan_and_parse/{name}"), |bencher| {
            let (mut scanner, mut parsed) = (HeadScanner::default(), Head::default());
            bencher.iter(|| {
                scanner.reset();
                let bytes = black_box(head);
                let Ok(Scan::Complete { start, end }) = scanner.find(bytes, &limits) else {
                    panic!("the head is complete");
                };
                parsed.parse(&bytes[start..end], &limits).expect("the head is valid");
                parsed.fields.of(bytes).len()
            });
        });
    }
    group.finish();
}

fn answer_heads(criterion: &mut Criterion) {
    let (limits, date) = (HeadLimits::default(), HttpDate::from_unix(1_700_000_000));
    let mut head = Vec::new();
    let (own, content) = (FieldLines::new(REQUEST_ID), Content::Whole(ok_result(b"3")));
    let answer = Answer { status: 200, own, given: Given::Json, security: true, date: &date, content };
    answer.encode(&mut head, Connection::KeepAlive { hint_s: 5 });
    let mut group = criterion.benchmark_group("wire/answer_head");
    group.throughput(Throughput::Bytes(head.len() as u64));
    group.bench_function("find_and_read/200 JSON", |bencher| {
        let mut reader = AnswerReader::default();
        bencher.iter(|| reader.find(black_box(&head), Method::Post, &limits));
    });
    group.finish();
}

fn answers(criterion: &mut Criterion) {
    let date = HttpDate::from_unix(1_700_000_000);
    let mut out = Vec::with_capacity(1024);
    let kept = Connection::KeepAlive { hint_s: 5 };
    let own = FieldLines::new(REQUEST_ID);
    let mut group = criterion.benchmark_group("wire/answer");
    group.bench_function("200 JSON", |bencher| {
        bencher.iter(|| {
            out.clear();
            let content = Content::Whole(ok_result(black_box(b"3")));
            let given = Given::Json;
            let answer = Answer { status: 200, own: black_box(own), given, security: true, date: &date, content };
            answer.encode(&mut out, kept);
            out.len()
        });
    });
    group.bench_function("any status", |bencher| {
        bencher.iter(|| {
            out.clear();
            let (status, content) = (black_box(404), Content::text(black_box(b"{\"ok\":false}")));
            let answer = Answer { status, own, given: Given::Json, security: true, date: &date, content };
            answer.encode(&mut out, kept);
            out.len()
        });
    });
    group.finish();
}

criterion_group! { name = benches; config = fasttunnel_benches::criterion(); targets = request_heads, answer_heads, answers }
criterion_main!(benches);
