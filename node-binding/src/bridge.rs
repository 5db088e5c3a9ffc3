//! The bridge: drains call batches into one JSON text and a table of numbers, and sends answers home.
//!
//! Lives on the JavaScript thread only. There is no bridge thread.

use std::sync::Arc;
use std::time::Instant;

use fasttunnel_engine::limits::{ANSWERS_POOL, QUEUE_KEEPS_CALLS};
use fasttunnel_engine::link::backlog::Backlog;
use fasttunnel_engine::link::batch::{
    AnswerBatch, AnswerRecord, CallBatch, CallKey, CallRecord, Frame, Outcome, StreamHead, flags,
};
use fasttunnel_engine::link::clock;
use fasttunnel_engine::link::host::{Host, Next};
use fasttunnel_engine::link::meter::Run;
use fasttunnel_engine::link::shedder::Shedder;
use fasttunnel_engine::tunnel::json_string::write_json_string;
use fasttunnel_engine::wire::fields::Span;
use slab::Slab;

use crate::frames::{FrameQueue, kind_and_argument};
use crate::layout::{self, news, outcome};
use crate::raw_answer::{RawParts, latin1};
use crate::texts::Texts;

/// Bytes of JSON text in one drain, unless a single call has more. What is beyond waits for the next.
///
/// V8 keeps a longer string (from 128 KiB on) in pages of its own, which are faulted in for it and given back with it,
/// and what is parsed at once is alive at once. With 4 MiB, 64 clients with 10 KiB each got 11 000 answers a second; with
/// this, 14 200.
const MAX_TEXT_BYTES: usize = 100 * 1024;

/// Bytes of streamed answers with which a batch is sent at once: the shard begins to send them while JavaScript goes on,
/// and blocks of memory that cross threads stay small (the allocator keeps many of the large ones that it gets back).
const FULL_BATCH_BYTES: usize = 256 * 1024;

/// A call that JavaScript has been given and has not answered, or not to its end.
struct Live {
    shard: u32,
    key: CallKey,
    /// The client has left; the answer goes nowhere.
    gone: bool,
    /// No call, but a request that is asked about.
    ask: bool,
    /// When JavaScript was given it; 0 when its time does not count (any more).
    taken_ns: u64,
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
    /// The batches behind it.
    backlog: Backlog,
    shedder: Shedder,
    gone: Vec<u32>,
    /// Pieces of bodies on their way to JavaScript.
    frames: FrameQueue,
    /// Refusals not fetched yet: how many, and the members of their JSON array.
    notices: (usize, Vec<u8>),
    next_shard: usize,
    stopped: usize,
    /// What is new of the shards, and not told yet.
    news: u32,
    text: Vec<u8>,
    // Boxes, because they are the very boxes that travel.
    #[allow(clippy::vec_box)]
    answers: Vec<Box<AnswerBatch>>,
    /// Answer batches that have come home.
    #[allow(clippy::vec_box)]
    spare_answers: Vec<Box<AnswerBatch>>,
}

impl Bridge {
    /// A bridge on the host's end of `host`. Calls wait for `queue_timeout_ms`, see [`Shedder`].
    pub fn new(host: Arc<Host>, shards: usize, queue_timeout_ms: u64) -> Self {
        Bridge {
            host,
            shards,
            live: Slab::new(),
            tickets: vec![Vec::new(); shards],
            loans: Slab::new(),
            fresh: Vec::new(),
            cursor: None,
            backlog: Backlog::new(shards),
            shedder: Shedder::new(queue_timeout_ms),
            gone: Vec::new(),
            frames: FrameQueue::default(),
            notices: (0, Vec::new()),
            next_shard: 0,
            stopped: 0,
            news: 0,
            text: Vec::new(),
            answers: (0..shards).map(|_| Box::default()).collect(),
            spare_answers: Vec::new(),
        }
    }

    /// The host's end of the link.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Calls given to JavaScript and not answered.
    pub fn live(&self) -> usize {
        self.live.len()
    }

    /// Drains what the shards have sent into `table`; the JSON array of the bodies, or nothing when there are no calls.
    /// At most `max_calls`, and one at least: the others wait. When there is nothing at all, not even a client that has gone, the host parks: the next batch rings.
    pub fn drain(&mut self, table: &mut [u32], max_calls: usize) -> Option<&[u8]> {
        let max_calls = max_calls.clamp(1, layout::MAX_CALLS);
        // While every handler waits there are no answers, with which batches go home otherwise; their bodies are read.
        self.return_loans();
        loop {
            self.host.awake();
            let all = self.fetch();
            self.shed();
            let calls = self.fill(table, max_calls);
            let gone = self.write_gone(table, calls);
            let frames = self.frames.portion();
            write(table, layout::CALLS, calls);
            write(table, layout::GONE, gone);
            write(table, layout::NOTICES, self.notices.0);
            let all_stopped = if self.stopped == self.shards { news::STOPPED } else { 0 };
            write(table, layout::SHARDS, (std::mem::take(&mut self.news) | all_stopped) as usize);
            write(table, layout::FRAMES, frames);
            if calls > 0 {
                self.text.push(b']');
                return Some(&self.text);
            }
            // With something to take, to abort or to tell, JavaScript polls again when it has; otherwise park, unless
            // more has come.
            if gone > 0 || frames > 0 || self.notices.0 > 0 || (all && self.host.try_park()) {
                return None;
            }
        }
    }

    /// The engine has ended: lets its letter boxes go, whose descriptors would stay open until JavaScript collects us.
    pub fn detach(&mut self) {
        self.host = Arc::new(Host::new(0, || {}));
    }

    fn fill(&mut self, table: &mut [u32], max_calls: usize) -> usize {
        self.text.clear();
        let mut calls = 0;
        while calls == 0 || (calls < max_calls && self.cursor.is_none()) {
            let Some((loan, from)) = self.cursor.take().or_else(|| self.next_batch()) else {
                if self.backlog.is_empty() {
                    self.backlog.forget_departed();
                }
                break;
            };
            calls = self.fill_from(loan, from, table, calls, max_calls);
        }
        calls
    }

    /// The next batch with calls, as a loan; the frames of those before it are taken.
    fn next_batch(&mut self) -> Option<(u32, usize)> {
        while !self.frames.is_full() {
            let (shard, mut batch) = self.backlog.pop()?;
            if !batch.records.is_empty() {
                return Some((self.loans.insert(Loan { shard, batch }) as u32, 0));
            }
            self.frames.take(shard, &mut batch);
            self.host.recycle(shard as usize, batch);
        }
        None
    }

    /// Fetches what the shards have sent, in turn, into the backlog. False when that was not all.
    fn fetch(&mut self) -> bool {
        let mut empty = 0;
        while empty < self.shards {
            // Refusals and frames need no call to travel: without a bound, a crowd of them would keep this loop going.
            if self.notices.0 >= layout::MAX_GONE || self.frames.is_full() || self.backlog.is_full() {
                return false;
            }
            let shard = self.next_shard;
            self.next_shard = (shard + 1) % self.shards.max(1);
            match self.host.next(shard) {
                Next::Calls(mut batch) => {
                    let room = ANSWERS_POOL.saturating_sub(self.spare_answers.len());
                    self.spare_answers.extend(batch.answers_home.drain(..).take(room));
                    self.note_notices(&batch);
                    self.news |= if batch.restarted { news::RESTARTED } else { 0 };
                    self.note_gone(shard, &batch.gone);
                    if batch.records.is_empty() && batch.frames.is_empty() {
                        self.host.recycle(shard, batch);
                    } else {
                        // Frames keep their place behind the calls that they belong to.
                        self.backlog.push(shard as u32, batch);
                    }
                    empty = 0;
                }
                Next::Stopped => self.stopped += 1,
                Next::Failed => {
                    self.stopped += 1;
                    self.news |= news::FAILED;
                    self.forsake(shard as u32);
                }
                Next::Nothing => empty += 1,
            }
        }
        true
    }

    /// Answers calls that have waited too long.
    fn shed(&mut self) {
        let now = Instant::now();
        let Some(before) = self.shedder.look(now, self.waits_since()) else { return };
        loop {
            if self.cursor.is_none() {
                self.cursor = self.next_batch();
            }
            let Some((loan_index, from)) = self.cursor else { break };
            let Some(loan) = self.loans.get(loan_index as usize) else { break };
            let waiting = loan.batch.records.len() - from + self.backlog.calls();
            let late = loan.batch.arrival_of(from).is_some_and(|at| at < before);
            let Some(record) = loan.batch.records.get(from).filter(|_| late && waiting > QUEUE_KEEPS_CALLS) else {
                break;
            };
            if let Some(batch) = self.answers.get_mut(loan.shard as usize)
                && !self.backlog.has_departed(loan.shard, record.key)
            {
                batch.push(record.key, Outcome::Overloaded, b"");
            }
            self.cursor = Some((loan_index, from + 1));
            if from + 1 == loan.batch.records.len() {
                self.cursor = None;
                self.end_batch(loan_index);
            }
        }
        self.send_answers(clock::now_ns());
        self.return_loans();
    }

    /// Since when the first call waits that JavaScript was not given.
    fn waits_since(&self) -> Option<Instant> {
        match self.cursor {
            Some((loan, from)) => self.loans.get(loan as usize)?.batch.arrival_of(from),
            None => self.backlog.first()?.arrival_of(0),
        }
    }

    /// The calls of a batch have been looked at: its frames come next.
    fn end_batch(&mut self, loan_index: u32) {
        if let Some(loan) = self.loans.get_mut(loan_index as usize) {
            self.frames.take(loan.shard, &mut loan.batch);
        }
    }

    fn fill_from(
        &mut self,
        loan_index: u32,
        from: usize,
        table: &mut [u32],
        mut calls: usize,
        max_calls: usize,
    ) -> usize {
        let Some(loan) = self.loans.get(loan_index as usize) else { return calls };
        let records = loan.batch.records.get(from..).unwrap_or_default();
        let (mut seen, mut asks, mut given, taken_ns) = (0_usize, 0_u64, 0_u64, clock::now_ns());
        // The texts of a batch lie one behind the other, commas included: one copy for all of a run.
        let mut run: Option<Span> = None;
        for record in records {
            let bytes = run.as_ref().map_or(0, Span::len);
            let too_much = self.text.len() + bytes + record.body.len() > MAX_TEXT_BYTES;
            if calls == max_calls || (calls > 0 && too_much) {
                break;
            }
            seen += 1;
            if self.backlog.has_departed(loan.shard, record.key) {
                append_texts(&mut self.text, run.take(), &loan.batch.json);
                continue;
            }
            let ticket = self.live.insert(live_of(loan_index, loan.shard, record, taken_ns)) as u32;
            asks += u64::from(record.flags & flags::ASK != 0);
            given += 1;
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
            run = Some(Span { start: run.map_or(record.body.start, |run| run.start), end: record.body.end });
            calls += 1;
        }
        if let Some(meter) = self.host.meter(loan.shard as usize) {
            let waited_ns = taken_ns.saturating_sub(loan.batch.handed_over_ns);
            meter.queue_ns.record(waited_ns, given - asks);
        }
        append_texts(&mut self.text, run, &loan.batch.json);
        if seen < records.len() {
            self.cursor = Some((loan_index, from + seen));
        } else {
            self.end_batch(loan_index);
        }
        calls
    }

    /// Notes that nobody waits for these calls any more: JavaScript has them, or they wait for it.
    fn note_gone(&mut self, shard: usize, keys: &[CallKey]) {
        for key in keys {
            let ticket = ticket_of(&self.tickets, &self.live, shard as u32, *key);
            let Some(live) = ticket.and_then(|ticket| self.live.get_mut(ticket as usize)) else {
                self.backlog.depart(shard, *key);
                continue;
            };
            if !std::mem::replace(&mut live.gone, true) {
                self.gone.extend(ticket);
            }
        }
    }

    /// A shard is gone, and all of its clients.
    fn forsake(&mut self, shard: u32) {
        for (ticket, live) in &mut self.live {
            if live.shard == shard && !std::mem::replace(&mut live.gone, true) {
                self.gone.push(ticket as u32);
            }
        }
    }

    /// The next of the frames that the last drain has counted: writes ticket, kind and argument into `table`, and
    /// returns the bytes, if the frame has any. Kind 0: its call is over, there is nothing to do.
    pub fn next_frame(&mut self, table: &mut [u32]) -> Option<&[u8]> {
        let row = table.get_mut(layout::FRAME..)?.first_chunk_mut::<3>()?;
        *row = [0; 3];
        let (shard, Frame { key, kind, .. }, bytes) = self.frames.next()?;
        // Looked up only now: the ticket may name another call than it did at the drain.
        let ticket = ticket_of(&self.tickets, &self.live, shard, key)?;
        let (kind, argument) = kind_and_argument(kind);
        *row = [ticket, kind, argument];
        Some(bytes).filter(|bytes| !bytes.is_empty())
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
        let (now_ns, mut run) = (clock::now_ns(), Run::default());
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
            run.add(live.shard, live.taken_ns, |shard, since_ns, calls| {
                note_run(&self.host, shard, since_ns, now_ns, calls)
            });
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
        run.end(|shard, since_ns, calls| note_run(&self.host, shard, since_ns, now_ns, calls));
        self.text = whole;
        self.send_answers(now_ns);
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
        note_run(&self.host, live.shard, live.taken_ns, clock::now_ns(), 1);
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

    /// Takes the head of an answer whose body follows in pieces; like them it leaves with the next answers. False when
    /// any of it may not be written: then it was a 500, and the call is over.
    pub fn open_stream(&mut self, ticket: u32, raw: &RawParts<'_>, length: Option<u64>) -> bool {
        let Some(head) = raw.compile() else {
            self.answer_raw(ticket, raw);
            return false;
        };
        let (head, bytes) = head;
        if let Some(live) = self.live.get_mut(ticket as usize) {
            // What follows goes at the pace of its source and of the client.
            note_run(&self.host, live.shard, std::mem::take(&mut live.taken_ns), clock::now_ns(), 1);
        }
        self.append(ticket, Outcome::Open(StreamHead { head, length }), &bytes)
    }

    /// Takes a piece of a body that was opened, or the word on the body of the request. False when there is no such
    /// call (any more).
    pub fn append(&mut self, ticket: u32, outcome: Outcome, bytes: &[u8]) -> bool {
        let Some(live) = self.live.get(ticket as usize).filter(|live| !live.ask) else { return false };
        if let Some(batch) = self.answers.get_mut(live.shard as usize).filter(|_| !live.gone) {
            batch.push_raw(live.key, outcome, |raw| raw.extend_from_slice(bytes));
            if batch.raw.len() >= FULL_BATCH_BYTES {
                let next = self.spare_answers.pop().unwrap_or_default();
                self.host.answer(live.shard as usize, std::mem::replace(batch, next));
            }
        }
        true
    }

    /// Takes the end of a body that was opened: the call is over.
    pub fn close_stream(&mut self, ticket: u32, outcome: Outcome) {
        if self.append(ticket, outcome, b"") {
            self.live.try_remove(ticket as usize);
        }
    }

    fn send_answers(&mut self, now_ns: u64) {
        for (shard, batch) in self.answers.iter_mut().enumerate() {
            if !batch.records.is_empty() {
                let next = self.spare_answers.pop().unwrap_or_default();
                batch.answered_ns = now_ns;
                self.host.answer(shard, std::mem::replace(batch, next));
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

/// Appends texts that lie one behind the other in `json`.
fn append_texts(text: &mut Vec<u8>, texts: Option<Span>, json: &[u8]) {
    if let Some(texts) = texts {
        text.push(if text.is_empty() { b'[' } else { b',' });
        text.extend_from_slice(texts.of(json));
    }
}

/// The ticket of a call that JavaScript has not answered.
fn ticket_of(tickets: &[Vec<u32>], live: &Slab<Live>, shard: u32, key: CallKey) -> Option<u32> {
    let ticket = *tickets.get(shard as usize)?.get(key.slot as usize)?;
    live.get(ticket as usize).filter(|live| live.shard == shard && live.key == key).map(|_| ticket)
}

fn live_of(batch: u32, shard: u32, record: &CallRecord, now_ns: u64) -> Live {
    let head = HeadPlace::Loan { batch, request_id: record.request_id, head: record.head() };
    let ask = record.flags & flags::ASK != 0;
    Live { shard, key: record.key, gone: false, ask, taken_ns: if ask { 0 } else { now_ns }, head }
}

/// Records how long calls of a shard were JavaScript's, if that counts.
fn note_run(host: &Host, shard: u32, taken_ns: u64, now_ns: u64, calls: u64) {
    if taken_ns != 0
        && let Some(meter) = host.meter(shard as usize)
    {
        meter.host_ns.record(now_ns.saturating_sub(taken_ns), calls);
    }
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
