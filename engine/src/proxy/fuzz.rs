//! Invariants of what a proxy reads and writes, for fuzzers and property tests.

use crate::proxy::base64;
use crate::proxy::fault::Fault;
use crate::proxy::request::{RequestPlan, plan, write_head};
use crate::proxy::route::Route;
use crate::proxy::target::{Host, Scheme, Target};
use crate::wire::head::{Head, HeadError, HeadLimits};

/// A target is read to one that reads the same again, and has no byte that could end a line or a name.
///
/// # Panics
/// When that is not so.
pub fn fuzz_target(bytes: &[u8]) {
    let _ = base64::decode(bytes);
    let Some(target) = Target::of_authority(Scheme::Http, bytes) else { return };
    let text = target.authority();
    assert_eq!(Target::of_authority(Scheme::Http, text.as_bytes()).as_ref(), Some(&target), "{text}");
    assert!(
        target.port > 0 && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"@/?#%,".contains(&byte)),
        "{text}"
    );
    if let Host::Name(name) = &target.host {
        assert!(name.parse::<core::net::IpAddr>().is_err(), "{name}");
    }
    if let Ok(route) = Route::new("m", "base", "cmux.app", None) {
        assert_eq!(route.rewrite(&target).is_some(), target.host.is_loopback(), "{text}");
    }
}

/// What is sent on of a request is one request: it is read again, to the same framing and path, is for the host of its target,
/// and has nothing left of this hop.
///
/// # Panics
/// When that is not so.
pub fn fuzz_request(bytes: &[u8]) {
    let limits = HeadLimits { connect: true, ..HeadLimits::default() };
    let mut head = Head::default();
    // Exactly one head, as the scanner gives it.
    let whole = bytes.windows(4).position(|end| end == b"\r\n\r\n").is_some_and(|at| at + 4 == bytes.len());
    if !whole || head.parse(bytes, &limits).is_err() {
        return;
    }
    let Ok(RequestPlan::Forward(forward)) = plan(&head, bytes, None, None, "own") else { return };
    let mut out = Vec::new();
    write_head(&head, bytes, &forward, "own", &mut out);
    let mut again = Head::default();
    match again.parse(&out, &limits) {
        // Two lines more than it has had.
        Err(HeadError::TooManyFields) => return,
        parsed => assert_eq!(parsed, Ok(()), "{}", out.escape_ascii()),
    }
    assert_eq!((again.method, again.framing), (head.method, head.framing));
    let path = head.path.of(bytes);
    let expected = if forward.asterisk {
        b"*"
    } else if path.is_empty() {
        &b"/"[..]
    } else {
        path
    };
    assert_eq!((again.path.of(&out), again.query.of(&out)), (expected, head.query.of(bytes)));
    let fields = again.fields.of(&out);
    assert_eq!(fields.get(b"host").first(), Some(forward.routed.host.as_bytes()));
    for (name, value) in fields.iter() {
        let name = name.to_ascii_lowercase();
        assert!(!name.starts_with(b"proxy-auth") && !name.starts_with(b"x-cmux-") && name != b"keep-alive");
        assert!(name != b"te" || value == b"trailers");
        assert!(forward.upgrade || ((name != b"connection" || value == b"te") && name != b"upgrade"));
    }
    assert_eq!(plan(&again, &out, Some(&forward.routed.target), None, "own").err(), Some(Fault::Loop));
}
