//! What balancers and proxies say of their clients: headers of the PROXY protocol, and field lines.
#![no_main]

use fasttunnel_engine::caller::fuzz::{fuzz_forwarded, fuzz_proxy_header};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz_proxy_header(data);
    fuzz_forwarded(data);
});
