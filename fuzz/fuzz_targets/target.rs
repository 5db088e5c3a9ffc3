//! Any bytes as a request target: read alone, on a request line and in a whole head it has the same path, the one that
//! slow string functions find; and an attached server's question is answered as the request would be.
#![no_main]

use fasttunnel_engine::tunnel::route::{BasePath, Route};
use fasttunnel_engine::tunnel::target::Destination;
use fasttunnel_engine::wire::head::{Head, HeadLimits};
use fasttunnel_engine::wire::method::Method;
use fasttunnel_engine::wire::request_line::RequestLine;
use fasttunnel_engine::wire::target::path_of_target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for ignore_fragment in [false, true] {
        let limits = HeadLimits { ignore_fragment, ..HeadLimits::default() };
        let alone = path_of_target(Method::Post, data, ignore_fragment).ok();
        let line = [b"POST ", data, b" HTTP/1.1"].concat();
        let on_line = RequestLine::parse(&line, &limits).ok().map(|parsed| parsed.path.of(&line).to_vec());
        assert_eq!(alone.map(<[u8]>::to_vec), on_line, "{}", data.escape_ascii());
        let bytes = [&line[..], b"\r\nHost: h\r\n\r\n"].concat();
        let mut head = Head::default();
        // With a line end in it, the head has another target on its first line, and the rest on others.
        if !data.contains(&b'\n') && head.parse(&bytes, &limits).is_ok() {
            assert_eq!(alone, Some(head.path.of(&bytes)), "{}", data.escape_ascii());
        }
        if let Some(path) = alone {
            assert_eq!(Some(path), slow_path(data, ignore_fragment), "{}", data.escape_ascii());
        }
    }
    let base = BasePath::default();
    let destination = Destination::of(&base, data);
    let mut decoded = Vec::new();
    let route = path_of_target(Method::Post, data, true)
        .ok()
        .map(|path| base.route(if path.is_empty() { b"/" } else { path }, &mut decoded));
    let agrees = match destination {
        Destination::Task => matches!(route, Some(Route::Task(_))),
        Destination::Event => matches!(route, Some(Route::Event(_))),
        Destination::Discovery => route == Some(Route::Discovery),
        Destination::NoTarget => matches!(route, Some(Route::NoTarget | Route::Refused)),
        Destination::Malformed => {
            matches!(route, None | Some(Route::Malformed)) && data.windows(9).any(|bytes| bytes == b"/__runner")
        }
        Destination::Outside => matches!(route, None | Some(Route::Outside | Route::Malformed)),
    };
    assert!(agrees, "{}: {destination:?} but {route:?}", data.escape_ascii());
});

/// The path of a target that is known to have one.
fn slow_path(target: &[u8], ignore_fragment: bool) -> Option<&[u8]> {
    let text = std::str::from_utf8(target).ok()?;
    let text = if ignore_fragment { text.split('#').next()? } else { text };
    let text = text.split('?').next()?;
    if text.starts_with('/') {
        return Some(text.as_bytes());
    }
    let (scheme, rest) = text.split_once("://")?;
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return None;
    }
    Some(rest.find('/').map_or(&b""[..], |at| &rest.as_bytes()[at..]))
}
