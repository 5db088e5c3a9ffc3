//! Any pairs of bytes as what shards and an event loop do: every call ends exactly once, and nobody is harmed.
#![no_main]

use fasttunnel_engine::host::fuzz::fuzz_host;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_host(data));
