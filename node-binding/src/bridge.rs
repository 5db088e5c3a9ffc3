//! The bridge: drains call batches into one JSON text and a table of numbers, and sends answers home.
//!
//! Lives on the JavaScript thread only. There is no bridge thread.

use std::ops::Range;
use std::sync::Arc;

use fasttunnel_engine::link::batch::{AnswerBatch, AnswerRecord, CallBatch, CallKey, CallRecord, Outcome, flags};
use fasttunnel_engine::link::host::{Host, Next};
use fasttunnel_engine::tunnel::array::ArraySplitter;
use fasttunnel_engine::tunnel::json_string::write_json_string;
use fasttunnel_engine::wire::fields::Span;
use memchr::memchr;
use slab::Slab;

use crate::raw_answer::{RawParts, latin1};

/// Layout of the table of numbers that a drain fills; `lib/layout.ts` has the same numbers, and checks them when it loads the addon.
pub mod layout {
    /// Number of calls.
    pub const CALLS: usize = 0;
    /// Number of tickets whose client has gone.
    pub const GONE: usize = 1;
    /// 1 when every shard has ended.
    pub const STOPPED: usize = 2;
    /// Number of refusals to fetch with `notices`.
    pub const NOTICES: usize = 3;
    /// First call; the tickets that have gone follow the last.
    pub const HEADER: usize = 4;
    /// Numbers a call: ticket, handler, flags.
    pub const PER_CALL: usize = 3;
    /// Calls in one drain. More wait for the next: the application's own events get their turn.
    pub const MAX_CALLS: usize = 1024;
    /// Gone tickets in one drain. More wait for the next.
    pub const MAX_GONE: usize = 1024;
    /// Numbers in the table.
    pub const LENGTH: usize = HEADER + MAX_CALLS * PER_CALL + MAX_GONE;
    /// Numbers an answer: ticket, outcome.
    pub const PER_ANSWER: usize = 2;
}

/// Outcomes as numbers; from 400 on a number is an HTTP status, and the text is the whole body.
pub mod outcome {
    /// 200 with the next text as the result.
    pub const RESULT: u32 = 0;
    /// 200 without a result.
    pub const DONE: u32 = 1;
    /// 400, no text: the serializer refused the body.
    pub const INVALID_JSON: u32 = 3;
    // 2 and anything else: 500, no text.
}

/// Bytes of JSON text in one drain, unless a single call has more.
const MAX_TEXT_BYTES: usize = 4 * 1024 * 1024;

/// A call that JavaScript has been given and has not answered.
struct Live {
    shard: u32,
    key: CallKey,
    /// The client has left; the answer goes nowhere.
    gone: bool,
    /// No call, but a request that is asked about.
    ask: bool,
    head: HeadPlace,
}

/// Where the request id and the head of a call are.
enum HeadPlace {
    /// In a batch that is still with us.
    Loan { batch: u32, request_id: Span, head: Span },
    /// Copied, because the call outlived its batch: request id, then head.
    Own { bytes: Box<[u8]>, id_length: u32 },
}

/// A batch on loan from its shard.
struct Loan {
    shard: u32,
    batch: Box<CallBatch>,
}

/// See the module.
pub struct Bridge {
    host: Arc<Host>,
    shards: usize,
    live: Slab<Live>,
    /// Per shard and slot, the newest ticket: to find the call that a `gone` notice names.
    tickets: Vec<Vec<u32>>,
    loans: Slab<Loan>,
    /// Tickets given out since the last answers, with their loan: what is left of them then is copied.
    fresh: Vec<(u32, u32)>,
    /// The batch that did not fit the last drain: its loan, and its next record.
    cursor: Option<(u32, usize)>,
    gone: Vec<u32>,
    /// Refusals not fetched yet: how many, and the members of their JSON array.
    notices: (usize, Vec<u8>),
    next_shard: usize,
    stopped: usize,
    text: Vec<u8>,
    // Boxes, because they are the very boxes that travel.
    #[allow(clippy::vec_box)]
    answers: Vec<Box<AnswerBatch>>,
}

impl Bridge {
    /// A bridge on the host's end of `host`.
    pub fn new(host: Arc<Host>, shards: usize) -> Self {
        Bridge {
            host,
            shards,
            live: Slab::new(),
            tickets: vec![Vec::new(); shards],
            loans: Slab::new(),
            fresh: Vec::new(),
            cursor: None,
            gone: Vec::new(),
            notices: (0, Vec::new()),
            next_shard: 0,
            stopped: 0,
            text: Vec::new(),
            answers: (0..shards).map(|_| Box::default()).collect(),
        }
    }

    /// Calls given to JavaScript and not answered.
    pub fn live(&self) -> usize {
        self.live.len()
    }

    /// Drains what the shards have sent into `table`; the JSON array of the bodies, or nothing when there are no calls.
    /// When there is nothing at all, not even a client that has gone, the host parks: the next batch rings.
    pub fn drain(&mut self, table: &mut [u32]) -> Option<&[u8]> {
        // While every handler waits there are no answers, with which batches go home otherwise; their bodies are read.
        self.return_loans();
        loop {
            self.host.awake();
            let calls = self.fill(table);
            let gone = self.write_gone(table, calls);
            write(table, layout::CALLS, calls);
            write(table, layout::GONE, gone);
            write(table, layout::NOTICES, self.notices.0);
            write(table, layout::STOPPED, usize::from(self.stopped == self.shards));
            if calls > 0 {
                self.text.push(b']');
                return Some(&self.text);
            }
            // With something to abort or to tell, JavaScript polls again when it has; otherwise park, unless more has
            // come.
            if gone > 0 || self.notices.0 > 0 || self.host.try_park() {
                return None;
            }
        }
    }

    fn fill(&mut self, table: &mut [u32]) -> usize {
        self.text.clear();
        let mut calls = 0;
        while calls < layout::MAX_CALLS && self.text.len() < MAX_TEXT_BYTES {
            let Some((loan, from)) = self.cursor.take().or_else(|| self.next_batch()) else { break };
            calls = self.fill_from(loan, from, table, calls);
        }
        calls
    }

    /// Fetches the next batch, shard by shard in turn.
    fn next_batch(&mut self) -> Option<(u32, usize)> {
        let mut empty = 0;
        // Refusals need no call to travel: without a bound, a crowd of them would keep this loop going.
        while empty < self.shards && self.notices.0 < layout::MAX_GONE {
            let shard = self.next_shard;
            self.next_shard = (shard + 1) % self.shards.max(1);
            match self.host.next(shard) {
                Next::Calls(batch) => {
                    self.note_notices(&batch);
                    if batch.records.is_empty() {
                        self.note_gone(shard, &batch.gone);
                        self.host.recycle(shard, batch);
                        empty = 0;
                        continue;
                    }
                    return Some((self.loans.insert(Loan { shard: shard as u32, batch }) as u32, 0));
                }
                Next::Stopped => self.stopped += 1,
                Next::Nothing => empty += 1,
            }
        }
        None
    }

    fn fill_from(&mut self, loan_index: u32, from: usize, table: &mut [u32], mut calls: usize) -> usize {
        let Some(loan) = self.loans.get(loan_index as usize) else { return calls };
        let records = loan.batch.records.get(from..).unwrap_or_default();
        let mut taken = 0_usize;
        let mut bytes = 0;
        for record in records {
            if calls == layout::MAX_CALLS || (taken > 0 && self.text.len() + bytes >= MAX_TEXT_BYTES) {
                break;
            }
            let ticket = self.live.insert(live_of(loan_index, loan.shard, record)) as u32;
            let before = remember_ticket(&mut self.tickets, loan.shard, record.key.slot, ticket);
            // The shard uses a slot again when its call is over. One that JavaScript has not answered was given up, and
            // the notice of it (in this very batch, perhaps) would no longer find the ticket.
            if let Some(live) = self.live.get_mut(before as usize)
                && live.shard == loan.shard
                && live.key.slot == record.key.slot
                && live.key != record.key
                && !std::mem::replace(&mut live.gone, true)
            {
                self.gone.push(before);
            }
            let row = layout::HEADER + calls * layout::PER_CALL;
            if let Some([a, b, c]) = table.get_mut(row..row + layout::PER_CALL) {
                (*a, *b, *c) = (ticket, record.handler, record.flags);
            }
            self.fresh.push((ticket, loan_index));
            bytes += record.body.len() + 1;
            calls += 1;
            taken += 1;
        }
        // The texts of a batch lie one behind the other, commas included: one copy for all of them.
        if let (Some(first), Some(last)) = (records.first(), records.get(taken.wrapping_sub(1))) {
            self.text.push(if self.text.is_empty() { b'[' } else { b',' });
            let texts = Span { start: first.body.start, end: last.body.end };
            self.text.extend_from_slice(texts.of(&loan.batch.json));
        }
        if taken < records.len() {
            self.cursor = Some((loan_index, from + taken));
        } else if let Some(loan) = self.loans.get_mut(loan_index as usize) {
            // After the calls themselves: a client may have left in the very tick in which it called.
            let (shard, gone) = (loan.shard as usize, std::mem::take(&mut loan.batch.gone));
            self.note_gone(shard, &gone);
        }
        calls
    }

    fn note_gone(&mut self, shard: usize, keys: &[CallKey]) {
        for key in keys {
            let ticket = self.tickets.get(shard).and_then(|slots| slots.get(key.slot as usize)).copied();
            if let Some(live) = ticket.and_then(|ticket| self.live.get_mut(ticket as usize))
                && live.shard as usize == shard
                && live.key == *key
                && !std::mem::replace(&mut live.gone, true)
            {
                self.gone.extend(ticket);
            }
        }
    }

    fn note_notices(&mut self, batch: &CallBatch) {
        let (count, json) = &mut self.notices;
        for notice in &batch.notices {
            // The engine lets only ASCII into ids, methods and targets.
            let text = |span: Span| std::str::from_utf8(span.of(&batch.heads)).unwrap_or_default();
            json.extend_from_slice(if *count == 0 { b"" } else { b"," });
            json.extend_from_slice(format!("{{\"status\":{},\"code\":\"{}\"", notice.status, notice.code).as_bytes());
            for (name, span) in [("requestId", notice.request_id), ("method", notice.method), ("path", notice.path)] {
                json.extend_from_slice(format!(",\"{name}\":").as_bytes());
                write_json_string(json, text(span));
            }
            json.push(b'}');
            *count += 1;
        }
    }

    /// The refusals that the last drains have brought, as the members of a JSON array.
    pub fn take_notices(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.notices).1
    }

    fn write_gone(&mut self, table: &mut [u32], calls: usize) -> usize {
        let start = layout::HEADER + calls * layout::PER_CALL;
        let mut written = 0;
        while written < layout::MAX_GONE {
            let Some(ticket) = self.gone.pop() else { break };
            // Answered meanwhile: nothing to abort.
            if !self.live.get(ticket as usize).is_some_and(|live| live.gone) {
                continue;
            }
            write(table, start + written, ticket as usize);
            written += 1;
        }
        written
    }

    /// Takes answers: `rows` of ticket and outcome, and the texts that some of them need, in order: see [`Texts`].
    /// A ticket that is not out, and an answer whose text is missing, is left alone or answered with a 500: JavaScript
    /// cannot harm another call.
    pub fn answer(
        &mut self,
        rows: &[u32],
        write_text: impl FnOnce(&mut Vec<u8>) -> napi::Result<()>,
    ) -> napi::Result<()> {
        self.text.clear();
        // With one shard, the text goes into the shard's batch as it is, and the answers point into it.
        let direct = self.shards == 1;
        let mut whole = std::mem::take(&mut self.text);
        if direct && let Some(batch) = self.answers.first_mut() {
            std::mem::swap(&mut whole, &mut batch.json);
        }
        // A batch that was not sent (all of its clients had gone) still holds the texts of before.
        whole.clear();
        let outcome = write_text(&mut whole);
        if outcome.is_err() {
            whole.clear();
        }
        let mut texts = Texts::new(&whole);
        for row in rows.chunks_exact(layout::PER_ANSWER) {
            let &[ticket, code] = row else { continue };
            let wants_text = code == outcome::RESULT || code >= 400;
            let text = if wants_text { texts.next() } else { None };
            let outcome = match (code, &text) {
                (outcome::DONE, _) => Outcome::Done,
                (outcome::INVALID_JSON, _) => Outcome::InvalidJson,
                (outcome::RESULT, Some(_)) => Outcome::Result,
                (400..=599, Some(_)) => Outcome::Failed { status: code as u16 },
                _ => Outcome::InternalError,
            };
            let Some(live) = self.live.try_remove(ticket as usize) else { continue };
            let Some(batch) = self.answers.get_mut(live.shard as usize).filter(|_| !live.gone) else { continue };
            if live.ask {
                // Only `advise` may speak for a client.
                batch.push_advice(live.key, false, b"");
                continue;
            }
            let text = text.unwrap_or(0..0);
            if direct {
                let body = Span { start: text.start as u32, end: text.end as u32 };
                batch.records.push(AnswerRecord { key: live.key, outcome, body });
            } else {
                batch.push(live.key, outcome, whole.get(text).unwrap_or_default());
            }
        }
        if direct && let Some(batch) = self.answers.first_mut() {
            std::mem::swap(&mut whole, &mut batch.json);
        }
        self.text = whole;
        self.send_answers();
        self.return_loans();
        outcome
    }

    /// Takes the word on a request that was asked about; it leaves with the next answers. An origin that no header can
    /// carry counts as none.
    pub fn advise(&mut self, ticket: u32, passed: bool, origin: Option<&str>) {
        let Some(live) = self.live.try_remove(ticket as usize) else { return };
        let Some(batch) = self.answers.get_mut(live.shard as usize).filter(|_| !live.gone) else { return };
        if live.ask {
            let origin = origin.and_then(latin1).unwrap_or_default();
            batch.push_advice(live.key, passed, &origin);
        } else {
            batch.push(live.key, Outcome::InternalError, b"");
        }
    }

    /// Takes a whole answer; it leaves with the next ones. `headers` holds names and values in turn. What may not be
    /// written gives a 500.
    pub fn answer_raw(&mut self, ticket: u32, raw: &RawParts<'_>) {
        let Some(live) = self.live.try_remove(ticket as usize) else { return };
        let Some(batch) = self.answers.get_mut(live.shard as usize).filter(|_| !live.gone) else { return };
        if live.ask {
            return batch.push_advice(live.key, false, b"");
        }
        match raw.compile() {
            Some((answer, head)) => batch.push_raw(live.key, Outcome::Raw(answer), |bytes| {
                bytes.extend_from_slice(&head);
                bytes.extend_from_slice(raw.body);
            }),
            None => batch.push(live.key, Outcome::InternalError, b""),
        }
    }

    fn send_answers(&mut self) {
        for (shard, batch) in self.answers.iter_mut().enumerate() {
            if !batch.records.is_empty() {
                self.host.answer(shard, std::mem::take(batch));
            }
        }
    }

    /// Sends batches home. Calls that JavaScript still works on get a copy of what it may yet ask for.
    fn return_loans(&mut self) {
        let held = self.cursor.map(|(loan, _)| loan);
        for (ticket, loan) in self.fresh.drain(..) {
            let Some(live) = self.live.get_mut(ticket as usize) else { continue };
            let HeadPlace::Loan { batch, request_id, head } = live.head else { continue };
            if batch != loan {
                continue;
            }
            if let Some(lent) = self.loans.get(loan as usize) {
                let heads = &lent.batch.heads;
                let bytes = [request_id.of(heads), head.of(heads)].concat().into_boxed_slice();
                live.head = HeadPlace::Own { bytes, id_length: request_id.len() as u32 };
            }
        }
        let done: Vec<usize> =
            self.loans.iter().map(|(loan, _)| loan).filter(|loan| held != Some(*loan as u32)).collect();
        for loan in done {
            let Loan { shard, batch } = self.loans.remove(loan);
            self.host.recycle(shard as usize, batch);
        }
    }

    /// The effective request id of a call, while it is not answered.
    pub fn request_id(&self, ticket: u32) -> Option<&[u8]> {
        let live = self.live.get(ticket as usize)?;
        match &live.head {
            HeadPlace::Loan { batch, request_id, .. } => {
                self.loans.get(*batch as usize).map(|loan| request_id.of(&loan.batch.heads))
            }
            HeadPlace::Own { bytes, id_length } => bytes.get(..*id_length as usize),
        }
    }

    /// The head of a call as received, request line and field lines, while it is not answered.
    pub fn head(&self, ticket: u32) -> Option<&[u8]> {
        let live = self.live.get(ticket as usize)?;
        match &live.head {
            HeadPlace::Loan { batch, head, .. } => {
                self.loans.get(*batch as usize).map(|loan| head.of(&loan.batch.heads))
            }
            HeadPlace::Own { bytes, id_length } => bytes.get(*id_length as usize..),
        }
    }
}

/// The texts of answers: a JSON array, whose elements come first, then any others, each behind a zero byte. JSON has no
/// such byte, so that what a serializer wrote wrongly ends where it should.
struct Texts<'a> {
    whole: &'a [u8],
    values: ArraySplitter<'a>,
    /// Where the next text behind the array starts; past the end when there is none.
    at: usize,
}

impl<'a> Texts<'a> {
    fn new(whole: &'a [u8]) -> Self {
        let end = memchr(0, whole).unwrap_or(whole.len());
        Texts { whole, values: ArraySplitter::new(&whole[..end]), at: end + 1 }
    }
}

impl Iterator for Texts<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        self.values.next().or_else(|| {
            let start = self.at;
            let rest = self.whole.get(start..)?;
            let end = start + memchr(0, rest).unwrap_or(rest.len());
            self.at = end + 1;
            Some(start..end)
        })
    }
}

fn live_of(batch: u32, shard: u32, record: &CallRecord) -> Live {
    let head = HeadPlace::Loan { batch, request_id: record.request_id, head: record.head() };
    Live { shard, key: record.key, gone: false, ask: record.flags & flags::ASK != 0, head }
}

/// Remembers the newest ticket of a slot; the one before it, `u32::MAX` for none.
fn remember_ticket(tickets: &mut [Vec<u32>], shard: u32, slot: u32, ticket: u32) -> u32 {
    let Some(slots) = tickets.get_mut(shard as usize) else { return u32::MAX };
    let slot = slot as usize;
    if slots.len() <= slot {
        slots.resize(slot + 1, u32::MAX);
    }
    std::mem::replace(&mut slots[slot], ticket)
}

fn write(table: &mut [u32], at: usize, value: usize) {
    if let Some(place) = table.get_mut(at) {
        *place = value as u32;
    }
}
