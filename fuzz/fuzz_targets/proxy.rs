//! What a client of the forward proxy sends: where it leads, and what is sent on of it.
#![no_main]

use fasttunnel_engine::proxy::fuzz::{fuzz_request, fuzz_target};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz_target(data);
    fuzz_request(data);
});
