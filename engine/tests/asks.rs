//! Requests that a backend is asked about before they are decided, raw answers and notices, over real sockets.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::link::batch::{AnswerBatch, CallBatch, CallKey, Outcome, RawAnswer, flags};
use fasttunnel_engine::link::port::{ShardPort, ToShard};
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::cors::{Cors, CorsOptions, Origin};
use fasttunnel_engine::{Config, Engine};
use support::{Client, DriverChoice, Server, call, eventually, ms, request};

/// Answers calls with their number and writes down questions, which the test answers; or answers them at once.
#[derive(Default)]
struct Asker {
    asked: Mutex<Vec<(CallKey, u32, String, String)>>,
    gone: Mutex<Vec<CallKey>>,
    notices: Mutex<Vec<(u16, String, String, String)>>,
    calls: Mutex<u64>,
    at_once: Option<(bool, &'static [u8])>,
    raw: bool,
    ports: OnceLock<Vec<ShardPort>>,
}

impl Asker {
    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Answers the question of this number.
    fn advise(&self, number: usize, passed: bool, origin: &[u8]) {
        let key = self.asked.lock().unwrap()[number].0;
        self.send(|answers| answers.push_advice(key, passed, origin));
    }

    fn send(&self, fill: impl FnOnce(&mut AnswerBatch)) {
        let mut answers = Box::<AnswerBatch>::default();
        fill(&mut answers);
        self.ports.get().unwrap()[0].send(ToShard::Answers(answers)).unwrap();
    }
}

impl Backend for Asker {
    fn attach(&self, ports: &[ShardPort]) {
        assert!(self.ports.set(ports.to_vec()).is_ok());
    }

    fn submit(&self, _: usize, mut calls: Box<CallBatch>, answers: &mut AnswerBatch) -> Option<Box<CallBatch>> {
        let text =
            |span: fasttunnel_engine::wire::fields::Span| String::from_utf8(span.of(&calls.heads).to_vec()).unwrap();
        for record in &calls.records {
            let bits = record.flags & flags::ASK;
            if bits != 0 {
                assert_eq!(record.body.of(&calls.json), b"null");
                let asked = (record.key, bits, text(record.request_id), text(record.head()));
                self.asked.lock().unwrap().push(asked);
                if let Some((passed, origin)) = self.at_once {
                    answers.push_advice(record.key, passed, origin);
                }
            } else if self.raw {
                let raw = RawAnswer { status: 201, reason_len: 4, lines_len: 8, cors: false, security: false };
                answers.push_raw(record.key, Outcome::Raw(raw), |out| {
                    out.extend_from_slice(b"Fine\x78-a: b\r\n\0\x01body")
                });
            } else {
                let mut number = self.calls.lock().unwrap();
                *number += 1;
                answers.push(record.key, Outcome::Result, number.to_string().as_bytes());
            }
        }
        for notice in &calls.notices {
            let told = (notice.status, text(notice.request_id), text(notice.method), text(notice.path));
            self.notices.lock().unwrap().push(told);
        }
        self.gone.lock().unwrap().extend(&calls.gone);
        calls.reset();
        Some(calls)
    }

    fn stopped(&self, _: usize) {}
}

/// A server that asks `asker` who may pass, and with `cors` which origin it allows as well.
fn asking(driver: DriverChoice, asker: Asker, cors: bool, change: impl FnOnce(&mut Config)) -> (Server, Arc<Asker>) {
    let asker = Arc::new(asker);
    let server = Server::with_backend(driver, &["echo"], asker.clone(), |config| {
        let mut exposure = (*config.exposure).clone();
        let auth = AuthOptions { tokens: Some(vec!["t".into()]), validators: true, ..AuthOptions::default() };
        exposure.auth = AuthConfig::new(auth).unwrap();
        if cors {
            exposure.cors = Cors::new(&CorsOptions { origin: Origin::Asked, ..CorsOptions::default() }).unwrap();
        }
        config.exposure = Arc::new(exposure);
        config.report_refusals = true;
        change(config);
    });
    (server, asker)
}

fn known(body: &str) -> String {
    request("POST", "/__runner/task/echo", "x-runner-token: t\r\n", body)
}

fn a_question_stands_between_head_and_body(driver: DriverChoice) {
    let (server, asker) = asking(driver, Asker::default(), false, |_| {});
    let mut client = server.client();
    client.send("POST /__runner/task/echo?q HTTP/1.1\r\nHost: test\r\nX-A: b\r\ncontent-length: 2\r\n\r\n");
    eventually("it is asked", || asker.asked() == 1);
    let (_, bits, id, head) = asker.asked.lock().unwrap()[0].clone();
    assert_eq!(bits, flags::ASK_AUTH);
    assert_eq!(id.len(), 36);
    assert_eq!(head, "POST /__runner/task/echo?q HTTP/1.1\r\nHost: test\r\nX-A: b\r\ncontent-length: 2\r\n");
    client.send("1");
    client.expect_silence(ms(30));
    asker.advise(0, true, b"");
    client.expect_silence(ms(30));
    client.send("2");
    let reply = client.reply();
    assert_eq!((reply.result(), reply.field("x-runner-request-id")), ("1", Some(&*id)));
    // The word counts for that request only, and whoever has the token is not asked about.
    client.send(call("echo", "1"));
    eventually("it is asked again", || asker.asked() == 2);
    asker.advise(1, false, b"");
    assert_eq!(client.reply().status, 401);
    assert_eq!(client.ask(known("1")).result(), "2");
    assert_eq!((asker.asked(), server.sum(|shard| shard.asks)), (2, 2));
    assert_eq!(server.sum(|shard| shard.requests), 3);
    assert_eq!(server.sum(|shard| shard.in_flight), 0);
}

fn asks_and_calls_are_answered_in_order(driver: DriverChoice) {
    let (server, asker) =
        asking(driver, Asker { at_once: Some((true, b"https://x")), ..Asker::default() }, true, |_| {});
    let bytes: String = (0..40).map(|n| if n % 3 == 0 { known("1") } else { call("echo", "[1,2]") }).collect();
    for step in [bytes.len(), 1000, 61] {
        let mut client = server.client();
        let start = *asker.calls.lock().unwrap();
        for part in bytes.as_bytes().chunks(step) {
            client.send(part);
        }
        for n in 1..=40 {
            let reply = client.reply();
            assert_eq!(reply.result(), (start + n).to_string());
            assert_eq!(reply.field("access-control-allow-origin"), Some("https://x"));
        }
        client.send(request("OPTIONS", "/__runner/task/echo", "", ""));
        let reply = client.reply();
        assert_eq!((reply.status, reply.field("access-control-allow-origin")), (204, Some("https://x")));
        assert_eq!(client.ask(request("GET", "/nowhere", "", "")).field("vary"), Some("Origin"));
    }
}

fn whoever_leaves_is_forgotten(driver: DriverChoice) {
    let (server, asker) = asking(driver, Asker::default(), false, |config| config.limits.max_calls_in_flight = 3);
    let leave: [fn(Client); 3] = [Client::reset, drop, |client| client.finish_sending()];
    for (round, leave) in leave.into_iter().enumerate() {
        let mut clients: Vec<Client> = (0..3).map(|_| server.client()).collect();
        for client in &mut clients {
            client.send(call("echo", "1"));
        }
        eventually("three are asked about", || asker.asked() == 3 * (round + 1));
        let mut late = server.client();
        let refused = late.ask(known("1"));
        assert_eq!((refused.status, refused.field("retry-after")), (503, Some("1")));
        assert_eq!(late.ask(call("echo", "1")).status, 503);
        clients.into_iter().for_each(leave);
        eventually("they are gone", || asker.gone.lock().unwrap().len() == 3 * (round + 1));
        // What comes too late is for nobody, also not for the next one in that place.
        asker.advise(3 * round, true, b"");
        assert_eq!(late.ask(known("1")).status, 200);
        assert_eq!(server.sum(|shard| shard.in_flight), 0);
    }
    eventually("one connection is left at most", || server.sum(|shard| shard.connections) <= 1);
}

fn whoever_waited_too_long_gets_503(driver: DriverChoice) {
    let (server, asker) = asking(driver, Asker::default(), false, |_| {});
    let mut client = server.client();
    client.send(call("echo", "1") + &known("1"));
    eventually("it is asked", || asker.asked() == 1);
    let key = asker.asked.lock().unwrap()[0].0;
    asker.send(|answers| answers.push(key, Outcome::Overloaded, b""));
    let reply = client.reply();
    assert_eq!((reply.status, reply.field("retry-after"), reply.closes()), (503, Some("1"), false));
    // Its body was skipped: the next request is found behind it.
    assert_eq!(client.reply().result(), "1");
    assert_eq!((server.sum(|shard| shard.shed), server.sum(|shard| shard.in_flight)), (1, 0));
    assert!(asker.notices.lock().unwrap().is_empty(), "nobody was refused for want of authentication");
}

fn a_half_closed_client_is_answered_within_the_grace(driver: DriverChoice) {
    let (server, asker) = asking(driver, Asker::default(), false, |_| {});
    let mut client = server.client();
    client.send(format!("{}{}{}", call("echo", "1"), known("1"), call("echo", "1")));
    client.finish_sending();
    eventually("it is asked", || asker.asked() == 1);
    asker.advise(0, true, b"");
    assert_eq!(client.reply().result(), "1");
    assert_eq!(client.reply().result(), "2");
    eventually("it is asked about the third", || asker.asked() == 2);
    asker.advise(1, false, b"");
    assert_eq!(client.reply().status, 401);
    client.expect_fin();
    // Half a body behind the word is no call.
    let mut client = server.client();
    client.send("POST /__runner/task/echo HTTP/1.1\r\nHost: test\r\ncontent-length: 9\r\n\r\n12");
    client.finish_sending();
    eventually("it is asked", || asker.asked() == 3);
    asker.advise(2, true, b"");
    assert_eq!(client.reply().status, 400);
    client.expect_end();
}

fn a_question_may_take_too_long(driver: DriverChoice) {
    let (server, asker) = asking(driver, Asker::default(), false, |config| config.limits.handler_timeout_ms = 50);
    let mut client = server.client();
    client.send(format!("{}{}{}", known("1"), call("echo", "1"), known("2")));
    assert_eq!(client.reply().result(), "1");
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (504, true));
    client.expect_fin();
    eventually("the backend hears of it", || asker.gone.lock().unwrap().len() == 1);
    asker.advise(0, true, b"");
    eventually("the late word is dropped", || server.sum(|shard| shard.dropped) == 1);
    assert_eq!(server.sum(|shard| shard.handler_timeouts), 1);
}

fn a_stop_waits_for_questions_within_its_time(driver: DriverChoice) {
    let (mut server, asker) = asking(driver, Asker::default(), false, |_| {});
    let (mut answered, mut cut) = (server.client(), server.client());
    answered.send(call("echo", "1"));
    eventually("it is asked", || asker.asked() == 1);
    cut.send(call("echo", "1"));
    eventually("both are", || asker.asked() == 2);
    server.engine().stop(Duration::from_millis(400));
    std::thread::sleep(ms(50));
    asker.advise(0, true, b"");
    let reply = answered.reply();
    assert_eq!((reply.result(), reply.closes()), ("1", true));
    answered.expect_end();
    cut.expect_end();
    server.join();
}

fn a_wrong_answer_to_a_question_is_a_no(driver: DriverChoice) {
    let (server, asker) = asking(driver, Asker::default(), false, |_| {});
    let mut client = server.client();
    let raw = RawAnswer { status: 200, reason_len: 0, lines_len: 0, cors: true, security: true };
    for (number, outcome) in
        [Outcome::Result, Outcome::Done, Outcome::Raw(raw), Outcome::InternalError].into_iter().enumerate()
    {
        client.send(call("echo", "1"));
        eventually("it is asked", || asker.asked() == number + 1);
        let key = asker.asked.lock().unwrap()[number].0;
        asker.send(|answers| answers.push(key, outcome, b"1"));
        assert_eq!(client.reply().status, 401, "{outcome:?}");
    }
}

fn raw_answers_are_bytes(driver: DriverChoice) {
    let (server, _) = asking(driver, Asker { raw: true, ..Asker::default() }, false, |_| {});
    let mut client = server.client();
    let reply = client.ask(known("1"));
    assert!(reply.head.starts_with("HTTP/1.1 201 Fine\r\nx-runner-request-id: "), "{}", reply.head);
    assert!(reply.head.contains("\r\nx-a: b\r\ncontent-length: 6\r\nDate: "), "{}", reply.head);
    assert_eq!(reply.body, "\0\x01body");
    assert_eq!(reply.field("access-control-allow-origin"), None);
}

fn refusals_are_told(driver: DriverChoice) {
    let (server, asker) = asking(driver, Asker { at_once: Some((false, b"")), ..Asker::default() }, false, |_| {});
    let mut client = server.client();
    client.ask(request("POST", "/__runner/task/x?secret", "x-runner-request-id: one\r\n", "1"));
    client.ask(request("GET", "/__runner/discovery", "x-runner-request-id: two\r\n", ""));
    client.ask(request("GET", "/__runner/task/x", "", ""));
    client.ask(request("POST", "/__runner/task/x", "x-runner-token: t\r\n", ""));
    eventually("two are told", || asker.notices.lock().unwrap().len() == 2);
    let told = asker.notices.lock().unwrap().clone();
    assert_eq!(told[0], (401, "one".into(), "POST".into(), "/__runner/task/x".into()));
    assert_eq!(told[1], (401, "two".into(), "GET".into(), "/__runner/discovery".into()));
}

fn without_a_host_nobody_vouches(driver: DriverChoice) {
    let (handlers, _later) = support::server::handlers();
    let mut config = support::server::config(driver, handlers.specs());
    let mut exposure = (*config.exposure).clone();
    exposure.auth = AuthConfig::new(AuthOptions { validators: true, ..AuthOptions::default() }).unwrap();
    config.exposure = Arc::new(exposure);
    let engine = Engine::start(config, handlers.into_backend()).unwrap();
    assert_eq!(Client::tcp(engine.tcp_address().unwrap()).ask(call("echo", "1")).status, 401);
}

on_both_drivers!(
    a_question_stands_between_head_and_body,
    asks_and_calls_are_answered_in_order,
    whoever_leaves_is_forgotten,
    whoever_waited_too_long_gets_503,
    a_half_closed_client_is_answered_within_the_grace,
    a_question_may_take_too_long,
    a_stop_waits_for_questions_within_its_time,
    a_wrong_answer_to_a_question_is_a_no,
    raw_answers_are_bytes,
    refusals_are_told,
    without_a_host_nobody_vouches,
);
