//! What reading a form costs: a file of 1 MiB in pieces as the socket gives them, and a small form with its header.
#![allow(missing_docs)] // the macros' functions

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fasttunnel_engine::limits::MultipartLimits;
use fasttunnel_engine::tunnel::multipart::{Event, MultipartReader, write_file_json};

/// As Node's `fetch` makes them.
const BOUNDARY: &str = "----formdata-undici-087512345678";

/// A manifest and one file with this content.
fn form(content: &[u8]) -> Vec<u8> {
    let manifest = r#"{"input":{"file":{"$runnerFile":"File","id":"F1","meta":{"name":"a.bin","size":1048576}}}}"#;
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"__manifest\"\r\n\r\n{manifest}\r\n--{BOUNDARY}\r\n\
         Content-Disposition: form-data; name=\"file:F1\"; filename=\"a.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    );
    [head.as_bytes(), content, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

/// Bytes of files; what they hold is copied, as into a batch.
fn read(body: &[u8], piece: usize, out: &mut Vec<u8>) -> usize {
    out.clear();
    let mut reader = MultipartReader::new(BOUNDARY.as_bytes(), &MultipartLimits::default());
    let mut sink = |event: Event<'_>| match event {
        Event::Manifest(bytes) | Event::Data(bytes) => out.extend_from_slice(bytes),
        Event::File(head) => write_file_json(out, head),
        Event::FileEnd => {}
    };
    for bytes in body.chunks(piece) {
        reader.feed(bytes, &mut sink).expect("the form is valid");
    }
    reader.finish(&mut sink).expect("the form is complete");
    out.len()
}

fn forms(criterion: &mut Criterion) {
    // Noise, as of a compressed file; text with many line ends; and what is nearly the boundary, over and over.
    let mut state = 1u32;
    let noise = (0..1 << 20).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let repeated = |text: &str| text.bytes().cycle().take(1 << 20).collect::<Vec<u8>>();
    let contents = [
        ("noise", noise.collect()),
        ("text", repeated("a line of text, as in a log file\r\n")),
        ("near boundaries", repeated("\r\n------formdata-undici-08751234567")),
    ];
    let mut out = Vec::with_capacity(2 << 20);
    let mut group = criterion.benchmark_group("multipart");
    for (name, content) in &contents {
        let body = form(content);
        group.throughput(Throughput::Bytes(body.len() as u64));
        for piece in [4 << 10, 64 << 10] {
            group.bench_function(format!("1 MiB {name} by {} KiB", piece >> 10), |bencher| {
                bencher.iter(|| read(black_box(&body), piece, &mut out));
            });
        }
    }
    let small = form(b"hello");
    group.throughput(Throughput::Bytes(small.len() as u64));
    group.bench_function("5 B", |bencher| bencher.iter(|| read(black_box(&small), 64 << 10, &mut out)));
    group.finish();
}

criterion_group! { name = benches; config = fasttunnel_benches::criterion(); targets = forms }
criterion_main!(benches);
