//! Bodies that a call reads as they come: every byte, in order, within the window, whatever becomes of the call.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use fasttunnel_engine::limits::{BODY_WINDOW_BYTES, FRAME_BYTES};
use fasttunnel_engine::link::batch::{FrameKind, Outcome};
use support::host::hosted;
use support::{DriverChoice, call, ms, octets, pattern};

const MIB: usize = 1024 * 1024;

fn a_body_arrives_byte_for_byte(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let body = pattern(5 * MIB + 77);
    let mut client = server.client();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            client.send(octets("echo", &format!("content-length: {}\r\n", body.len())));
            client.send(&body);
            assert_eq!(client.reply().result(), "1");
            // In chunks of odd sizes, cut into packets elsewhere.
            client.send(octets("echo", "transfer-encoding: chunked\r\n"));
            let mut text = Vec::new();
            let (mut at, mut size) = (0, 1);
            while at < body.len() {
                let end = body.len().min(at + size);
                text.extend_from_slice(format!("{:x};ext=\"{size}\"\r\n", end - at).as_bytes());
                text.extend_from_slice(&body[at..end]);
                text.extend_from_slice(b"\r\n");
                (at, size) = (end, size * 3 % 70_001 + 1);
            }
            text.extend_from_slice(b"0\r\ntrailer: x\r\n\r\n");
            for packet in text.chunks(33_333) {
                client.send(packet);
            }
            assert_eq!(client.reply().result(), "2");
            client.send(octets("echo", "content-length: 0\r\n"));
            assert_eq!(client.reply().result(), "3");
        });
        for (number, expected) in [("1", &body[..]), ("2", &body[..]), ("3", b"")] {
            let key = host.stream_call();
            assert!(host.body(key) == expected, "call {number}");
            host.say(key, Outcome::Result, number.as_bytes());
        }
    });
    assert_eq!(server.sum(|shard| shard.streamed_bodies), 3);
    assert!(server.sum(|shard| shard.frames) >= 10);
}

fn frames_are_bounded_and_a_small_body_is_one(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    client.send(format!("{}abc{}", octets("echo", "content-length: 3\r\n"), call("echo", "1")));
    let key = host.stream_call();
    assert_eq!(host.frame(key), (FrameKind::Data, b"abc".to_vec()));
    assert_eq!(host.frame(key), (FrameKind::End, Vec::new()));
    let (other, _) = host.call();
    host.say(other, Outcome::Result, b"2");
    host.say(key, Outcome::Result, b"1");
    assert_eq!((client.reply().result(), client.reply().result()), ("1", "2"));
    client.send(octets("echo", "content-length: 200000\r\n"));
    let key = host.stream_call();
    client.send(vec![b'x'; 200_000]);
    let mut sum = 0;
    while let (FrameKind::Data, bytes) = host.frame(key) {
        assert!(bytes.len() <= FRAME_BYTES);
        sum += bytes.len();
    }
    assert_eq!(sum, 200_000);
}

/// Sends until the server takes no more, without waiting for ever; how much it was.
fn send_until_blocked(client: &support::Client, bytes: &[u8]) -> usize {
    use std::io::Write;
    let mut stream = client.tcp_stream();
    stream.set_write_timeout(Some(ms(300))).unwrap();
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..bytes.len().min(sent + 16 * 1024)]) {
            Ok(some) => sent += some,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_write_timeout(Some(ms(8000))).unwrap();
    sent
}

fn a_closed_window_stops_the_client_and_credit_lets_it_go_on(driver: DriverChoice) {
    // A silent client would be timed out: not while it is we who do not read.
    let (server, host) = hosted(driver, &["echo"], |config| config.limits.body_timeout_ms = 200);
    let mut client = server.client();
    let body = pattern(24 * MIB);
    client.send(octets("echo", &format!("content-length: {}\r\n", body.len())));
    let key = host.stream_call();
    let sent = send_until_blocked(&client, &body);
    // The window, and what both kernels buffer.
    assert!(sent < 12 * MIB, "{sent}");
    let first = host.until_silence(key);
    assert_eq!(first.len(), BODY_WINDOW_BYTES as usize);
    assert!(first == body[..first.len()]);
    std::thread::sleep(ms(500));
    host.expect_nothing_of(key);
    host.say(key, Outcome::Credit(1000), b"");
    let more = host.until_silence(key);
    assert!(more == body[first.len()..first.len() + 1000]);
    // More than was ever sent does not make the window larger.
    host.say(key, Outcome::Credit(u32::MAX), b"");
    let more = host.until_silence(key);
    assert_eq!(more.len(), BODY_WINDOW_BYTES as usize);
    host.say(key, Outcome::Credit(BODY_WINDOW_BYTES), b"");
    let seen = first.len() + 1000 + more.len();
    std::thread::scope(|scope| {
        scope.spawn(|| client.send(&body[sent..]));
        assert!(host.body(key) == body[seen..]);
        host.say(key, Outcome::Result, b"1");
    });
    assert_eq!(client.reply().result(), "1");
    assert_eq!(server.sum(|shard| shard.protocol_errors), 0);
}

on_both_drivers!(
    a_body_arrives_byte_for_byte,
    frames_are_bounded_and_a_small_body_is_one,
    a_closed_window_stops_the_client_and_credit_lets_it_go_on,
);
