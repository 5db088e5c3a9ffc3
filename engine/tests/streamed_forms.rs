//! Multipart forms that a call reads as they come: what the parser finds in them, as frames.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use fasttunnel_engine::limits::BODY_WINDOW_BYTES;
use fasttunnel_engine::link::batch::{CallKey, FrameKind, Outcome, flags};
use fasttunnel_engine::tunnel::multipart::BodyRefusal;
use support::host::{TestHost, hosted};
use support::{DriverChoice, call, ms, pattern};

const MANIFEST: &[u8] = b"--B\r\nContent-Disposition: form-data; name=\"__manifest\"\r\n\r\n{\"input\":1}\r\n";
const FILE: &[u8] = b"--B\r\nContent-Disposition: form-data; name=\"file:F1\"; filename=\"a.bin\"\r\n\r\n";
const IGNORED: &[u8] = b"--B\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nignored\r\n";
const END: &[u8] = b"\r\n--B--\r\n";

fn form(lines: &str) -> String {
    format!(
        "POST /__runner/task/echo HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=B\r\n{lines}\r\n"
    )
}

fn with_length(body: &[u8]) -> Vec<u8> {
    [form(&format!("content-length: {}\r\n", body.len())).as_bytes(), body].concat()
}

#[track_caller]
fn form_call(host: &TestHost) -> CallKey {
    let (key, bits) = host.call();
    assert_eq!(bits, flags::MULTIPART | flags::EMPTY);
    key
}

/// The bytes of the open file, credited as they come, and the frame behind them.
#[track_caller]
fn file(host: &TestHost, key: CallKey) -> (Vec<u8>, FrameKind) {
    let mut file = Vec::new();
    loop {
        match host.frame(key) {
            (FrameKind::Data, bytes) => {
                host.say(key, Outcome::Credit(bytes.len() as u32), b"");
                file.extend_from_slice(&bytes);
            }
            (kind, _) => return (file, kind),
        }
    }
}

fn a_form_is_taken_apart(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let content = pattern(3_000_000);
    let body = [MANIFEST, IGNORED, FILE, &content, END].concat();
    let chunked: Vec<_> = body
        .chunks(99_999)
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
        .chain(*b"0\r\n\r\n")
        .collect();
    let mut client = server.client();
    for text in [with_length(&body), [form("transfer-encoding: chunked\r\n").as_bytes(), &chunked].concat()] {
        std::thread::scope(|scope| {
            scope.spawn(|| text.chunks(70_001).for_each(|packet| client.send(packet)));
            let key = form_call(&host);
            assert_eq!(host.frame(key), (FrameKind::Manifest, b"{\"input\":1}".to_vec()));
            let (kind, head) = host.frame(key);
            assert_eq!(kind, FrameKind::File);
            let head = String::from_utf8(head).unwrap();
            assert_eq!(head, r#"{"name":"file:F1","filename":"a.bin","type":"text/plain"}"#);
            let (bytes, kind) = file(&host, key);
            assert!(bytes == content);
            assert_eq!(kind, FrameKind::FileEnd);
            assert_eq!(host.frame(key).0, FrameKind::End);
            host.say(key, Outcome::Result, b"1");
        });
        assert_eq!(client.reply().result(), "1");
    }
}

fn a_form_without_a_boundary_is_refused_at_once(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    for boundary in ["", "; boundary=", "; charset=x"] {
        client.send(form("content-length: 3\r\n").replace("; boundary=B", boundary));
        client.send("abc");
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (400, false));
        assert!(reply.body.contains("INVALID_MULTIPART"), "{reply:?}");
        assert!(reply.field("x-runner-request-id").is_some());
    }
    host.expect_usable(&mut client);
}

fn a_refused_form_is_thrown_away(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |config| config.limits.multipart.file_bytes = Some(1000));
    let mut client = server.client();
    let cases: [(Vec<u8>, BodyRefusal); 4] = [
        ([MANIFEST, FILE, &pattern(20_000), END].concat(), BodyRefusal::FileSize),
        ([MANIFEST, MANIFEST, END].concat(), BodyRefusal::SecondManifest),
        ([MANIFEST, FILE, b"cut off"].concat(), BodyRefusal::Truncated),
        (b"--B\r\n".to_vec(), BodyRefusal::Malformed),
    ];
    for (body, refusal) in cases {
        client.send(with_length(&body));
        let key = form_call(&host);
        let kind = host.next("a refusal", |told| match told {
            support::host::Told::Frame { key: of, kind, .. }
                if *of == key && matches!(kind, FrameKind::Refused(_) | FrameKind::End) =>
            {
                Some(*kind)
            }
            _ => None,
        });
        assert_eq!(kind, FrameKind::Refused(refusal as u8));
        host.forget();
        host.expect_nothing_of(key);
        host.say(key, Outcome::Failed { status: 413 }, b"{}");
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (413, false), "{refusal:?}");
    }
    // More than is thrown away.
    let length = 10_000_000_000u64;
    client.send(form(&format!("content-length: {length}\r\n")));
    client.send([MANIFEST, FILE, &pattern(2000)].concat());
    let key = form_call(&host);
    host.next("the refusal", |told| match told {
        support::host::Told::Frame { kind: FrameKind::Refused(_), .. } => Some(()),
        _ => None,
    });
    host.say(key, Outcome::Failed { status: 413 }, b"{}");
    assert!(client.reply().closes());
}

/// The end of a form, and a request behind it, may lie beyond the window when the form is refused.
fn nothing_behind_a_refused_form_that_is_the_last_is_run(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let head_end = MANIFEST.iter().position(|byte| *byte == b'{').unwrap();
    let json = MANIFEST.len() - head_end - 2;
    // What is left of the window holds about the second manifest, which is one too many, and no more.
    let content = vec![b'x'; BODY_WINDOW_BYTES as usize - json - (2 + head_end + 2)];
    let behind = [IGNORED.repeat(20), b"--B--\r\n".to_vec()].concat();
    let (first, second) = ([MANIFEST, FILE, &content].concat(), [b"\r\n", MANIFEST, &behind].concat());
    let mut client = server.client();
    client.send(form(&format!("Connection: close\r\ncontent-length: {}\r\n", first.len() + second.len())));
    let key = form_call(&host);
    client.send(&first);
    assert_eq!(host.until_silence(key).len(), content.len());
    client.send([&second[..], call("echo", "1").as_bytes()].concat());
    let reason = host.next("the refusal", |told| match told {
        support::host::Told::Frame { kind: FrameKind::Refused(reason), .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, BodyRefusal::SecondManifest as u8);
    host.say(key, Outcome::Failed { status: 413 }, b"{}");
    assert!(client.reply().closes());
    client.expect_fin();
    assert_eq!(server.sum(|shard| shard.requests), 1);
}

fn a_form_has_to_keep_up_unless_the_window_is_closed(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |config| config.limits.body_timeout_ms = 200);
    let mut client = server.client();
    client.send(form("content-length: 2000000\r\n"));
    client.send([MANIFEST, FILE].concat());
    let key = form_call(&host);
    // The window is as long as the host wants it to be.
    client.send(pattern(BODY_WINDOW_BYTES as usize + 1000));
    std::thread::sleep(ms(700));
    assert_eq!(server.sum(|shard| shard.protocol_errors), 0);
    assert_eq!(host.frame(key).0, FrameKind::Manifest);
    assert_eq!(host.frame(key).0, FrameKind::File);
    host.say(key, Outcome::Credit(BODY_WINDOW_BYTES), b"");
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (408, true));
    host.gone(key);
}

on_both_drivers!(
    a_form_is_taken_apart,
    a_form_without_a_boundary_is_refused_at_once,
    a_refused_form_is_thrown_away,
    nothing_behind_a_refused_form_that_is_the_last_is_run,
    a_form_has_to_keep_up_unless_the_window_is_closed,
);
