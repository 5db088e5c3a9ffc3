//! From the link to the event loop: batches are fetched, wait their turn, and are given out call by call.

use std::time::{Duration, Instant};

use super::backlog::Backlog;
use super::frames::FrameQueue;
use super::loans::{Loans, live_of};
use super::notices::Notices;
use super::outbox::Outbox;
use super::shedder::Shedder;
use super::tickets::Tickets;
use crate::limits::{DRAIN_NOTICES, DRAIN_TEXT_BYTES, QUEUE_KEEPS_CALLS};
use crate::link::batch::{CallBatch, CallKey, CallRecord, Outcome, flags};
use crate::link::clock;
use crate::link::host::{Host, Next};
use crate::link::parts;
use crate::link::tasks::NumbersHere;
use crate::wire::fields::Span;

/// Where the event loop wants to read of a call that it is given.
pub trait Rows {
    /// The call at place `at` of this drain.
    fn call(&mut self, at: usize, ticket: u32, record: &CallRecord);
    /// The client of a call that was given before has left: at place `at` behind all `calls` of this drain.
    fn departed(&mut self, calls: usize, at: usize, ticket: u32);
}

/// What a drain has given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Calls in the rows, with as many texts.
    pub calls: usize,
    /// Calls whose clients have left.
    pub departed: usize,
    /// Frames to be fetched.
    pub frames: usize,
    /// Refusals to be fetched.
    pub notices: usize,
    /// A shard has failed and was started anew.
    pub restarted: bool,
    /// A shard has failed and is given up.
    pub failed: bool,
    /// Every shard has ended.
    pub stopped: bool,
}

/// See the module.
pub(super) struct Feed {
    shards: usize,
    /// The shard that is looked at next.
    next_shard: usize,
    /// Shards that have ended.
    stopped: usize,
    /// What is new of the shards, and not told yet.
    restarted: bool,
    failed: bool,
    /// Batches whose calls were given out, or are.
    pub loans: Loans,
    /// The batch that did not fit the last drain: its loan, and its next record.
    cursor: Option<(u32, usize)>,
    /// The batches behind it.
    backlog: Backlog,
    shedder: Shedder,
    /// Which meter each handler has.
    labels: NumbersHere,
    /// Pieces of bodies on their way to the event loop.
    pub frames: FrameQueue,
    pub notices: Notices,
}

impl Feed {
    /// Calls wait for `queue_timeout_ms`, see [`Shedder`].
    pub fn new(shards: usize, queue_timeout_ms: u64) -> Self {
        Feed {
            shards,
            next_shard: 0,
            stopped: 0,
            restarted: false,
            failed: false,
            loans: Loans::default(),
            cursor: None,
            backlog: Backlog::new(shards),
            shedder: Shedder::new(queue_timeout_ms),
            labels: NumbersHere::default(),
            frames: FrameQueue::default(),
            notices: Notices::default(),
        }
    }

    /// Sends batches home.
    pub fn give_back(&mut self, tickets: &mut Tickets, link: &Host) {
        self.loans.give_back(tickets, self.cursor.map(|(loan, _)| loan), link);
    }

    /// Calls that have come and were not given out.
    pub fn waiting(&self) -> usize {
        let begun = self.cursor.and_then(|(loan, from)| Some(self.loans.get(loan)?.batch.records.len() - from));
        begun.unwrap_or(0) + self.backlog.calls()
    }

    /// The batches whose calls were not given out, with their shards, in order; they are for somebody else.
    pub fn leave(&mut self) -> Vec<(u32, Box<CallBatch>)> {
        let begun = self.cursor.take().and_then(|(loan, from)| {
            let (shard, mut batch) = self.loans.take(loan)?;
            parts::drop_first(&mut batch, from);
            Some((shard, batch))
        });
        let mut left: Vec<_> = begun.into_iter().chain(std::iter::from_fn(|| self.backlog.pop())).collect();
        for (shard, batch) in &mut left {
            // Those that were fetched were heard of then.
            batch.gone = batch.records.iter().map(|record| record.key).collect();
            batch.gone.retain(|key| self.backlog.has_departed(*shard, *key));
            batch.notices.clear();
            batch.restarted = false;
        }
        left
    }

    /// What is new beside calls and clients that have left.
    pub fn news(&self) -> Drained {
        Drained {
            frames: self.frames.portion(),
            notices: self.notices.count(),
            restarted: self.restarted,
            failed: self.failed,
            stopped: self.stopped == self.shards,
            ..Drained::default()
        }
    }

    /// The event loop has been told what is new of the shards.
    pub fn forget_news(&mut self) {
        (self.restarted, self.failed) = (false, false);
    }

    /// Fetches what the shards have sent, in turn, into the backlog. False when that was not all.
    pub fn fetch(&mut self, tickets: &mut Tickets, outbox: &mut Outbox, link: &Host) -> bool {
        let apart = link.apart_news();
        self.restarted |= apart.restarted;
        self.failed |= apart.failed;
        let mut empty = 0;
        while empty < self.shards {
            // Refusals and frames need no call to travel: without a bound, a crowd of them would keep this loop going.
            if self.notices.count() >= DRAIN_NOTICES || self.frames.is_full() || self.backlog.is_full() {
                return false;
            }
            let shard = self.next_shard;
            self.next_shard = (shard + 1) % self.shards.max(1);
            match link.next(shard) {
                Next::Calls(mut batch) => {
                    outbox.keep(&mut batch.answers_home);
                    self.notices.note(&batch);
                    self.restarted |= batch.restarted;
                    self.note_gone(shard, &batch.gone, tickets);
                    if batch.records.is_empty() && batch.frames.is_empty() {
                        link.recycle(shard, batch);
                    } else {
                        // Frames keep their place behind the calls that they belong to.
                        self.backlog.push(shard as u32, batch);
                    }
                    empty = 0;
                }
                Next::Stopped => self.stopped += 1,
                Next::Failed => {
                    self.stopped += 1;
                    self.failed = true;
                    tickets.forsake(shard as u32);
                }
                Next::Nothing => empty += 1,
            }
        }
        true
    }

    /// Notes that nobody waits for these calls any more: the event loop has them, or they wait for it.
    fn note_gone(&mut self, shard: usize, keys: &[CallKey], tickets: &mut Tickets) {
        for key in keys {
            match tickets.find(shard as u32, *key) {
                Some(ticket) => tickets.depart(ticket),
                None => self.backlog.depart(shard, *key),
            }
        }
    }

    /// Answers calls that have waited too long. True when there were any that may be sent.
    pub fn shed(&mut self, outbox: &mut Outbox, link: &Host) -> bool {
        let (now, oldest) = (Instant::now(), self.waits_since());
        link.note_wait(oldest.map_or(Duration::ZERO, |at| now.saturating_duration_since(at)));
        let Some(before) = self.shedder.look(now, oldest) else { return false };
        loop {
            if self.cursor.is_none() {
                self.cursor = self.next_batch(link);
            }
            let Some((loan_index, from)) = self.cursor else { break };
            let Some(loan) = self.loans.get(loan_index) else { break };
            let waiting = loan.batch.records.len() - from + self.backlog.calls();
            let late = loan.batch.arrival_of(from).is_some_and(|at| at < before);
            let Some(record) = loan.batch.records.get(from).filter(|_| late && waiting > QUEUE_KEEPS_CALLS) else {
                break;
            };
            if let Some(batch) = outbox.of(loan.shard)
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
        true
    }

    /// Since when the first call waits that was not given out.
    fn waits_since(&self) -> Option<Instant> {
        match self.cursor {
            Some((loan, from)) => self.loans.get(loan)?.batch.arrival_of(from),
            None => self.backlog.first()?.arrival_of(0),
        }
    }

    /// Gives out calls: rows, and their bodies behind one another in `text`, as a JSON array without its end. How many.
    pub fn fill(
        &mut self,
        tickets: &mut Tickets,
        link: &Host,
        rows: &mut impl Rows,
        text: &mut Vec<u8>,
        max_calls: usize,
    ) -> usize {
        if let Some(tasks) = link.tasks() {
            self.labels.look(tasks);
        }
        let mut calls = 0;
        while calls == 0 || (calls < max_calls && self.cursor.is_none()) {
            let Some((loan, from)) = self.cursor.take().or_else(|| self.next_batch(link)) else {
                if self.backlog.is_empty() {
                    self.backlog.forget_departed();
                }
                break;
            };
            calls = self.fill_from(loan, from, tickets, link, rows, text, calls, max_calls);
        }
        calls
    }

    #[allow(clippy::too_many_arguments)]
    fn fill_from(
        &mut self,
        loan_index: u32,
        from: usize,
        tickets: &mut Tickets,
        link: &Host,
        rows: &mut impl Rows,
        text: &mut Vec<u8>,
        mut calls: usize,
        max_calls: usize,
    ) -> usize {
        let Some((loan, fresh)) = self.loans.open(loan_index) else { return calls };
        let records = loan.batch.records.get(from..).unwrap_or_default();
        let (mut seen, mut asks, mut given, taken_ns) = (0_usize, 0_u64, 0_u64, clock::now_ns());
        let queued_ns = taken_ns.saturating_sub(loan.batch.handed_over_ns);
        // The texts of a batch lie one behind the other, commas included: one copy for all of a run.
        let mut run: Option<Span> = None;
        for record in records {
            let bytes = run.as_ref().map_or(0, Span::len);
            let too_much = text.len() + bytes + record.body.len() > DRAIN_TEXT_BYTES;
            if calls == max_calls || (calls > 0 && too_much) {
                break;
            }
            seen += 1;
            if self.backlog.has_departed(loan.shard, record.key) {
                append_texts(text, run.take(), &loan.batch.json);
                continue;
            }
            let label = self.labels.of(record.handler);
            let ticket = tickets.issue(live_of(loan_index, loan.shard, record, taken_ns, queued_ns, label));
            asks += u64::from(record.flags & flags::ASK != 0);
            given += 1;
            rows.call(calls, ticket, record);
            run = Some(Span { start: run.map_or(record.body.start, |run| run.start), end: record.body.end });
            fresh.push((ticket, loan_index));
            calls += 1;
        }
        if let Some(meter) = link.meter(loan.shard as usize) {
            meter.queue_ns.record(queued_ns, given - asks);
        }
        append_texts(text, run, &loan.batch.json);
        if seen < records.len() {
            self.cursor = Some((loan_index, from + seen));
        } else {
            self.end_batch(loan_index);
        }
        calls
    }

    /// The next batch with calls, as a loan; the frames of those before it are taken.
    fn next_batch(&mut self, link: &Host) -> Option<(u32, usize)> {
        while !self.frames.is_full() {
            let (shard, mut batch) = self.backlog.pop()?;
            if !batch.records.is_empty() {
                return Some((self.loans.lend(shard, batch), 0));
            }
            self.frames.take(shard, &mut batch);
            link.recycle(shard as usize, batch);
        }
        None
    }

    /// The calls of a batch have been looked at: its frames come next.
    fn end_batch(&mut self, loan: u32) {
        if let Some(loan) = self.loans.get_mut(loan) {
            self.frames.take(loan.shard, &mut loan.batch);
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
