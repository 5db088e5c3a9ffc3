//! Names that were chosen to collide cost no more than others: the time for header lines grows with their number.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use fasttunnel_engine::limits::MAX_HEADERS;
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions, AuthVerdict};
use fasttunnel_engine::tunnel::request_id::effective;
use fasttunnel_engine::wire::head::{Head, HeadLimits};
use rustix::time::{ClockId, clock_gettime};

/// A head with so many lines whose names have the length and the first characters of one that is looked for.
fn head_of(lines: usize) -> String {
    let alike = (2..lines).map(|n| format!("x-runner-tok{}{}: {}\r\n", n / 10, n % 10, "v".repeat(80)));
    let alike: String = alike.collect();
    format!("POST /__runner/task/app.tasks.add HTTP/1.1\r\nHost: x\r\n{alike}x-runner-token: secret\r\n\r\n")
}

/// What this thread has run for: other threads and processes do not count.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// The least of many: whatever else the machine does only adds to it.
fn time(bytes: &str, auth: &AuthConfig) -> Duration {
    let limits = HeadLimits { max_head_bytes: 64 * 1024, ..HeadLimits::default() };
    let (mut head, mut id) = (Head::default(), Vec::new());
    let once = || {
        let began = thread_time();
        head.parse(bytes.as_bytes(), &limits).unwrap();
        let fields = head.fields.of(bytes.as_bytes());
        assert_eq!(auth.verdict(fields), AuthVerdict::Pass);
        id.clear();
        effective(fields, &mut id, |fresh| fresh.fill(b'0'));
        thread_time() - began
    };
    std::iter::repeat_with(once).take(300).min().unwrap()
}

#[test]
fn header_lines_that_look_alike_are_linear() {
    let auth = AuthConfig::new(AuthOptions { tokens: Some(vec!["secret".into()]), ..AuthOptions::default() }).unwrap();
    let few = time(&head_of(MAX_HEADERS / 8), &auth);
    let many = time(&head_of(MAX_HEADERS), &auth);
    // Eight times as many lines: 8 when it is linear, 64 when it is not.
    assert!(many < few * 32, "{MAX_HEADERS} lines take {many:?}, an eighth of them {few:?}");
    println!("{MAX_HEADERS} lines take {many:?}, an eighth of them {few:?}");
}
