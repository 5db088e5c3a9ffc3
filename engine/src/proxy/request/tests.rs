#![allow(clippy::unwrap_used)]

use super::*;
use crate::wire::head::HeadLimits;

const OWN: &str = "fasttunnel-1";

fn planned(text: &str, inside: Option<&str>, way: Option<&Route>) -> Result<RequestPlan, Fault> {
    let mut head = Head::default();
    head.parse(text.as_bytes(), &HeadLimits { connect: true, ..HeadLimits::default() }).unwrap();
    let inside = inside.map(|authority| Target::of_authority(Scheme::Http, authority.as_bytes()).unwrap());
    plan(&head, text.as_bytes(), inside.as_ref(), way, OWN)
}

/// The head that is sent on, without its final empty line.
fn sent(text: &str) -> String {
    let mut head = Head::default();
    head.parse(text.as_bytes(), &HeadLimits::default()).unwrap();
    let Ok(RequestPlan::Forward(forward)) = planned(text, None, None) else { panic!("{text}") };
    let mut out = Vec::new();
    write_head(&head, text.as_bytes(), &forward, OWN, &mut out);
    String::from_utf8(out).unwrap().strip_suffix("\r\n").unwrap().to_owned()
}

#[test]
fn the_target_becomes_a_path_and_its_authority_the_host() {
    for (line, host, expected) in [
        ("GET http://a.com/x?y=1", "b.com", "GET /x?y=1 HTTP/1.1\r\nHost: a.com\r\n"),
        ("GET http://a.com", "a.com", "GET / HTTP/1.1\r\nHost: a.com\r\n"),
        ("GET http://a.com?q", "a.com", "GET /?q HTTP/1.1\r\nHost: a.com\r\n"),
        ("GET http://a.com/?", "a.com", "GET /? HTTP/1.1\r\nHost: a.com\r\n"),
        ("GET HTTP://A.com:80/%2e%2E//x", "a", "GET /%2e%2E//x HTTP/1.1\r\nHost: a.com\r\n"),
        ("PATCH http://a.com:8080/", "a", "PATCH / HTTP/1.1\r\nHost: a.com:8080\r\n"),
        ("M-SEARCH http://[::1]:1/", "a", "M-SEARCH / HTTP/1.1\r\nHost: [::1]:1\r\n"),
        ("OPTIONS http://a.com", "a", "OPTIONS * HTTP/1.1\r\nHost: a.com\r\n"),
        ("OPTIONS http://a.com/", "a", "OPTIONS / HTTP/1.1\r\nHost: a.com\r\n"),
        ("OPTIONS http://a.com?q", "a", "OPTIONS /?q HTTP/1.1\r\nHost: a.com\r\n"),
    ] {
        let head = sent(&format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(head, format!("{expected}Via: 1.1 {OWN}\r\n"), "{line}");
    }
}

#[test]
fn what_is_of_this_connection_ends_here_and_the_rest_goes_on_in_order() {
    let head = sent(
        "POST http://a.com/ HTTP/1.1\r\nAccept: 1\r\nHost: evil\r\nConnection: keep-alive, X-Hop, Cookie\r\nProxy-Connection: x\r\n\
         Keep-Alive: 5\r\nTE: gzip\r\nTrailer: X\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nProxy-Authorization: Basic x\r\nX-Hop: 1\r\n\
         Cookie: a\r\nX-Cmux-Port-Internal: 22\r\nx-cmux-host-override: evil\r\nX-CMUX-Workspace-Internal: a\r\nVia: 1.0 b\r\n\
         Content-Length: 3\r\nAccept: 2\r\n\r\n",
    );
    assert_eq!(
        head,
        format!(
            "POST / HTTP/1.1\r\nHost: a.com\r\nAccept: 1\r\nTrailer: X\r\nCookie: a\r\nVia: 1.0 b\r\nContent-Length: 3\r\nAccept: 2\r\nVia: 1.1 {OWN}\r\n"
        )
    );
    let head =
        sent("POST http://a.com/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(
        head,
        format!(
            "POST / HTTP/1.1\r\nHost: a.com\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\nVia: 1.1 {OWN}\r\n"
        )
    );
}

#[test]
fn a_server_is_told_that_trailers_are_understood_when_the_client_says_so() {
    for (version, lines, told) in [
        ("1.1", "TE: gzip;q=0.5, Trailers\r\nConnection: te\r\n", "TE: trailers\r\nConnection: te\r\n"),
        ("1.1", "TE: a\r\nTE: trailers\r\n", "TE: trailers\r\nConnection: te\r\n"),
        (
            "1.1",
            "TE: trailers\r\nConnection: te, upgrade\r\nUpgrade: x\r\n",
            "TE: trailers\r\nUpgrade: x\r\nConnection: upgrade, te\r\n",
        ),
        ("1.1", "TE: gzip\r\nConnection: te\r\n", ""),
        ("1.0", "TE: trailers\r\n", ""),
    ] {
        let head = sent(&format!("GET http://a.com/ HTTP/{version}\r\nHost: a.com\r\n{lines}\r\n"));
        assert_eq!(head, format!("GET / HTTP/1.1\r\nHost: a.com\r\nVia: {version} {OWN}\r\n{told}"), "{lines}");
    }
}

#[test]
fn another_protocol_is_asked_for_only_where_connection_says_so() {
    let upgrade = |lines: &str| sent(&format!("GET http://a.com/ HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
    assert_eq!(
        upgrade("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost: a.com\r\nSec-WebSocket-Key: k\r\nVia: 1.1 {OWN}\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        )
    );
    for lines in [
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade\r\nUpgrade:\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
        // Its requests would go on unread.
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: x , H2C\r\n",
    ] {
        assert!(!upgrade(lines).to_ascii_lowercase().contains("upgrade"), "{lines}");
    }
}

#[test]
fn max_forwards_counts_down_for_two_methods_and_stops_here_at_none() {
    let of = |method: &str, value: &str| {
        planned(&format!("{method} http://a.com/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: {value}\r\n\r\n"), None, None)
    };
    for (method, value, expected) in [
        ("TRACE", "0", Ok(None)),
        ("OPTIONS", "00", Ok(None)),
        ("TRACE", "1", Ok(Some(Some(0)))),
        ("OPTIONS", "99999999999999999999", Ok(Some(Some(u64::MAX - 1)))),
        ("GET", "0", Ok(Some(None))),
        ("TRACE", "-1", Err(Fault::MaxForwards)),
        ("TRACE", "", Err(Fault::MaxForwards)),
        ("TRACE", "1\r\nMax-Forwards: 2", Err(Fault::MaxForwards)),
    ] {
        let decided = of(method, value).map(|plan| match plan {
            RequestPlan::Forward(forward) => Some(forward.max_forwards),
            _ => None,
        });
        assert_eq!(decided, expected, "{method} {value}");
    }
    let head = sent("TRACE http://a.com/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n");
    assert!(head.contains("Max-Forwards: 4\r\n") && head.matches("Max-Forwards").count() == 1, "{head}");
}

#[test]
fn a_request_that_was_here_before_is_refused() {
    for (via, expected) in [
        ("1.1 fasttunnel-1", true),
        ("1.0 a, HTTP/1.1 FASTTUNNEL-1 (x)", true),
        ("1.1 fasttunnel-2", false),
        ("1.1 a (fasttunnel-1)", false),
        ("fasttunnel-1", false),
    ] {
        let text = format!("GET http://a.com/ HTTP/1.1\r\nHost: a\r\nVia: {via}\r\n\r\n");
        assert_eq!(planned(&text, None, None) == Err(Fault::Loop), expected, "{via}");
    }
}

#[test]
fn tunnels_need_a_port_and_those_to_the_own_machine_follow_the_route() {
    let way = Route::new("m", "base", "cmux.app", None).unwrap();
    let connect =
        |authority: &str, way| planned(&format!("CONNECT {authority} HTTP/1.1\r\nHost: x\r\n\r\n"), None, way);
    for authority in ["a.com:443", "[::1]:80", "127.0.0.1:5173"] {
        let Ok(RequestPlan::Tunnel(target)) = connect(authority, None) else { panic!("{authority}") };
        assert_eq!(target.host_and_port(), authority);
    }
    assert!(matches!(connect("a.com:443", Some(&way)), Ok(RequestPlan::Tunnel(_))));
    let Ok(RequestPlan::Intercept(target, routed)) = connect("localhost:5173", Some(&way)) else { panic!() };
    assert_eq!((target.authority(), routed.host), ("localhost:5173".into(), "cmux-m-base-5173.cmux.app".into()));
    assert_eq!(connect("0x7f.1:80", None), Err(Fault::Target));
}

#[test]
fn inside_a_tunnel_requests_are_those_to_a_server_and_outside_those_to_a_proxy() {
    let way = Route::new("m", "base", "cmux.app", None).unwrap();
    let of = |line: &str, inside| planned(&format!("{line} HTTP/1.1\r\nHost: other\r\n\r\n"), inside, Some(&way));
    let Ok(RequestPlan::Forward(forward)) = of("GET /x", Some("localhost:5173")) else { panic!() };
    assert_eq!(forward.routed.host, "cmux-m-base-5173.cmux.app");
    let Ok(RequestPlan::Forward(forward)) = of("OPTIONS *", Some("localhost:5173")) else { panic!() };
    assert!(forward.asterisk);
    let Ok(RequestPlan::Forward(forward)) = of("GET http://LocalHost:5173/x", Some("localhost:5173")) else { panic!() };
    assert_eq!(forward.routed.host, "cmux-m-base-5173.cmux.app");
    for (line, inside) in [
        ("GET /x", None),
        ("GET https://localhost:5173/x", Some("localhost:5173")),
        ("GET http://localhost:5174/x", Some("localhost:5173")),
        ("OPTIONS *", None),
        ("GET http://a.com/", Some("localhost:1")),
        ("CONNECT a.com:443", Some("localhost:1")),
    ] {
        assert_eq!(of(line, inside), Err(Fault::Target), "{line}");
    }
}

#[test]
fn a_request_that_the_route_leads_elsewhere_says_so() {
    let way = Route::new("m", "base", "cmux.app", None).unwrap();
    for (url, way, moved) in [
        ("http://localhost:1/", Some(&way), true),
        ("http://a.com/", Some(&way), false),
        ("http://localhost:1/", None, false),
    ] {
        let plan = planned(&format!("GET {url} HTTP/1.1\r\nHost: x\r\n\r\n"), None, way);
        assert!(matches!(plan, Ok(RequestPlan::Forward(forward)) if forward.routed.moved == moved), "{url}");
    }
}
