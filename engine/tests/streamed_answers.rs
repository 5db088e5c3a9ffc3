//! Answers that come in pieces: every byte, in order, delimited as the client expects, or visibly broken off.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use fasttunnel_engine::link::batch::Outcome;
use support::host::{head, hosted};
use support::{DriverChoice, call, pattern};

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
    client.send(call("echo", "1"));
    let (key, _) = host.call();
    host.say(key, Outcome::Result, b"1");
    assert_eq!(client.reply().result(), "1");
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

on_both_drivers!(an_answer_of_unknown_length_is_chunked, a_long_answer_arrives_byte_for_byte,);
