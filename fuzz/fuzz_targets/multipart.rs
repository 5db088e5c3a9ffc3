//! Any bytes as the body of a form: the same however they are cut, in order and within the bounds. What stands in front of
//! the first NUL are two header values, `Content-Disposition` and `Content-Type` by lines.
#![no_main]

use fasttunnel_engine::tunnel::multipart::fuzz::{fuzz_multipart, fuzz_part_head};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (values, body) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (&b""[..], data),
    };
    let mut values = values.splitn(2, |byte| *byte == b'\n');
    fuzz_part_head(values.next().unwrap_or_default(), values.next().unwrap_or_default());
    fuzz_multipart(body);
});
