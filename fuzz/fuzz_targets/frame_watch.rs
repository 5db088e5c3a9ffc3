//! Any bytes as the frames of an HTTP/2 connection: the same is seen however they are cut, and no flood passes.
#![no_main]

use fasttunnel_engine::wire::frame_watch::fuzz_frame_watch;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_frame_watch(data));
