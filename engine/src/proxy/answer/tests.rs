#![allow(clippy::unwrap_used)]

use super::*;
use crate::wire::head::HeadLimits;
use crate::wire::method::Method;

const NEW: Reader = Reader { old: false, upgrades: false, last: false, framed: false, moved: false };

fn parsed(text: &str, asked: Method) -> AnswerHead {
    let mut head = AnswerHead::default();
    head.parse(text.as_bytes(), asked, &HeadLimits::default()).unwrap();
    head
}

#[test]
fn over_frames_an_answer_that_is_no_switch_does_not_open_what_was_asked_for() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let framed = |framed| passed(text, Method::Get, Reader { framed, upgrades: true, ..NEW });
    assert_eq!(framed(true), Err(Fault::Upgrade));
    assert!(framed(false).is_ok());
}

/// The head that a client gets, without its final empty line, or why it gets none.
fn passed(text: &str, asked: Method, reader: Reader) -> Result<String, Fault> {
    let head = parsed(text, asked);
    let plan = if head.is_interim() { None } else { Some(plan(&head, reader)?) };
    let mut out = Vec::new();
    let via = format!("1.{} p", head.minor_version);
    write_head(&head, text.as_bytes(), plan, reader, &via, &HttpDate::from_unix(0), &mut out);
    Ok(String::from_utf8(out).unwrap().strip_suffix("\r\n").unwrap().to_owned())
}

const DATE: &str = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

#[test]
fn content_is_delimited_anew_for_the_client() {
    let old = Reader { old: true, ..NEW };
    for (lines, reader, expected) in [
        ("Content-Length: 3\r\n", NEW, format!("Content-Length: 3\r\nVia: 1.1 p\r\n{DATE}")),
        ("Content-Length: 3\r\n", old, format!("Content-Length: 3\r\nVia: 1.1 p\r\n{DATE}Connection: keep-alive\r\n")),
        ("Transfer-Encoding: chunked\r\n", NEW, format!("Via: 1.1 p\r\n{DATE}Transfer-Encoding: chunked\r\n")),
        ("Transfer-Encoding: chunked\r\n", old, format!("Via: 1.1 p\r\n{DATE}Connection: close\r\n")),
        ("", NEW, format!("Via: 1.1 p\r\n{DATE}Transfer-Encoding: chunked\r\n")),
        ("", old, format!("Via: 1.1 p\r\n{DATE}Connection: close\r\n")),
        (
            "Date: x\r\nContent-Length: 0\r\n",
            Reader { last: true, ..NEW },
            "Date: x\r\nContent-Length: 0\r\nVia: 1.1 p\r\nConnection: close\r\n".to_owned(),
        ),
    ] {
        let head = passed(&format!("HTTP/1.1 200 Fine\r\n{lines}\r\n"), Method::Get, reader);
        assert_eq!(head, Ok(format!("HTTP/1.1 200 Fine\r\n{expected}")), "{lines}");
    }
}

#[test]
fn what_has_no_content_is_told_no_more_than_it_may_be() {
    for (status, asked, length) in [(200, Method::Head, true), (304, Method::Get, true), (204, Method::Get, false)] {
        let number = u8::from(status != 204);
        let text = format!("HTTP/1.1 {status} x\r\nContent-Length: {number}\r\nETag: \"a\"\r\n\r\n");
        let head = passed(&text, asked, NEW).unwrap();
        assert_eq!(head.contains("Content-Length"), length, "{head}");
        assert!(!head.contains("Transfer-Encoding") && head.contains("ETag"), "{head}");
    }
    let interim = passed("HTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: close\r\n\r\n", Method::Get, NEW);
    assert_eq!(interim, Ok("HTTP/1.1 103 Early Hints\r\nLink: x\r\nVia: 1.1 p\r\n".to_owned()));
}

#[test]
fn fields_of_the_servers_connection_end_here() {
    let text = "HTTP/1.0 200 \r\nConnection: x-hop, set-cookie\r\nX-Hop: 1\r\nSet-Cookie: a\r\nKeep-Alive: 1\r\nUpgrade: h2c\r\n\
                Proxy-Authenticate: Basic\r\nTE: x\r\nTrailer: x\r\nContent-Length: 0\r\nVia: 1.1 far\r\n\r\n";
    let expected = format!(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nTrailer: x\r\nContent-Length: 0\r\nVia: 1.1 far\r\nVia: 1.0 p\r\n{DATE}"
    );
    assert_eq!(passed(text, Method::Get, NEW), Ok(expected));
}

#[test]
fn another_protocol_begins_only_where_it_was_asked_for() {
    let text = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";
    let upgrades = Reader { upgrades: true, ..NEW };
    assert_eq!(
        passed(text, Method::Get, upgrades).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nVia: 1.1 p\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    );
    assert_eq!(passed(text, Method::Get, NEW), Err(Fault::Upgrade));
    let text =
        "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n";
    assert!(passed(text, Method::Get, upgrades).unwrap().contains("Upgrade: websocket\r\nConnection: upgrade\r\n"));
}

#[test]
fn a_server_cannot_ask_for_the_credentials_of_the_proxy() {
    let text = "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"Cmux Preview Proxy\"\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(passed(text, Method::Get, NEW), Err(Fault::Challenge));
}

#[test]
fn how_a_workspace_is_reached_is_not_said_of_the_own_machine() {
    let text = "HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=63072000\r\nX: 1\r\nstrict-transport-security: max-age=1\r\n\
                Alt-Svc: h3=\":443\"\r\nContent-Length: 0\r\n\r\n";
    let moved = passed(text, Method::Get, Reader { moved: true, ..NEW });
    assert_eq!(moved, Ok(format!("HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 0\r\nVia: 1.1 p\r\n{DATE}")));
    let stayed = passed(text, Method::Get, NEW).unwrap();
    assert!(stayed.contains("max-age=63072000") && stayed.contains("max-age=1\r\n") && stayed.contains("Alt-Svc"));
}
