//! Bodies that a call reads as they come: every byte, in order, within the window, whatever becomes of the call.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fasttunnel_engine::limits::{BODY_WINDOW_BYTES, FRAME_BYTES, HOST_QUEUE_BATCHES, MAX_BATCH_BYTES};
use fasttunnel_engine::link::batch::{FrameKind, Outcome};
use support::host::{Told, head, hosted};
use support::{DriverChoice, Server, call, eventually, ms, octets, pattern, request};

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
    send_within(client, bytes, ms(300))
}

fn send_within(client: &support::Client, bytes: &[u8], time: Duration) -> usize {
    let mut stream = client.tcp_stream();
    stream.set_write_timeout(Some(time)).unwrap();
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

fn the_rest_of_a_body_is_drained_after_an_early_answer(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    for (lines, rest) in [
        ("content-length: 50000\r\n", vec![b'x'; 49_998]),
        ("transfer-encoding: chunked\r\n", b"\r\n3\r\nabc\r\n0\r\n\r\n".to_vec()),
    ] {
        client.send(octets("echo", lines));
        client.send(if lines.starts_with('c') { "xx" } else { "2\r\nxx" });
        let key = host.stream_call();
        assert_eq!(host.frame(key).1, b"xx");
        host.say(key, Outcome::Result, b"1");
        let reply = client.reply();
        assert_eq!((reply.result(), reply.closes()), ("1", false));
        client.send(&rest);
        host.expect_nothing_of(key);
    }
    // The connection is in step.
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.say(key, Outcome::Result, b"2");
    assert_eq!(client.reply().result(), "2");
}

fn an_early_answer_to_a_large_body_keeps_the_connection(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    for closed_window in [false, true] {
        let mut client = server.client();
        client.send(octets("echo", &format!("content-length: {}\r\n", 20 * MIB)));
        let sent = if closed_window { send_until_blocked(&client, &vec![b'x'; 20 * MIB]) } else { 0 };
        let key = host.stream_call();
        host.say(key, Outcome::Result, b"1");
        // A client that sends everything before it reads finds the answer all the same.
        client.send(vec![b'x'; 20 * MIB - sent]);
        let reply = client.reply();
        assert_eq!((reply.result(), reply.closes()), ("1", false), "{closed_window}");
        host.forget();
        client.send(call("echo", "2"));
        let (next, _) = host.call();
        host.say(next, Outcome::Result, b"3");
        assert_eq!(client.reply().result(), "3");
    }
}

fn an_early_answer_to_a_huge_body_ends_the_connection(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |config| config.limits.max_discarded_bytes = 64 * 1024);
    let mut client = server.client();
    client.send(octets("echo", &format!("content-length: {}\r\n", 6 * MIB)));
    let key = host.stream_call();
    host.say(key, Outcome::Result, b"1");
    let reply = client.reply();
    assert_eq!((reply.result(), reply.closes()), ("1", true));
    client.expect_fin();
    // A chunked body does not say how long it is: the end comes when too much was drained.
    let mut client = server.client();
    client.send(octets("echo", "transfer-encoding: chunked\r\n"));
    let key = host.stream_call();
    host.say(key, Outcome::Result, b"1");
    assert!(!client.reply().closes());
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    for _ in 0..8 {
        if client.try_send(&chunk).is_err() {
            break;
        }
    }
    client.expect_end();
}

fn a_body_that_nobody_wants_is_thrown_away_before_the_answer(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    // So much that the window is closed when the host says so.
    let body = pattern(BODY_WINDOW_BYTES as usize + 60_000);
    client.send(octets("echo", &format!("content-length: {}\r\n", body.len())));
    let key = host.stream_call();
    client.send(&body);
    assert_eq!(host.until_silence(key).len(), BODY_WINDOW_BYTES as usize);
    host.say(key, Outcome::Discard, b"");
    client.send(call("echo", "1"));
    let (next, _) = host.call();
    host.expect_nothing_of(key);
    host.say(next, Outcome::Result, b"2");
    host.say(key, Outcome::Result, b"1");
    assert_eq!((client.reply().result(), client.reply().result()), ("1", "2"));
    // More than is thrown away: the answer, whenever it comes, says that it is the last.
    client.send(octets("echo", &format!("content-length: {}\r\n", 2048 * MIB)));
    let key = host.stream_call();
    host.say(key, Outcome::Discard, b"");
    std::thread::sleep(ms(50));
    host.say(key, Outcome::Result, b"3");
    let reply = client.reply();
    assert_eq!((reply.result(), reply.closes()), ("3", true));
}

fn an_answer_may_begin_and_end_before_the_body_has(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    client.send(octets("echo", "transfer-encoding: chunked\r\n"));
    client.send("3\r\nabc\r\n");
    let key = host.stream_call();
    assert_eq!(host.frame(key).1, b"abc");
    host.say(key, head(200, None), b"");
    host.say(key, Outcome::Data, b"ABC");
    assert!(!client.head().closes());
    assert_eq!(client.take(8), b"3\r\nABC\r\n");
    client.send("2\r\nde\r\n");
    assert_eq!(host.frame(key).1, b"de");
    host.say(key, Outcome::Data, b"DE");
    assert_eq!(client.take(7), b"2\r\nDE\r\n");
    client.send("0\r\n\r\n");
    assert_eq!(host.frame(key).0, FrameKind::End);
    host.say(key, Outcome::End, b"");
    assert_eq!(client.take(5), b"0\r\n\r\n");
    // The answer ends first: what follows of the body is drained.
    client.send(octets("echo", "content-length: 1000\r\n"));
    let key = host.stream_call();
    host.say(key, head(200, Some(2)), b"");
    host.say(key, Outcome::Data, b"ok");
    host.say(key, Outcome::End, b"");
    assert!(!client.head().closes());
    assert_eq!(client.take(2), b"ok");
    client.send(vec![b'x'; 1000]);
    client.send(octets("echo", "content-length: 1\r\n"));
    let next = host.stream_call();
    host.expect_nothing_of(key);
    client.send("y");
    assert_eq!(host.body(next), b"y");
    host.say(next, Outcome::Result, b"1");
    assert_eq!(client.reply().result(), "1");
}

fn a_body_whose_framing_breaks_is_given_up(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    for answering in [false, true] {
        let mut client = server.client();
        client.send(octets("echo", "transfer-encoding: chunked\r\n"));
        client.send("3\r\nabc\r\n");
        let key = host.stream_call();
        assert_eq!(host.frame(key).1, b"abc");
        if answering {
            host.say(key, head(200, None), b"");
            client.head();
        }
        client.send("1\r\nd!\r\n");
        host.gone(key);
        if answering {
            // Half an answer cannot become another one.
            assert!(client.chunks().is_err());
        } else {
            let reply = client.reply();
            assert_eq!((reply.status, reply.closes()), (400, true));
            client.expect_end();
        }
        host.say(key, Outcome::Result, b"late");
    }
    assert_eq!(server.sum(|shard| shard.protocol_errors), 2);
    eventually("the late answers", || server.sum(|shard| shard.dropped) == 2);
}

fn a_silent_body_gets_408(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |config| config.limits.body_timeout_ms = 300);
    let mut client = server.client();
    client.send(octets("echo", "content-length: 100\r\n"));
    let key = host.stream_call();
    // Slow is fine, as long as something comes.
    for _ in 0..6 {
        std::thread::sleep(ms(150));
        client.send("x");
    }
    let start = std::time::Instant::now();
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (408, true));
    assert!(start.elapsed() > ms(200) && start.elapsed() < ms(800), "{:?}", start.elapsed());
    client.expect_fin();
    host.gone(key);
    // Behind a slow call it is said once, too.
    let mut client = server.client();
    client.send(format!("{}{}", call("echo", "1"), octets("echo", "content-length: 100\r\n")));
    let (slow, _) = host.call();
    let key = host.stream_call();
    host.gone(key);
    client.expect_silence(ms(700));
    host.say(slow, Outcome::Result, b"1");
    assert_eq!(client.reply().result(), "1");
    assert_eq!(client.reply().status, 408);
    client.expect_fin();
    // With an answer under way there is no other: the connection is cut.
    let mut client = server.client();
    client.send(octets("echo", "content-length: 100\r\n"));
    let key = host.stream_call();
    host.say(key, head(200, None), b"");
    client.head();
    assert!(client.chunks().is_err());
    host.gone(key);
}

fn the_client_is_told_to_send(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    client.send(octets("echo", "content-length: 3\r\nexpect: 100-continue\r\n"));
    let key = host.stream_call();
    assert_eq!(client.head().status, 100);
    client.send("abc");
    assert_eq!(host.body(key), b"abc");
    host.say(key, Outcome::Result, b"1");
    assert_eq!(client.reply().result(), "1");
}

fn clients_of_old_and_those_that_close_are_served(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    for (version, lines, closes) in
        [("1.0", "", true), ("1.0", "connection: keep-alive\r\n", false), ("1.1", "connection: close\r\n", true)]
    {
        let mut client = server.client();
        let text =
            octets("echo", &format!("{lines}content-length: 3\r\n")).replace("HTTP/1.1", &format!("HTTP/{version}"));
        client.send(&text);
        let key = host.stream_call();
        client.send("abc");
        assert_eq!(host.body(key), b"abc");
        host.say(key, Outcome::Result, b"1");
        let reply = client.reply();
        assert_eq!((reply.result(), reply.closes()), ("1", closes));
        if closes {
            client.expect_fin();
        }
    }
    // Answered before the body is there, and the client has said that this is its last request.
    let mut client = server.client();
    client.send(octets("echo", "connection: close\r\ncontent-length: 3\r\n"));
    let key = host.stream_call();
    host.say(key, Outcome::Result, b"1");
    assert!(client.reply().closes());
    client.send("abc");
    client.expect_fin();
}

fn only_tasks_of_hosts_that_take_frames_stream(driver: DriverChoice) {
    let server = Server::start(driver);
    let mut client = server.client();
    for content_type in ["application/octet-stream", "multipart/form-data; boundary=b"] {
        let text = request("POST", "/__runner/task/echo", &format!("content-type: {content_type}\r\n"), "abc");
        assert_eq!(client.ask(text).status, 415);
    }
    let text = request("POST", "/__runner/event/notify", "content-type: application/octet-stream\r\n", "{}");
    assert_eq!(client.ask(text).status, 200);
}

fn leaving_is_told_once_whatever_the_body_is_at(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let window = BODY_WINDOW_BYTES as usize;
    // Bytes that the client sends before it leaves: none, some, so many that the window closes, and a few more; not so
    // many that its FIN would have to wait for room in the kernel, where nobody can see it.
    for sent in [0, 1000, window, window + 5000] {
        for answering in [false, true] {
            for resets in [true, false] {
                let context = format!("{sent} bytes, answering {answering}, resets {resets}");
                let mut client = server.client();
                client.send(octets("echo", &format!("content-length: {}\r\n", window + 200_000)));
                client.send(vec![b'x'; sent]);
                let key = host.stream_call();
                let mut seen = 0;
                while seen < sent.min(window) {
                    seen += host.frame(key).1.len();
                }
                if answering {
                    host.say(key, head(200, None), b"");
                    assert_eq!(client.head().status, 200, "{context}");
                }
                if resets {
                    client.reset();
                    host.gone(key);
                } else {
                    client.finish_sending();
                    host.gone(key);
                    let (bytes, _) = client.until_end();
                    let refused = bytes.starts_with(b"HTTP/1.1 400");
                    // With the window closed nobody knows what the client has sent: it counts as any that has left.
                    assert_eq!(refused, !answering && sent < window, "{context}");
                }
                eventually("the connection is over", || server.sum(|shard| shard.connections) == 0);
                assert_eq!(server.sum(|shard| shard.in_flight), 0, "{context}");
            }
        }
    }
}

fn a_stop_waits_for_a_body(driver: DriverChoice) {
    let (mut server, host) = hosted(driver, &["echo"], |_| {});
    let (mut open, mut held) = (server.client(), server.client());
    let window = BODY_WINDOW_BYTES as usize;
    open.send(octets("echo", "content-length: 10\r\n"));
    let first = host.stream_call();
    held.send(octets("echo", &format!("content-length: {}\r\n", window + 1)));
    held.send(vec![b'x'; window + 1]);
    let second = host.stream_call();
    assert_eq!(host.until_silence(second).len(), window);
    server.engine().stop(ms(5000));
    std::thread::sleep(ms(250));
    open.send("0123456789");
    assert_eq!(host.body(first), b"0123456789");
    host.say(first, Outcome::Result, b"1");
    assert!(open.reply().closes());
    open.expect_fin();
    host.say(second, Outcome::Credit(1), b"");
    assert_eq!(host.body(second), b"x");
    host.say(second, Outcome::Result, b"2");
    assert!(held.reply().closes());
    held.expect_fin();
    drop((open, held));
    server.join();
}

fn the_end_of_the_drain_time_cuts_a_body(driver: DriverChoice) {
    let (mut server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    client.send(octets("echo", "content-length: 10\r\n"));
    let key = host.stream_call();
    server.engine().stop(ms(300));
    host.gone(key);
    client.expect_end();
    server.join();
}

/// A host that takes nothing: what is held for it is bounded, and nothing is lost.
fn a_host_that_takes_nothing_stops_all_bodies(driver: DriverChoice) {
    const BODIES: usize = 800;
    let (server, host) = hosted(driver, &["echo"], |_| {});
    host.deaf.store(true, Ordering::Relaxed);
    std::thread::sleep(ms(50));
    // As many batches as the link holds: what follows gathers in the open one.
    let mut fillers = Vec::new();
    while server.sum(|shard| shard.batches) < HOST_QUEUE_BATCHES as u64 {
        let mut client = server.client();
        client.send(call("echo", "1"));
        fillers.push(client);
        eventually("its call", || server.sum(|shard| shard.requests) == fillers.len() as u64);
    }
    let full = server.sum(|shard| shard.batches);
    let body = pattern(BODY_WINDOW_BYTES as usize);
    let mut clients: Vec<_> = (0..BODIES).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(octets("echo", &format!("content-length: {}\r\n", body.len())));
    }
    let sent: Vec<_> = clients.iter().map(|client| send_within(client, &body, ms(5))).collect();
    std::thread::sleep(ms(300));
    assert_eq!(server.sum(|shard| shard.batches), full, "the link is full");
    host.deaf.store(false, Ordering::Relaxed);
    let mut bodies = HashMap::<_, Vec<u8>>::new();
    let mut ends = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (client, sent) in clients.iter_mut().zip(sent) {
                client.send(&body[sent..]);
            }
        });
        while ends < BODIES {
            let (key, kind, bytes) = host.next("more", |told| match told {
                Told::Frame { key, kind, bytes } => Some((*key, *kind, bytes.clone())),
                _ => None,
            });
            if kind == FrameKind::End {
                ends += 1;
                assert!(bodies.remove(&key).unwrap() == body);
            } else {
                host.say(key, Outcome::Credit(bytes.len() as u32), b"");
                bodies.entry(key).or_default().extend_from_slice(&bytes);
            }
        }
    });
    let longest = host.longest_batch.load(Ordering::Relaxed);
    // The last read that went in may have found all but one byte taken.
    assert!((MAX_BATCH_BYTES..MAX_BATCH_BYTES + 200_000).contains(&longest), "{longest}");
}

on_both_drivers!(
    a_host_that_takes_nothing_stops_all_bodies,
    a_body_arrives_byte_for_byte,
    frames_are_bounded_and_a_small_body_is_one,
    a_closed_window_stops_the_client_and_credit_lets_it_go_on,
    the_rest_of_a_body_is_drained_after_an_early_answer,
    an_early_answer_to_a_large_body_keeps_the_connection,
    an_early_answer_to_a_huge_body_ends_the_connection,
    a_body_that_nobody_wants_is_thrown_away_before_the_answer,
    an_answer_may_begin_and_end_before_the_body_has,
    a_body_whose_framing_breaks_is_given_up,
    a_silent_body_gets_408,
    the_client_is_told_to_send,
    clients_of_old_and_those_that_close_are_served,
    only_tasks_of_hosts_that_take_frames_stream,
    leaving_is_told_once_whatever_the_body_is_at,
    a_stop_waits_for_a_body,
    the_end_of_the_drain_time_cuts_a_body,
);
