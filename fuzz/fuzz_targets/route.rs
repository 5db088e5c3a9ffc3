//! Any bytes as a path: what the router finds, a slow reader of the same rules finds, too.
#![no_main]

use fasttunnel_engine::tunnel::route::{BasePath, Route, fuzz_route};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz_route(data);
    for base in ["/__runner", "/", "/a/b"] {
        let path = BasePath::new(base).expect("a base path");
        let mut decoded = Vec::new();
        let route = path.route(data, &mut decoded);
        let (kind, id) = match route {
            Route::Task(id) => ("task", id),
            Route::Event(id) => ("event", id),
            _ => continue,
        };
        let text = std::str::from_utf8(data).expect("a path with a target is ASCII");
        let rest = text.strip_prefix(base.trim_end_matches('/')).expect("under the base path");
        let mut segments = rest.split('/').filter(|segment| !segment.is_empty());
        assert_eq!(segments.next(), Some(kind), "{text}");
        let raw = segments.collect::<Vec<_>>().join("/");
        assert_eq!(id.as_bytes(), decode(raw.as_bytes()), "{text}");
    }
    // A base path that may be configured is reachable, unless it is the root.
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(base) = BasePath::new(text)
    {
        let path = format!("{}/task/x", base.as_str().trim_end_matches('/'));
        let mut decoded = Vec::new();
        let found = base.route(path.as_bytes(), &mut decoded);
        assert!(found == Route::Task("x") || base.as_str().ends_with('/'), "{text}: {found:?}");
    }
});

/// `decodeURIComponent` of a valid text.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'%' {
            let digits = std::str::from_utf8(&tail[..2]).expect("two digits");
            out.push(u8::from_str_radix(digits, 16).expect("hex digits"));
            rest = &tail[2..];
        } else {
            out.push(*byte);
        }
    }
    out
}
