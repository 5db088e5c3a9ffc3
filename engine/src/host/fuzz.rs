//! Invariants of what lies between the link and an event loop, for any course of events. Called by a fuzz target and by
//! tests; panics on a violation.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use super::bridge::{Answer, Bridge};
use super::feed::Rows;
use super::raw_answer::RawParts;
use crate::link::backend::Backend;
use crate::link::batch::{AnswerBatch, CallBatch, CallKey, CallRecord, Frame, FrameKind, Outcome, flags};
use crate::link::hosts::Hosts;
use crate::link::port::{Inbox, ToShard, letter_box};
use crate::wire::fields::Span;

/// Calls of a run; what would be more is not submitted.
const MOST_CALLS: usize = 200;

/// Any pairs of bytes as what shards and the event loop do, in any order: a call is given out once, unless its client has
/// left before; it ends exactly once, at its own shard, unless its client has left; an answer has the text that was meant for
/// it; tickets that are not out harm nobody; and all memory goes home.
pub fn fuzz_host(data: &[u8]) {
    let [shards, steps @ ..] = data else { return };
    let mut model = Model::new(usize::from(*shards) % 3 + 1);
    for step in steps.chunks_exact(2) {
        model.step(step[0], step[1]);
        assert_eq!(model.bridge.live(), model.out.len(), "what is over, and nothing else");
        model.take_home();
    }
    model.finish();
}

/// What the model knows of a call.
struct Call {
    shard: usize,
    key: CallKey,
    ask: bool,
    given: bool,
    /// The event loop has said its last word.
    answered: bool,
    /// Its client has.
    left: bool,
    /// Times that it has ended at its shard.
    ends: usize,
}

struct Model {
    link: Arc<Hosts>,
    inboxes: Vec<Inbox>,
    bridge: Bridge,
    calls: Vec<Call>,
    /// Tickets that are out, and their calls.
    out: BTreeMap<u32, usize>,
    /// Batches of calls that have not come home.
    batches: usize,
}

/// What a drain has told.
#[derive(Default)]
struct Told {
    calls: Vec<(u32, u32)>,
    departed: Vec<u32>,
}

impl Rows for Told {
    fn call(&mut self, at: usize, ticket: u32, record: &CallRecord) {
        assert_eq!(at, self.calls.len());
        self.calls.push((ticket, record.handler));
    }

    fn departed(&mut self, calls: usize, at: usize, ticket: u32) {
        assert_eq!((calls, at), (self.calls.len(), self.departed.len()));
        self.departed.push(ticket);
    }
}

impl Model {
    fn new(shards: usize) -> Model {
        let link = Arc::new(Hosts::new(shards, 0));
        let boxes = (0..shards).map(|_| letter_box().expect("an eventfd"));
        let (ports, inboxes): (Vec<_>, Vec<_>) = boxes.map(|(port, inbox, ..)| (port, inbox)).unzip();
        link.attach(&ports);
        let bridge = Bridge::attach(link.clone(), || {}).expect("the first");
        Model { link, inboxes, bridge, calls: Vec::new(), out: BTreeMap::new(), batches: 0 }
    }

    fn step(&mut self, what: u8, how: u8) {
        let ticket = self.ticket(how);
        match what % 11 {
            0 | 1 => self.submit(usize::from(what / 11), how),
            2 => self.drain(usize::from(how)),
            3 => self.answer(usize::from(how) % 5, true),
            4 => self.answer(usize::from(how) % 5, false),
            5 => self.say(ticket, Answer::Failed(u16::from(how) * 4)),
            6 => {
                self.bridge.advise(ticket, how & 1 == 0, Some(if how & 2 == 0 { "https://a" } else { "\u{2603}" }));
                self.over(ticket);
            }
            7 => {
                let taken = self.bridge.answer_raw(ticket, &raw(how));
                assert_eq!(taken, raw(how).compile().is_some());
                if taken {
                    self.over(ticket);
                }
            }
            8 => {
                let opened = self.bridge.open_stream(ticket, &raw(how), Some(u64::from(how)));
                assert!(!opened || self.out.contains_key(&ticket));
            }
            9 => {
                let outcome = [Outcome::Data, Outcome::Credit(u32::from(how)), Outcome::Discard][usize::from(how) % 3];
                let takes = self.out.get(&ticket).is_some_and(|call| !self.calls[*call].ask);
                assert_eq!(self.bridge.append(ticket, outcome, &[how; 40]), takes);
            }
            _ => {
                self.bridge.close_stream(ticket, if how & 1 == 0 { Outcome::End } else { Outcome::Cut });
                if self.out.get(&ticket).is_some_and(|call| !self.calls[*call].ask) {
                    self.over(ticket);
                }
            }
        }
    }

    /// One that is out, mostly.
    fn ticket(&self, how: u8) -> u32 {
        let place = usize::from(how >> 1) % (self.out.len() + 1);
        self.out.keys().nth(place).copied().unwrap_or(u32::from(how) << (how % 24))
    }

    /// A shard hands over some calls and frames, and tells of a client that has left.
    fn submit(&mut self, shard: usize, how: u8) {
        let (shard, count) = (shard % self.inboxes.len(), usize::from(how & 3));
        let mut batch = Box::<CallBatch>::default();
        let first = self.calls.len();
        for number in (first..first + count).filter(|number| *number < MOST_CALLS) {
            let start = batch.open_body();
            batch.json.extend_from_slice(number.to_string().as_bytes());
            let body = batch.close_body(start);
            let (request_id, fields) = batch.push_call_head(b"id", b"POST / HTTP/1.1\r\n\r\n");
            let key = CallKey { slot: number as u32, generation: u32::from(how) };
            let ask = how & 0x14 == 0x14;
            let flags = if ask { flags::ASK_AUTH } else { 0 };
            batch.asks += usize::from(ask);
            batch.records.push(CallRecord { key, handler: number as u32, flags, body, request_id, fields, peer: 0 });
            self.calls.push(Call { shard, key, ask, given: false, answered: false, left: false, ends: 0 });
        }
        let open = self.calls[..first].iter_mut().filter(|call| call.shard == shard && !call.answered && !call.left);
        let open: Vec<_> = open.collect();
        if how & 8 != 0 && !open.is_empty() {
            let place = usize::from(how >> 4) % open.len();
            for (_, call) in open.into_iter().enumerate().filter(|(at, _)| *at == place) {
                call.left = true;
                batch.gone.push(call.key);
            }
        }
        if how & 0x20 != 0
            && let Some(record) = batch.records.first()
        {
            batch.frames.push(Frame { key: record.key, kind: FrameKind::End, data: Span::default() });
        }
        if let Some(full) = self.link.submit(shard, batch, &mut AnswerBatch::default()) {
            // The shard keeps it, and would hand it over later: here it is as if it had never been.
            self.calls.truncate(first);
            for gone in &full.gone {
                self.calls
                    .iter_mut()
                    .filter(|call| call.shard == shard && call.key == *gone)
                    .for_each(|call| call.left = false);
            }
        } else {
            self.batches += 1;
        }
    }

    fn drain(&mut self, most: usize) {
        let mut told = Told::default();
        let drained = self.bridge.drain(&mut told, most);
        assert_eq!((drained.calls, drained.departed), (told.calls.len(), told.departed.len()));
        let text = if drained.calls > 0 { self.bridge.text() } else { b"[]" };
        let numbers: Vec<_> = told.calls.iter().map(|(_, number)| number.to_string()).collect();
        assert_eq!(String::from_utf8_lossy(text), format!("[{}]", numbers.join(",")), "each with its own body");
        for (ticket, number) in told.calls {
            let call = &mut self.calls[number as usize];
            assert!(!call.given && !call.left, "{number} is given once, and to a client that is there");
            call.given = true;
            assert_eq!(self.out.insert(ticket, number as usize), None, "a ticket of its own");
        }
        for ticket in told.departed {
            assert!(self.calls[self.out[&ticket]].left, "only of clients that have left");
        }
        for _ in 0..drained.frames {
            let found = self.bridge.next_frame().map(|(ticket, ..)| ticket);
            assert!(found.is_none_or(|ticket| self.out.contains_key(&ticket)));
        }
    }

    /// Answers some calls, with the texts that they need or with nonsense.
    fn answer(&mut self, count: usize, well: bool) {
        let answers: Vec<_> = self.out.iter().take(count).map(|(ticket, call)| (*ticket, *call)).collect();
        let texts: Vec<_> = answers.iter().map(|(_, call)| (call * 10).to_string()).collect();
        let texts = if well { format!("[{}]", texts.join(",")) } else { "[1,{".to_owned() };
        let rows: Vec<_> =
            answers.iter().map(|(ticket, _)| (*ticket, if well { Answer::Result } else { Answer::Nonsense })).collect();
        self.write(&rows, &texts);
        answers.iter().for_each(|(ticket, _)| self.over(*ticket));
    }

    /// One answer whose text is missing.
    fn say(&mut self, ticket: u32, answer: Answer) {
        self.write(&[(ticket, answer)], "");
        self.over(ticket);
    }

    fn write(&mut self, rows: &[(u32, Answer)], texts: &str) {
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(texts.as_bytes());
            Ok::<_, Infallible>(())
        };
        let Ok(()) = self.bridge.answer(rows.iter().copied(), write);
    }

    /// The event loop has said its last word of a ticket.
    fn over(&mut self, ticket: u32) {
        if let Some(call) = self.out.remove(&ticket) {
            self.calls[call].answered = true;
        }
    }

    /// What has come home to the shards.
    fn take_home(&mut self) {
        for (shard, inbox) in self.inboxes.iter().enumerate() {
            let sent = std::iter::from_fn(|| inbox.messages.try_recv().ok());
            for message in sent.chain(inbox.bell.take_surplus()) {
                match message {
                    ToShard::Answers(batch) => {
                        for record in &batch.records {
                            let call = &mut self.calls[record.key.slot as usize];
                            assert_eq!((call.shard, call.key), (shard, record.key), "at its own shard");
                            assert!(call.ends == 0, "nothing comes behind the end of a call");
                            match record.outcome {
                                Outcome::Open(_) | Outcome::Data | Outcome::Credit(_) | Outcome::Discard => continue,
                                Outcome::Result => {
                                    let own = (record.key.slot * 10).to_string();
                                    assert_eq!(record.body.of(&batch.json), own.as_bytes(), "by its own text");
                                }
                                _ => {}
                            }
                            assert!(call.ask == matches!(record.outcome, Outcome::Advice { .. }));
                            assert!(call.answered, "by what the event loop has said");
                            call.ends += 1;
                        }
                    }
                    ToShard::CallsHome(batch) => {
                        assert!(batch.is_empty());
                        self.batches -= 1;
                    }
                    _ => unreachable!("nothing else is sent"),
                }
            }
        }
    }

    /// The event loop takes what is left, and answers it.
    fn finish(&mut self) {
        while self.calls.iter().any(|call| !call.given && !call.left) {
            self.drain(usize::MAX);
            self.take_home();
        }
        self.answer(usize::MAX, true);
        self.drain(usize::MAX);
        // What was said between two answers leaves with the next.
        self.write(&[], "");
        self.take_home();
        for (number, call) in self.calls.iter().enumerate() {
            assert!(call.ends == 1 || (call.left && call.ends == 0), "{number} has ended {} times", call.ends);
            assert_eq!(call.answered, call.given, "{number}");
        }
        assert_eq!((self.bridge.live(), self.batches), (0, 0), "nothing is kept");
    }
}

/// An answer of the application's own; some may not be written.
fn raw(how: u8) -> RawParts<'static> {
    let status = [200.0, 304.0, 99.0, 200.5][usize::from(how) % 4];
    let reason = if how & 0x40 == 0 { "" } else { "a\r\nb" };
    RawParts { status, reason, headers: &[], body: b"body", cors: how & 1 == 0, security: how & 2 == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_ends_once_whatever_happens() {
        let mut state = 1_u32;
        for length in (0..1500).map(|run| run % 120) {
            // xorshift: the same in every run.
            let noise = (0..length).map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                (state >> 8) as u8
            });
            fuzz_host(&noise.collect::<Vec<_>>());
        }
    }
}
