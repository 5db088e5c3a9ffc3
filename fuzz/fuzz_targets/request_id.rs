//! Any bytes as the id of a request: it is echoed whole or replaced, and never more than one harmless word.
#![no_main]

use fasttunnel_engine::tunnel::request_id::{effective, write_uuid_v4};
use fasttunnel_engine::wire::fields::{FieldSpan, FieldTable, Span};

const NAME: &[u8] = b"X-Runner-Request-ID";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Lines of the input are lines of the header.
    let mut bytes = NAME.to_vec();
    let mut table = FieldTable::default();
    let name = Span { start: 0, end: NAME.len() as u32 };
    let values: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    for value in &values {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(value);
        if !table.push(FieldSpan { name, value: Span { start, end: bytes.len() as u32 } }) {
            return;
        }
    }
    let mut fresh = false;
    let mut out = Vec::new();
    effective(table.of(&bytes), &mut out, |id| {
        fresh = true;
        write_uuid_v4([7; 16], id);
    });
    assert!((1..=128).contains(&out.len()));
    assert!(out.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(byte)), "{}", out.escape_ascii());
    if !fresh {
        assert_eq!(values.len(), 1);
        assert!(String::from_utf8_lossy(values[0]).contains(std::str::from_utf8(&out).expect("ASCII")));
    }
});
