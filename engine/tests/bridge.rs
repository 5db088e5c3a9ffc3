//! The bridge between the link and an event loop, driven by hand: calls are given once, answers go home to their shard, and
//! nothing that the event loop says harms another call.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::sync::Arc;

use fasttunnel_engine::host::{Answer, Bridge, Drained, RawParts, Rows};
use fasttunnel_engine::limits::{DRAIN_CALLS, DRAIN_TEXT_BYTES};
use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::link::batch::{AnswerBatch, CallBatch, CallKey, CallRecord, Frame, FrameKind, Outcome, flags};
use fasttunnel_engine::link::hosts::{Hosts, Offer};
use fasttunnel_engine::link::port::{Inbox, ToShard, letter_box};
use fasttunnel_engine::tunnel::table::Kind;
use fasttunnel_engine::wire::fields::Span;
use proptest::prelude::*;

const HEAD: &str = "POST /task/x HTTP/1.1\r\nHost: x\r\n\r\n";

/// What a drain has told.
#[derive(Default, Debug)]
struct Told {
    calls: Vec<(u32, u32, u32)>,
    departed: Vec<u32>,
}

impl Rows for Told {
    fn call(&mut self, at: usize, ticket: u32, record: &CallRecord) {
        assert_eq!(at, self.calls.len(), "one after another");
        self.calls.push((ticket, record.handler, record.flags));
    }

    fn departed(&mut self, calls: usize, at: usize, ticket: u32) {
        assert_eq!((calls, at), (self.calls.len(), self.departed.len()), "behind the calls");
        self.departed.push(ticket);
    }
}

struct Rig {
    link: Arc<Hosts>,
    inboxes: Vec<Inbox>,
    bridge: Bridge,
}

fn key(slot: u32, generation: u32) -> CallKey {
    CallKey { slot, generation }
}

impl Rig {
    fn new(shards: usize) -> Rig {
        let link = Arc::new(Hosts::new(shards, 0));
        let (ports, inboxes): (Vec<_>, Vec<_>) =
            (0..shards).map(|_| letter_box().unwrap()).map(|(port, inbox, ..)| (port, inbox)).unzip();
        link.attach(&ports);
        Rig { bridge: Bridge::attach(link.clone(), || {}).unwrap(), link, inboxes }
    }

    /// A shard hands over calls with these texts, each with its key and with its text for a request id.
    fn submit(&self, shard: usize, calls: &[(CallKey, &str)], change: impl FnOnce(&mut CallBatch)) {
        let mut batch = Box::<CallBatch>::default();
        for (key, text) in calls {
            let start = batch.open_body();
            batch.json.extend_from_slice(text.as_bytes());
            let body = batch.close_body(start);
            let (request_id, fields) = batch.push_call_head(text.as_bytes(), HEAD.as_bytes());
            batch.records.push(CallRecord {
                key: *key,
                handler: key.slot,
                flags: 0,
                body,
                request_id,
                fields,
                peer: 0,
            });
        }
        change(&mut batch);
        assert!(self.link.submit(shard, batch, &mut AnswerBatch::default()).is_none());
    }

    fn drain(&mut self) -> (Drained, Told, String) {
        self.drain_at_most(usize::MAX)
    }

    fn drain_at_most(&mut self, calls: usize) -> (Drained, Told, String) {
        let mut told = Told::default();
        let drained = self.bridge.drain(&mut told, calls);
        assert_eq!((drained.calls, drained.departed), (told.calls.len(), told.departed.len()));
        let text =
            if drained.calls > 0 { String::from_utf8(self.bridge.text().to_vec()).unwrap() } else { String::new() };
        (drained, told, text)
    }

    fn answer(&mut self, answers: &[(u32, Answer)], texts: &str) {
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(texts.as_bytes());
            Ok::<_, Infallible>(())
        };
        self.bridge.answer(answers.iter().copied(), write).unwrap();
    }

    /// What has come home to a shard: keys, outcomes and texts. Emptied batches of calls are counted.
    fn home(&self, shard: usize) -> (Vec<(CallKey, Outcome, String)>, usize) {
        let (mut answers, mut batches) = (Vec::new(), 0);
        let inbox = &self.inboxes[shard];
        for message in inbox.messages.try_iter().chain(inbox.bell.take_surplus()) {
            match message {
                ToShard::Answers(batch) => answers.extend(batch.records.iter().map(|record| {
                    let bytes = match record.outcome {
                        Outcome::Raw(_) | Outcome::Open(_) | Outcome::Data | Outcome::Advice { .. } => &batch.raw,
                        _ => &batch.json,
                    };
                    (record.key, record.outcome, String::from_utf8(record.body.of(bytes).to_vec()).unwrap())
                })),
                ToShard::CallsHome(batch) => {
                    assert!(batch.is_empty());
                    batches += 1;
                }
                _ => panic!("nothing else is sent"),
            }
        }
        (answers, batches)
    }
}

fn result(slot: u32, generation: u32, text: &str) -> (CallKey, Outcome, String) {
    (key(slot, generation), Outcome::Result, text.to_owned())
}

#[test]
fn calls_are_given_with_one_text_and_answers_go_home() {
    for shards in [1, 3] {
        let mut rig = Rig::new(shards);
        let last = shards - 1;
        rig.submit(0, &[(key(0, 1), "1"), (key(1, 1), "{\"a\":[2]}")], |_| {});
        rig.submit(last, &[(key(2, 5), "\"c\"")], |_| {});
        let (drained, told, text) = rig.drain();
        assert_eq!((drained.calls, text.as_str()), (3, "[1,{\"a\":[2]},\"c\"]"));
        assert_eq!(told.calls.iter().map(|(_, handler, _)| *handler).collect::<Vec<_>>(), [0, 1, 2]);
        let [a, b, c] = [0, 1, 2].map(|at| told.calls[at].0);
        // What JavaScript may ask about a call is there before its batch has gone home, and after it.
        for round in 0..2 {
            assert_eq!(rig.bridge.request_id(b), Some(&b"{\"a\":[2]}"[..]), "round {round}");
            assert_eq!(rig.bridge.head(c), Some(HEAD.strip_suffix("\r\n").unwrap().as_bytes()));
            assert_eq!(rig.drain().0.calls, 0);
        }
        rig.answer(&[(c, Answer::Result), (a, Answer::Done), (b, Answer::Result)], "[7,{\"x\":\"]\"}]");
        let (of_last, _) = rig.home(last);
        let (of_first, _) = if last == 0 { (of_last.clone(), 0) } else { rig.home(0) };
        assert!(of_last.contains(&result(2, 5, "7")), "{of_last:?}");
        assert!(of_first.contains(&result(1, 1, "{\"x\":\"]\"}")), "{of_first:?}");
        assert!(of_first.contains(&(key(0, 1), Outcome::Done, String::new())), "{of_first:?}");
        assert_eq!((rig.bridge.live(), rig.bridge.request_id(b), rig.bridge.head(c)), (0, None, None));
    }
}

#[test]
fn batches_go_home_while_their_calls_are_under_way() {
    let mut rig = Rig::new(1);
    rig.submit(0, &[(key(0, 0), "1")], |_| {});
    let (_, told, _) = rig.drain();
    assert_eq!(rig.home(0).1, 0, "its text is read");
    assert_eq!(rig.drain().0.calls, 0);
    assert_eq!(rig.home(0).1, 1);
    rig.answer(&[(told.calls[0].0, Answer::Done)], "");
    assert_eq!(rig.home(0).0.len(), 1);
}

#[test]
fn nonsense_is_a_500_and_harms_no_other_call() {
    for shards in [1, 2] {
        let mut rig = Rig::new(shards);
        let calls: Vec<_> = (0..6).map(|slot| (key(slot, 0), "0")).collect();
        rig.submit(0, &calls, |_| {});
        let (_, told, _) = rig.drain();
        let tickets: Vec<_> = told.calls.iter().map(|(ticket, ..)| *ticket).collect();
        rig.answer(
            &[
                (99, Answer::Result),
                (tickets[0], Answer::Failed(999)),
                (tickets[1], Answer::Failed(404)),
                (tickets[1], Answer::Done),
                (tickets[2], Answer::Nonsense),
                (tickets[3], Answer::InvalidJson),
                (tickets[4], Answer::Result),
                (tickets[5], Answer::Result),
            ],
            "[0,1]\0{\"ok\":false}\0{\"a\":1}",
        );
        let outcomes: Vec<_> =
            rig.home(0).0.into_iter().map(|(key, outcome, text)| (key.slot, outcome, text)).collect();
        let none = String::new();
        assert_eq!(
            outcomes,
            [
                (0, Outcome::InternalError, "1".to_owned()),
                (1, Outcome::Failed { status: 404 }, "{\"ok\":false}".to_owned()),
                (2, Outcome::InternalError, none.clone()),
                (3, Outcome::InvalidJson, none.clone()),
                (4, Outcome::Result, "{\"a\":1}".to_owned()),
                (5, Outcome::InternalError, none),
            ]
        );
    }
}

#[test]
fn answers_whose_texts_cannot_be_had_are_500() {
    let mut rig = Rig::new(1);
    rig.submit(0, &[(key(0, 0), "0"), (key(1, 0), "0")], |_| {});
    let (_, told, _) = rig.drain();
    let answers = [(told.calls[0].0, Answer::Result), (told.calls[1].0, Answer::Done)];
    let write = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"[1");
        Err("no memory")
    };
    assert_eq!(rig.bridge.answer(answers.into_iter(), write), Err("no memory"));
    let outcomes: Vec<_> = rig.home(0).0.into_iter().map(|(_, outcome, _)| outcome).collect();
    assert_eq!(outcomes, [Outcome::InternalError, Outcome::Done]);
}

#[test]
fn a_drain_has_bounds() {
    let mut rig = Rig::new(1);
    let many: Vec<_> = (0..DRAIN_CALLS as u32 + 1).map(|slot| (key(slot, 0), "0")).collect();
    rig.submit(0, &many, |_| {});
    assert_eq!([rig.drain_at_most(0).0.calls, rig.drain_at_most(2).0.calls], [1, 2]);
    assert_eq!([rig.drain().0.calls, rig.drain().0.calls], [DRAIN_CALLS - 2, 0]);
    // More text than a drain takes: as many as fit, or one that does not.
    let (half, whole) = (format!("\"{}\"", "x".repeat(DRAIN_TEXT_BYTES / 2 - 2)), "9".repeat(DRAIN_TEXT_BYTES + 1));
    rig.submit(
        0,
        &[(key(0, 1), &half), (key(1, 1), &half), (key(2, 1), "1"), (key(3, 1), &whole), (key(4, 1), "2")],
        |_| {},
    );
    let texts: Vec<_> = (0..4).map(|_| rig.drain().2).collect();
    assert!(texts == [format!("[{half},{half}]"), "[1]".to_owned(), format!("[{whole}]"), "[2]".to_owned()]);
}

#[test]
fn whose_client_has_left_is_told_or_never_given() {
    let mut rig = Rig::new(1);
    rig.submit(0, &[(key(0, 0), "0"), (key(1, 0), "1")], |_| {});
    let (_, told, _) = rig.drain();
    // One leaves that JavaScript has; one that waits; one in the very batch that brings it.
    rig.submit(0, &[(key(2, 0), "2"), (key(3, 0), "3")], |batch| batch.gone.push(key(0, 0)));
    rig.submit(0, &[(key(4, 0), "4")], |batch| batch.gone.extend([key(3, 0), key(4, 0)]));
    let (drained, next, text) = rig.drain();
    assert_eq!((drained.calls, text.as_str(), next.departed.as_slice()), (1, "[2]", &[told.calls[0].0][..]));
    // What is said of them goes nowhere.
    rig.answer(&[(told.calls[0].0, Answer::Done), (told.calls[1].0, Answer::Done)], "");
    assert_eq!(rig.home(0).0, [(key(1, 0), Outcome::Done, String::new())]);
    assert!(rig.drain().1.departed.is_empty());
}

#[test]
fn news_of_shards_are_told_once() {
    let mut rig = Rig::new(2);
    rig.submit(1, &[], |batch| batch.restarted = true);
    let (drained, ..) = rig.drain();
    assert_eq!((drained.restarted, drained.failed, drained.stopped), (true, false, false));
    assert_eq!(rig.drain().0, Drained::default());
    rig.submit(1, &[(key(0, 0), "0")], |_| {});
    let (_, told, _) = rig.drain();
    rig.link.failed(1);
    let (drained, gone, _) = rig.drain();
    assert_eq!((drained.failed, gone.departed), (true, vec![told.calls[0].0]));
    rig.link.stopped(0);
    assert_eq!(rig.drain().0, Drained { stopped: true, ..Drained::default() });
    rig.bridge.detach();
    rig.answer(&[(told.calls[0].0, Answer::Done)], "");
    assert!(rig.home(1).0.is_empty());
}

#[test]
fn frames_come_behind_their_calls_and_not_for_those_that_are_over() {
    let mut rig = Rig::new(1);
    let frame = |slot, kind, start, end| Frame { key: key(slot, 0), kind, data: Span { start, end } };
    rig.submit(0, &[(key(0, 0), "1"), (key(1, 0), "2")], |batch| {
        batch.data.extend_from_slice(b"onetwo");
        batch.frames.extend([
            frame(0, FrameKind::Data, 0, 3),
            frame(1, FrameKind::Data, 3, 6),
            frame(0, FrameKind::End, 6, 6),
        ]);
    });
    let (drained, told, _) = rig.drain();
    assert_eq!((drained.calls, drained.frames), (2, 3));
    let [a, b] = [0, 1].map(|at| told.calls[at].0);
    assert_eq!(rig.bridge.next_frame(), Some((a, FrameKind::Data, &b"one"[..])));
    rig.answer(&[(b, Answer::Done)], "");
    assert_eq!(rig.bridge.next_frame(), None, "its call is over");
    assert_eq!(rig.bridge.next_frame(), Some((a, FrameKind::End, &b""[..])));
    assert_eq!(rig.bridge.next_frame(), None);
    assert_eq!(rig.drain().0.frames, 0);
}

#[test]
fn whole_and_streamed_answers_and_words_on_questions() {
    let mut rig = Rig::new(1);
    let calls: Vec<_> = (0..4).map(|slot| (key(slot, 0), "0")).collect();
    rig.submit(0, &calls, |batch| {
        batch.records[3].flags = flags::ASK_ORIGIN;
        batch.asks = 1;
    });
    let (_, told, _) = rig.drain();
    let tickets: Vec<_> = told.calls.iter().map(|(ticket, ..)| *ticket).collect();
    let headers = ["x-a".to_owned(), "b".to_owned()];
    let raw = RawParts { status: 201.0, reason: "", headers: &headers, body: b"body", cors: false, security: false };
    assert!(rig.bridge.answer_raw(tickets[0], &raw));
    let bad = RawParts { status: 99.5, ..raw };
    assert!(!rig.bridge.open_stream(tickets[1], &bad, None) && !rig.bridge.answer_raw(tickets[1], &bad));
    assert!(rig.bridge.request_id(tickets[1]).is_some(), "the call is still to be answered");
    assert!(rig.bridge.open_stream(tickets[2], &RawParts { body: b"", ..raw }, Some(4)));
    assert!(rig.bridge.append(tickets[2], Outcome::Data, b"piece"));
    rig.bridge.close_stream(tickets[2], Outcome::End);
    assert!(!rig.bridge.append(tickets[2], Outcome::Data, b"late"));
    // Nothing but `advise` may speak for a client.
    assert!(!rig.bridge.append(tickets[3], Outcome::Data, b"x"));
    rig.bridge.advise(tickets[3], true, Some("https://a.example"));
    rig.answer(&[(tickets[1], Answer::Nonsense)], "");
    let home = rig.home(0).0;
    assert_eq!(home.iter().map(|(key, ..)| key.slot).collect::<Vec<_>>(), [0, 2, 2, 2, 3, 1]);
    assert!(matches!(home[0], (_, Outcome::Raw(_), ref text) if text.ends_with("x-a: b\r\nbody")), "{home:?}");
    assert!(matches!(home[1].1, Outcome::Open(head) if head.length == Some(4)));
    assert_eq!((&home[2].1, home[2].2.as_str(), &home[3].1), (&Outcome::Data, "piece", &Outcome::End));
    assert_eq!((home[4].1, home[4].2.as_str()), (Outcome::Advice { passed: true }, "https://a.example"));
    assert_eq!(home[5].1, Outcome::InternalError);
    assert_eq!(rig.bridge.live(), 0);
}

#[test]
fn a_bridge_that_detaches_answers_what_was_begun_and_hands_the_rest_on() {
    for with_other in [false, true] {
        let mut rig = Rig::new(1);
        let offers: Vec<_> =
            (0..6).map(|number| Offer { kind: Kind::Task, id: format!("task {number}"), number: None }).collect();
        assert_eq!(rig.bridge.register(&offers).unwrap(), [0, 1, 2, 3, 4, 5]);
        rig.submit(0, &[(key(0, 0), "0"), (key(1, 0), "1"), (key(2, 0), "2")], |batch| {
            batch.frames.push(Frame { key: key(1, 0), kind: FrameKind::End, data: Span::default() });
        });
        rig.submit(0, &[(key(3, 0), "3")], |_| {});
        // One is begun; two lie in its batch and one behind it, all of them fetched. One of their clients has left.
        assert_eq!(rig.drain_at_most(1).0.calls, 1);
        rig.submit(0, &[], |batch| batch.gone.push(key(2, 0)));
        assert_eq!(rig.drain_at_most(1).1.calls.len(), 1, "the second is begun");
        rig.submit(0, &[(key(4, 0), "4"), (key(5, 0), "5")], |batch| batch.gone.push(key(5, 0)));
        let other = with_other.then(|| Bridge::attach(rig.link.clone(), || {}).unwrap());
        let mut other = other.inspect(|other| drop(other.register(&offers).unwrap()));
        rig.home(0);
        rig.bridge.detach();
        let (mut answers, _) = rig.home(0);
        answers.sort_by_key(|(key, ..)| key.slot);
        let said: Vec<_> = answers.iter().map(|(key, outcome, _)| (key.slot, *outcome)).collect();
        let (begun, rest) = said.split_at(2);
        assert_eq!(begun, [(0, Outcome::Lost), (1, Outcome::Lost)]);
        let Some(other) = &mut other else {
            let waits: Vec<_> = rest.iter().filter(|(slot, _)| [3, 4].contains(slot)).copied().collect();
            assert_eq!(waits, [(3, Outcome::Overloaded), (4, Outcome::Overloaded)]);
            continue;
        };
        assert_eq!(rest, []);
        let mut told = Told::default();
        assert_eq!((other.drain(&mut told, usize::MAX).calls, other.text()), (2, &b"[3,4]"[..]));
        assert_eq!(told.calls.iter().map(|(_, handler, _)| *handler).collect::<Vec<_>>(), [9, 10]);
        assert_eq!(other.request_id(told.calls[1].0), Some(&b"4"[..]));
        // Nothing comes through a bridge that has been taken off, and nothing it says is heard.
        rig.submit(0, &[(key(6, 0), "6")], |batch| batch.records[0].handler = 0);
        assert_eq!((rig.drain().0, rig.bridge.live()), (Drained { stopped: true, ..Drained::default() }, 0));
        rig.answer(&[(told.calls[0].0, Answer::Done)], "");
        assert_eq!(rig.home(0).0, []);
        assert_eq!(other.drain(&mut Told::default(), 9).calls, 1);
    }
}

proptest! {
    /// Whatever comes when: a call is given once, or its client has left; its answer goes to its shard and to it alone, unless
    /// its client has left; and all memory goes home.
    #[test]
    fn every_call_is_given_once_and_answered_by_its_own_text(
        shards in 1_usize..4,
        steps in prop::collection::vec((0_u8..4, any::<usize>(), 1_usize..6), 1..60),
    ) {
        let mut rig = Rig::new(shards);
        let (mut next, mut submitted) = (0_u32, 0_usize);
        // By call: its shard, whether it was given, answered, or left by its client.
        let mut calls: Vec<(usize, bool, bool, bool)> = Vec::new();
        let mut out: Vec<(u32, u32)> = Vec::new();
        let mut home: Vec<(usize, u32, String)> = Vec::new();
        let steps = steps.into_iter().chain([(1, 0, 5), (2, 0, 1000)]);
        for (step, index, count) in steps {
            match step {
                0 => {
                    let shard = index % shards;
                    let texts: Vec<_> = (0..count as u32).map(|at| (key(next + at, 0), (next + at).to_string())).collect();
                    let gone: Vec<_> = calls.iter().enumerate().filter(|(_, call)| call.0 == shard && !call.2 && !call.3).map(|(at, _)| at).collect();
                    let leaves = gone.get(index % (gone.len() + 1)).copied();
                    let with: Vec<_> = texts.iter().map(|(key, text)| (*key, text.as_str())).collect();
                    rig.submit(shard, &with, |batch| batch.gone.extend(leaves.map(|at| key(at as u32, 0))));
                    if let Some(at) = leaves {
                        calls[at].3 = true;
                    }
                    calls.extend(texts.iter().map(|_| (shard, false, false, false)));
                    next += count as u32;
                    submitted += 1;
                }
                1 => loop {
                    let (drained, told, text) = rig.drain_at_most(count);
                    let values: Vec<u32> = if text.is_empty() { Vec::new() } else { serde_json::from_str(&text).unwrap() };
                    prop_assert_eq!(values.len(), told.calls.len());
                    for (value, (ticket, handler, _)) in values.into_iter().zip(told.calls) {
                        let call = &mut calls[value as usize];
                        prop_assert!(value == handler && !call.1 && !call.3, "{} is given once, and to somebody", value);
                        call.1 = true;
                        out.push((ticket, value));
                    }
                    if drained.calls == 0 {
                        break;
                    }
                },
                _ => {
                    let mut answers = Vec::new();
                    while answers.len() < count && !out.is_empty() {
                        answers.push(out.swap_remove(index % out.len()));
                    }
                    let texts: Vec<_> = answers.iter().map(|(_, value)| (value * 10).to_string()).collect();
                    let rows: Vec<_> = answers.iter().map(|(ticket, _)| (*ticket, Answer::Result)).collect();
                    rig.answer(&rows, &format!("[{}]", texts.join(",")));
                    answers.iter().for_each(|(_, value)| calls[*value as usize].2 = true);
                }
            }
            for shard in 0..shards {
                let (answers, batches) = rig.home(shard);
                submitted -= batches;
                home.extend(answers.into_iter().map(|(key, _, text)| (shard, key.slot, text)));
            }
        }
        for (value, (shard, given, answered, left)) in calls.iter().enumerate() {
            let of: Vec<_> = home.iter().filter(|(_, slot, _)| *slot == value as u32).collect();
            prop_assert!(*given || *left);
            prop_assert_eq!(*answered, *given);
            prop_assert!(of.len() == 1 || (*left && of.is_empty()), "{} {:?}", value, of);
            for (at, _, text) in of {
                prop_assert_eq!((at, text), (shard, &(value * 10).to_string()));
            }
        }
        prop_assert_eq!((rig.bridge.live(), submitted), (0, 0));
    }
}
