//! Any names and values as the head of an application's answer: what is written reads back as one head with the lines
//! that were allowed, or is refused.
#![no_main]

use fasttunnel_engine::wire::answer_body::AnswerFraming;
use fasttunnel_engine::wire::date::HttpDate;
use fasttunnel_engine::wire::raw_reply::{RawReply, is_final_status, put_line};
use fasttunnel_engine::wire::reply::Connection;

const OWN: &[u8] = b"x-runner-request-id: a\r\nVary: Origin\r\nAccess-Control-Allow-Origin: *\r\n";

// Status (two bytes), flags, then name NUL value NUL name NUL value ...
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [high, low, flags, rest @ ..] = data else { return };
    let status = u16::from_be_bytes([*high, *low]) % 700;
    if !is_final_status(status) {
        return;
    }
    let (mut lines, mut given) = (Vec::new(), Vec::new());
    let mut texts = rest.split(|byte| *byte == 0);
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        let before = lines.clone();
        match put_line(&mut lines, name, value) {
            Ok(()) => given.push((name, value)),
            Err(_) => assert_eq!(lines, before),
        }
    }
    let connection = if flags & 1 == 0 { Connection::Close } else { Connection::KeepAlive { hint_s: 5 } };
    let framing = match flags >> 2 & 3 {
        0 | 1 => AnswerFraming::Length(5),
        2 => AnswerFraming::Chunked,
        _ => AnswerFraming::UntilClose,
    };
    let date = HttpDate::from_unix(1_800_000_000);
    let reply = RawReply {
        status,
        reason: b"",
        own: OWN,
        lines: &lines,
        framing,
        security: flags & 2 != 0,
        date: &date,
        connection,
    };
    let mut out = Vec::new();
    reply.encode(&mut out);
    check(&reply, &out, &given);
});

fn check(reply: &RawReply<'_>, out: &[u8], given: &[(&[u8], &[u8])]) {
    let text: String = out.iter().map(|byte| char::from(*byte)).collect();
    let head = text.strip_suffix("\r\n\r\n").expect("ends with an empty line");
    assert!(!head.contains("\r\n\r\n") && !head.replace("\r\n", "").contains(['\r', '\n', '\0']), "{head}");
    let mut lines = head.split("\r\n");
    assert!(lines.next().is_some_and(|line| line.starts_with(&format!("HTTP/1.1 {} ", reply.status))));
    let lines: Vec<(String, &str)> = lines
        .map(|line| line.split_once(": ").map(|(n, v)| (n.to_ascii_lowercase(), v)).expect("name: value"))
        .collect();
    let count = |name: &str| lines.iter().filter(|(known, _)| known == name).count();
    assert_eq!(count("connection"), 1);
    let framed_by = |framing| usize::from(reply.has_body() && reply.framing == framing);
    assert_eq!(count("transfer-encoding"), framed_by(AnswerFraming::Chunked));
    assert_eq!(count("content-length"), framed_by(AnswerFraming::Length(5)));
    assert_eq!(count("x-runner-request-id").max(1), 1.max(sent(given, b"x-runner-request-id")));
    assert!(count("date") >= 1);
    if reply.security {
        assert_eq!((count("x-frame-options"), count("x-content-type-options")), (1, 1));
    }
    for (name, _) in &lines {
        let ours =
            ["x-runner-request-id", "vary", "access-control-allow-origin", "content-length", "date", "connection"];
        let known = ours.contains(&name.as_str())
            || ["keep-alive", "transfer-encoding", "x-frame-options", "x-content-type-options"]
                .contains(&name.as_str());
        assert!(known || sent(given, name.as_bytes()) > 0, "{name} was never given");
    }
}

fn sent(given: &[(&[u8], &[u8])], name: &[u8]) -> usize {
    given.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count()
}
