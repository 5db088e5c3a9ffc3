//! Any bytes as the start of a connection: the same head, refusal or wait however they are cut; httparse reads an
//! accepted head alike.
#![no_main]

use fasttunnel_engine::wire::fuzz::fuzz_head;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_head(data));
