//! Any bytes as what a server sends: the same answers, refusal or wait however they are cut; httparse reads accepted heads
//! alike. The first byte picks the methods that were asked with.
#![no_main]

use fasttunnel_engine::wire::fuzz::fuzz_answers;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_answers(data));
