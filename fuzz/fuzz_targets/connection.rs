//! Any bytes as a whole connection: the same messages and the same end however they are cut, and each message ends
//! where its framing says.
#![no_main]

use fasttunnel_engine::wire::framing::Framing;
use fasttunnel_fuzz::connection::{End, Message, read};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let whole = read([data]);
    let mut end = 0;
    for message in &whole.messages {
        assert!(end < message.start && message.start <= message.end, "{}", data.escape_ascii());
        check(message, &data[message.start..message.end]);
        end = message.end;
    }
    if let End::Waits = whole.end {
        assert_eq!(read([data, b""]), whole);
    }
    for parts in [1, 2, 3, 7, 61] {
        assert_eq!(read(data.chunks(parts)), whole, "in pieces of {parts}: {}", data.escape_ascii());
    }
    // A cut at every place, or at many of them.
    for cut in (0..=data.len()).step_by(data.len() / 64 + 1) {
        let (first, second) = data.split_at(cut);
        assert_eq!(read([first, second]), whole, "cut at {cut}: {}", data.escape_ascii());
    }
});

fn check(message: &Message, content: &[u8]) {
    let has = |name: &[u8]| message.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count();
    match message.framing {
        Framing::None => {
            assert!(content.is_empty() && message.body.is_empty());
            assert_eq!(has(b"content-length") + has(b"transfer-encoding"), 0);
        }
        Framing::Length(length) => {
            assert_eq!(length, content.len() as u64);
            assert_eq!(message.body, content);
            assert_eq!((has(b"content-length"), has(b"transfer-encoding")), (1, 0));
        }
        Framing::Chunked => {
            assert!(content.ends_with(b"\r\n"));
            assert_eq!((has(b"content-length"), has(b"transfer-encoding")), (0, 1));
            assert_ne!(message.minor_version, 0);
        }
    }
    assert!(has(b"host") == 1 || (has(b"host") == 0 && message.minor_version == 0));
}
