//! Answers that come in pieces: every byte, in order, delimited as the client expects, or visibly broken off.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::io::ErrorKind;

use fasttunnel_engine::limits::{ANSWER_FIRST_BYTES, ANSWER_WINDOW_BYTES};
use fasttunnel_engine::link::batch::{CallKey, Outcome, RawAnswer, StreamHead};
use support::host::{TestHost, head, hosted};
use support::{DriverChoice, call, eventually, ms, octets, pattern};

const MIB: usize = 1024 * 1024;

fn an_answer_of_unknown_length_is_chunked(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.answer(|answers| {
        answers.push_raw(key, head(206, None), |_| {});
        for piece in ["one", "", "three"] {
            answers.push_raw(key, Outcome::Data, |raw| raw.extend_from_slice(piece.as_bytes()));
        }
        answers.push(key, Outcome::End, b"");
    });
    let reply = client.head();
    assert_eq!(reply.status, 206);
    assert_eq!(reply.field("transfer-encoding"), Some("chunked"));
    assert_eq!(reply.field("content-length"), None);
    assert_eq!(reply.field("connection"), Some("keep-alive"));
    assert_eq!(client.chunks().unwrap(), [b"one".to_vec(), b"three".to_vec()]);
    host.expect_nothing_of(key);
    host.expect_usable(&mut client);
    assert_eq!(server.sum(|shard| shard.streamed_answers), 1);
}

fn a_long_answer_arrives_byte_for_byte(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let body = pattern(9 * MIB + 5);
    let pieces: Vec<_> = body.chunks(100_000).collect();
    let mut client = server.client();
    for length in [None, Some(body.len() as u64)] {
        client.send(call("echo", "1"));
        let (key, _) = host.call();
        host.say(key, head(200, length), b"");
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let reply = client.head();
                match length {
                    None => client.chunks().unwrap().concat(),
                    Some(length) => {
                        assert_eq!(reply.field("content-length"), Some(&*length.to_string()));
                        client.take(length as usize)
                    }
                }
            });
            host.stream(key, &pieces);
            host.say(key, Outcome::End, b"");
            assert!(reader.join().unwrap() == body);
        });
    }
}

/// The call of a task by an HTTP/1.0 client.
fn old_call(lines: &str) -> String {
    format!("POST /__runner/task/echo HTTP/1.0\r\n{lines}content-length: 1\r\n\r\n1")
}

fn an_old_client_gets_the_body_until_the_connection_ends(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    for lines in ["", "connection: keep-alive\r\n"] {
        let mut client = server.client();
        // The second call is run, but nobody can be told its answer.
        client.send(old_call(lines).repeat(if lines.is_empty() { 1 } else { 2 }));
        let (key, _) = host.call();
        host.say(key, head(200, None), b"");
        host.stream(key, &[&pattern(100_000)]);
        if !lines.is_empty() {
            let (second, _) = host.call();
            host.gone(second);
        }
        host.say(key, Outcome::End, b"");
        let reply = client.head();
        assert!(reply.closes() && reply.field("transfer-encoding").is_none(), "{reply:?}");
        assert_eq!(reply.field("content-length"), None);
        let (bytes, error) = client.until_end();
        assert!(bytes == pattern(100_000) && error.is_none(), "{error:?}");
    }
    // With a length the connection may be kept.
    let mut client = server.client();
    client.send(old_call("connection: keep-alive\r\n"));
    let (key, _) = host.call();
    host.answer(|answers| {
        answers.push_raw(key, head(200, Some(2)), |_| {});
        answers.push_raw(key, Outcome::Data, |raw| raw.extend_from_slice(b"ok"));
        answers.push(key, Outcome::End, b"");
    });
    let reply = client.reply();
    assert_eq!((&*reply.body, reply.closes()), ("ok", false));
    client.send(old_call(""));
    let (key, _) = host.call();
    host.say(key, Outcome::Result, b"1");
    assert_eq!(client.reply().result(), "1");
}

fn a_cut_is_seen_whatever_delimits_the_body(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    for (request, length) in [(call("echo", "1"), None), (call("echo", "1"), Some(10)), (old_call(""), None)] {
        let old = request.contains("HTTP/1.0");
        let mut client = server.client();
        client.send(&request);
        let (key, _) = host.call();
        host.say(key, head(200, length), b"");
        host.say(key, Outcome::Data, b"begun");
        client.head();
        client.take(5);
        host.say(key, Outcome::Cut, b"");
        let (bytes, error) = client.until_end();
        if old {
            // A FIN would be the proper end of this body.
            assert_eq!(error, Some(ErrorKind::ConnectionReset));
        } else {
            assert!(!bytes.ends_with(b"0\r\n\r\n") && error.is_none(), "{bytes:?} {error:?}");
        }
        host.expect_nothing_of(key);
    }
    assert_eq!(server.sum(|shard| shard.cut_answers), 3);
    assert_eq!(server.sum(|shard| shard.host_errors), 0);
    eventually("all are over", || server.sum(|shard| shard.connections) == 0);
}

fn what_was_sent_before_a_cut_arrives(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    client.send(call("echo", "1").repeat(2));
    let ((key, _), (behind, _)) = (host.call(), host.call());
    host.say(key, head(200, Some(1000)), b"");
    host.stream(key, &[&pattern(999)]);
    host.say(key, Outcome::Cut, b"");
    client.head();
    assert_eq!(client.until_end(), (pattern(999), None));
    host.gone(behind);
}

fn the_promised_length_is_kept(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    // Too few.
    let mut client = server.client();
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.say(key, head(200, Some(10)), b"");
    host.say(key, Outcome::Data, b"short");
    host.say(key, Outcome::End, b"");
    assert_eq!(client.head().field("content-length"), Some("10"));
    assert_eq!(client.until_end().0, b"short");
    // Too many: the client does not get the last byte of what it was promised, and notices.
    let mut client = server.client();
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.say(key, head(200, Some(5)), b"");
    host.say(key, Outcome::Data, b"long enough");
    host.say(key, Outcome::Data, b"and more");
    host.gone(key);
    assert_eq!(client.head().field("content-length"), Some("5"));
    assert_eq!(client.until_end(), (b"long".to_vec(), None));
    eventually("the rest is dropped", || server.sum(|shard| shard.dropped) == 1);
    assert_eq!(server.sum(|shard| shard.cut_answers), 2);
}

fn answers_leave_in_the_order_of_their_requests(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    client.send(call("echo", "1").repeat(4));
    let keys: Vec<_> = (0..4).map(|_| host.call().0).collect();
    let first = ANSWER_FIRST_BYTES as usize;
    // Backwards; nobody is granted more than what may be sent unasked.
    host.say(keys[3], Outcome::Result, b"4");
    host.say(keys[2], head(200, Some(6)), b"");
    host.say(keys[2], Outcome::Data, b"third!");
    host.say(keys[2], Outcome::End, b"");
    host.say(keys[1], head(200, None), b"");
    host.say(keys[1], Outcome::Data, &pattern(first));
    assert_eq!(host.try_grant(keys[1], ms(150)), None);
    client.expect_silence(ms(50));
    host.say(keys[0], head(200, None), b"");
    assert_eq!(host.grant(keys[0]), ANSWER_WINDOW_BYTES - ANSWER_FIRST_BYTES);
    host.say(keys[0], Outcome::Data, b"first");
    client.head();
    assert_eq!(client.take(10), b"5\r\nfirst\r\n");
    // One more piece of the second must not get in between.
    host.say(keys[1], Outcome::Data, b"x");
    client.expect_silence(ms(50));
    host.say(keys[0], Outcome::End, b"");
    assert_eq!(client.take(5), b"0\r\n\r\n");
    // Its turn: the window, of which so much is used up.
    assert_eq!(host.grant(keys[1]), ANSWER_WINDOW_BYTES - ANSWER_FIRST_BYTES);
    client.head();
    host.say(keys[1], Outcome::Data, &pattern(100_000));
    host.say(keys[1], Outcome::End, b"");
    assert_eq!(client.chunks().unwrap(), [pattern(first), b"x".to_vec(), pattern(100_000)]);
    assert_eq!(client.reply().body, "third!");
    assert_eq!(client.reply().result(), "4");
    assert_eq!(server.sum(|shard| shard.host_errors), 0);
}

fn a_cut_out_of_turn_waits_for_its_turn(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    client.send(call("echo", "1").repeat(3));
    let keys: Vec<_> = (0..3).map(|_| host.call().0).collect();
    host.say(keys[1], head(200, None), b"");
    host.say(keys[1], Outcome::Data, b"begun");
    host.say(keys[1], Outcome::Cut, b"");
    host.gone(keys[2]);
    client.expect_silence(ms(50));
    host.say(keys[0], Outcome::Result, b"1");
    assert_eq!(client.reply().result(), "1");
    client.expect_fin();
}

/// Sends as much as is granted, until nothing is: what the kernels buffer, and the window. How much it was.
fn fill(host: &TestHost, key: CallKey, credit: u32) -> u64 {
    let (mut credit, mut sent) = (credit, 0);
    loop {
        host.say(key, Outcome::Data, &vec![b'x'; credit as usize]);
        sent += u64::from(credit);
        match host.try_grant(key, ms(100)) {
            Some(grant) => credit = grant,
            None => return sent,
        }
    }
}

fn a_slow_client_stops_the_host_and_is_cut_when_it_stops(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |config| config.limits.write_timeout_ms = 400);
    let mut client = server.client();
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.say(key, head(200, None), b"");
    let sent = fill(&host, key, ANSWER_FIRST_BYTES);
    assert!((u64::from(ANSWER_WINDOW_BYTES)..20 * MIB as u64).contains(&sent), "{sent}");
    // The client reads on, and the host may.
    client.read_ahead(sent as usize / 2);
    fill(&host, key, host.grant(key));
    host.gone(key);
    client.head();
    assert!(client.chunks().is_err());
    eventually("it is over", || server.sum(|shard| shard.connections) == 0);
}

fn an_answer_without_content_has_none(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    for (status, length) in [(204, None), (304, Some(100_000))] {
        client.send(call("echo", "1"));
        let (key, _) = host.call();
        host.say(key, head(status, length), b"");
        host.stream(key, &[&pattern(ANSWER_WINDOW_BYTES as usize * 2)]);
        host.say(key, Outcome::End, b"");
        let reply = client.head();
        assert_eq!(reply.status, status);
        assert!(reply.field("content-length").is_none() && reply.field("transfer-encoding").is_none());
    }
    host.expect_usable(&mut client);
    assert_eq!(server.sum(|shard| shard.cut_answers), 0);
}

fn a_host_that_breaks_the_rules_harms_only_that_call(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    // Before the head: a 500, and the connection goes on.
    for (outcome, bytes) in [
        (Outcome::Data, &b"piece"[..]),
        (Outcome::End, b""),
        (Outcome::Cut, b""),
        (head(99, None), b""),
        (head(600, Some(1)), b""),
        (Outcome::Open(too_long_head()), b"short"),
    ] {
        client.send(call("echo", "1"));
        let (key, _) = host.call();
        host.say(key, outcome, bytes);
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (500, false), "{outcome:?}");
        host.gone(key);
        host.say(key, outcome, bytes);
    }
    eventually("all are counted", || server.sum(|shard| shard.host_errors) == 6);
    eventually("what is late is dropped", || server.sum(|shard| shard.dropped) == 6);
    // Behind it: a cut.
    for outcome in [head(200, None), Outcome::Result, Outcome::InternalError, Outcome::TimedOut] {
        let mut client = server.client();
        client.send(call("echo", "1"));
        let (key, _) = host.call();
        host.say(key, head(200, None), b"");
        host.say(key, Outcome::Data, b"x");
        client.head();
        host.say(key, outcome, b"");
        assert!(client.chunks().is_err(), "{outcome:?}");
        host.gone(key);
    }
    assert_eq!(server.sum(|shard| shard.host_errors), 10);
    // Behind the end, of calls that never were, and about bodies that nobody sends: nothing.
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.say(key, Outcome::Credit(u32::MAX), b"");
    host.say(key, Outcome::Discard, b"");
    host.say(key, head(200, Some(1)), b"");
    host.say(key, Outcome::Data, b"1");
    host.say(key, Outcome::End, b"");
    for slot in [key.slot, 77, u32::MAX] {
        for outcome in [Outcome::Data, Outcome::End, Outcome::Cut, Outcome::Credit(1), Outcome::Discard] {
            host.say(CallKey { slot, ..key }, outcome, b"");
        }
    }
    assert_eq!(client.reply().body, "1");
    host.expect_usable(&mut client);
    assert_eq!(server.sum(|shard| shard.host_errors), 10);
}

fn too_long_head() -> StreamHead {
    let head = RawAnswer { status: 200, reason_len: 3, lines_len: 100, cors: true, security: true };
    StreamHead { head, length: None }
}

fn the_time_of_a_handler_ends_with_the_head(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |config| config.limits.handler_timeout_ms = 300);
    let mut client = server.client();
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.say(key, head(200, None), b"");
    client.head();
    client.expect_silence(ms(700));
    host.say(key, Outcome::End, b"");
    assert!(client.chunks().unwrap().is_empty());
    // Without one there is a 504, also for a call that still reads its body.
    client.send(octets("echo", "content-length: 3\r\n"));
    let key = host.stream_call();
    assert_eq!(client.reply().status, 504);
    host.gone(key);
    client.send("abc");
    host.expect_usable(&mut client);
}

fn leaving_is_told_once_whatever_the_answer_is_at(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |_| {});
    for request in [call("echo", "1"), old_call("")] {
        for blocked in [false, true] {
            for resets in [true, false] {
                let mut client = server.client();
                client.send(&request);
                let (key, _) = host.call();
                host.say(key, head(200, None), b"");
                client.head();
                if blocked {
                    fill(&host, key, ANSWER_FIRST_BYTES);
                    if !request.contains("HTTP/1.0") {
                        // One more may make the reader wait for room.
                        client.send(call("echo", "1"));
                        std::thread::sleep(ms(20));
                    }
                }
                if resets {
                    client.reset();
                    host.gone(key);
                } else {
                    client.finish_sending();
                    host.gone(key);
                    client.until_end();
                }
                eventually("the connection is over", || server.sum(|shard| shard.connections) == 0);
                assert_eq!(server.sum(|shard| shard.in_flight), 0);
                host.forget();
            }
        }
    }
}

fn a_reader_without_room_hears_of_a_client_that_leaves(driver: DriverChoice) {
    let (server, host) = hosted(driver, &["echo"], |config| config.limits.max_pipelined = 2);
    for resets in [true, false] {
        let mut client = server.client();
        client.send(call("echo", "1").repeat(5));
        let (first, second) = (host.call().0, host.call().0);
        std::thread::sleep(ms(50));
        if resets {
            client.reset();
        } else {
            client.finish_sending();
        }
        host.gone(first);
        host.gone(second);
        eventually("the connection is over", || server.sum(|shard| shard.connections) == 0);
    }
}

fn a_stop_waits_for_an_answer(driver: DriverChoice) {
    let (mut server, host) = hosted(driver, &["echo"], |_| {});
    let mut client = server.client();
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.say(key, head(200, None), b"");
    client.head();
    server.engine().stop(ms(5000));
    client.expect_silence(ms(250));
    let body = pattern(MIB);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| client.chunks().unwrap().concat());
        host.stream(key, &[&body]);
        host.say(key, Outcome::End, b"");
        assert!(reader.join().unwrap() == body);
    });
    client.expect_fin();
    drop(client);
    server.join();
}

fn the_end_of_the_drain_time_cuts_an_answer(driver: DriverChoice) {
    let (mut server, host) = hosted(driver, &["echo"], |_| {});
    let (mut client, mut old) = (server.client(), server.client());
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.say(key, head(200, None), b"");
    old.send(old_call(""));
    let (other, _) = host.call();
    host.say(other, head(200, None), b"");
    client.head();
    old.head();
    server.engine().stop(ms(200));
    host.gone(key);
    host.gone(other);
    assert!(client.chunks().is_err());
    assert_eq!(old.until_end().1, Some(ErrorKind::ConnectionReset));
    server.join();
}

on_both_drivers!(
    an_answer_of_unknown_length_is_chunked,
    a_long_answer_arrives_byte_for_byte,
    an_old_client_gets_the_body_until_the_connection_ends,
    a_cut_is_seen_whatever_delimits_the_body,
    what_was_sent_before_a_cut_arrives,
    the_promised_length_is_kept,
    answers_leave_in_the_order_of_their_requests,
    a_cut_out_of_turn_waits_for_its_turn,
    a_slow_client_stops_the_host_and_is_cut_when_it_stops,
    an_answer_without_content_has_none,
    a_host_that_breaks_the_rules_harms_only_that_call,
    the_time_of_a_handler_ends_with_the_head,
    leaving_is_told_once_whatever_the_answer_is_at,
    a_reader_without_room_hears_of_a_client_that_leaves,
    a_stop_waits_for_an_answer,
    the_end_of_the_drain_time_cuts_an_answer,
);
