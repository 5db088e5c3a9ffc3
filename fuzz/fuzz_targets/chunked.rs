//! Any bytes as chunked content: the same content, end or error however they are cut; reading and skipping agree.
#![no_main]

use fasttunnel_engine::wire::fuzz::fuzz_chunked;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_chunked(data));
