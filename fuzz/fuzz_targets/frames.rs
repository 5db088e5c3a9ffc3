//! Any bytes as the course of a connection's answers, whole and in pieces, and as bodies that become frames: in order,
//! whole, within the windows, and nobody waits for ever.
#![no_main]

use fasttunnel_engine::shard::fuzz::{fuzz_answers, fuzz_body_frames};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match data {
        [b'a', rest @ ..] => fuzz_answers(rest),
        [_, rest @ ..] => fuzz_body_frames(rest),
        [] => {}
    }
});
