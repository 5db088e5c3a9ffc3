//! Any names and values as the head of an application's answer: what is written reads back as one head with the fields
//! that were allowed, or is refused.
#![no_main]

use fasttunnel_engine::wire::fuzz::fuzz_answer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_answer(data));
