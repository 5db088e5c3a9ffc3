//! Nanoseconds of the hot paths: `cargo test --release -p fasttunnel-engine --test tunnel_measure -- --ignored --nocapture`.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use fasttunnel_engine::tunnel::array::ArraySplitter;
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::cors::{Cors, CorsOptions};
use fasttunnel_engine::tunnel::decide::{Decision, Exposure};
use fasttunnel_engine::tunnel::request::Request;
use fasttunnel_engine::tunnel::request_id::write_uuid_v4;
use fasttunnel_engine::tunnel::route::BasePath;
use fasttunnel_engine::tunnel::table::{Allow, HandlerTable, Kind, Registration};
use fasttunnel_engine::wire::fields::{FieldSpan, FieldTable, Span};

/// Nanoseconds of one call, the best of several rounds.
fn nanoseconds(mut call: impl FnMut()) -> f64 {
    let rounds = (0..20).map(|_| {
        let start = Instant::now();
        for _ in 0..5000 {
            call();
        }
        start.elapsed().as_nanos() as f64 / 5000.0
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn exposure(tokens: Option<Vec<String>>) -> Exposure {
    let allow_anonymous = tokens.is_none();
    let registered: Vec<_> =
        (0..50).map(|index| Registration { kind: Kind::Task, id: format!("app.tasks.number{index}"), index }).collect();
    Exposure {
        base_path: BasePath::default(),
        table: HandlerTable::new(&registered, &Allow::AllRegistered).unwrap(),
        auth: AuthConfig::new(AuthOptions { tokens, allow_anonymous, ..AuthOptions::default() }).unwrap(),
        cors: Cors::new(&CorsOptions::default()).unwrap(),
        disable_discovery: false,
        server_options: false,
    }
}

#[test]
#[ignore = "measures; run it on a release build"]
fn measure_decisions() {
    let mut bytes = Vec::new();
    let mut table = FieldTable::default();
    for (name, value) in [
        ("host", "localhost:7070"),
        ("connection", "keep-alive"),
        ("content-type", "application/json"),
        ("content-length", "23"),
        ("x-runner-token", "secret"),
        ("user-agent", "undici"),
    ] {
        let mut keep = |text: &str| {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(text.as_bytes());
            Span { start, end: bytes.len() as u32 }
        };
        let line = FieldSpan { name: keep(name), value: keep(value) };
        assert!(table.push(line));
    }
    let (mut lines, mut decoded) = (Vec::new(), Vec::new());
    for (name, path, tokens) in [
        ("anonymous", "/__runner/task/app.tasks.number7", None),
        ("encoded id", "/__runner/task/app.tasks.n%75mber7", None),
        ("one token", "/__runner/task/app.tasks.number7", Some(vec!["secret".to_owned()])),
    ] {
        let exposure = exposure(tokens);
        let request = Request { method: b"POST", path: path.as_bytes(), fields: table.of(&bytes) };
        let taken = nanoseconds(|| {
            lines.clear();
            let verdict = exposure.decide(black_box(&request), &mut lines, &mut decoded, |id| {
                write_uuid_v4(black_box([7; 16]), id);
            });
            assert!(matches!(verdict.decision, Decision::Call { handler: 7, .. }));
        });
        println!("decide, {name}: {taken:.0} ns");
    }
}

#[test]
#[ignore = "measures; run it on a release build"]
fn measure_splitting() {
    let product = r#"{"id":12345,"name":"A product name","price":19.99,"tags":["a","b"],"ok":true}"#;
    for (name, element) in [
        ("3", "3".to_owned()),
        ("a product", product.to_owned()),
        ("10 KiB of text", format!("\"{}\"", "lorem ipsum ".repeat(850))),
    ] {
        let text = format!("[{}]", vec![element; 64].join(","));
        let taken = nanoseconds(|| assert_eq!(ArraySplitter::new(black_box(text.as_bytes())).count(), 64));
        println!("split 64 of {name}: {:.1} ns an element, {} bytes", taken / 64.0, text.len());
    }
}
