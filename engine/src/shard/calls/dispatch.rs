//! Out: calls into the open batch, the batch to the backend at the end of the tick.

use std::time::Instant;

use crate::limits::{ANSWERS_POOL, BATCH_POOL, MAX_BATCH_BYTES};
use crate::link::batch::{AnswerBatch, CallBatch, CallKey, CallRecord, flags};
use crate::link::callers::Numbers;
use crate::link::gate::Permit;
use crate::link::peers::{Entered, NO_PEER};
use crate::shard::Shard;
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::own_fields::OwnFields;
use crate::shard::exchange::ready_call::ReadyCall;
use crate::shard::exchange::sink::{Place, Sink};
use crate::tunnel::envelope::Refusal;
use crate::tunnel::json::{JsonVerdict, input_of};
use crate::tunnel::json_string::write_json_string;

impl Shard {
    /// True when no further call may be taken on. A batch that the backend refuses counts whole, because calls whose
    /// clients have left keep their place in it.
    pub(in crate::shard) fn is_full(&self) -> bool {
        let open = self.open.borrow();
        self.slots.borrow().len() >= self.max_calls
            || open.records.len() >= self.max_calls
            || open.json.len() + open.heads.len() >= MAX_BATCH_BYTES
            || self.holds_too_much(&open)
    }

    /// Checks the body of a call and appends the call to the open batch; answers it here when it cannot run.
    pub(in crate::shard) fn dispatch(&self, exchange: Exchange<'_, impl Sink>, call: &ReadyCall<'_>, last: bool) {
        let mut checker = self.checker.borrow_mut();
        let (text, mut bits): (&[u8], u32) = match checker.check(call.body) {
            JsonVerdict::Invalid => return self.refuse_ready(exchange, call, Refusal::InvalidJson, last),
            JsonVerdict::Empty => (b"null", flags::EMPTY),
            JsonVerdict::Input(text) if self.bare_inputs && !call.event => (input_of(text), flags::INPUT),
            JsonVerdict::Plain(text) | JsonVerdict::Input(text) => (text, 0),
            JsonVerdict::Marked(text) => (text, flags::MARKED),
        };
        if call.event {
            bits |= flags::EVENT;
        }
        let Some(permits) = self.let_begin(call.caller) else {
            self.counters.limited.add(1);
            return self.refuse_ready(exchange, call, Refusal::TooManyCalls, last);
        };
        let Some(key) = self.take_slot(exchange.sink.place(), call.own, false) else {
            self.counters.overloaded.add(1);
            return self.refuse_ready(exchange, call, Refusal::ServiceUnavailable, last);
        };
        self.hold(key, permits);
        self.note_version(key, call.old);
        let mut open = self.open.borrow_mut();
        let start = open.open_body();
        if bits & flags::MARKED != 0 && self.exact_bodies {
            bits |= flags::TEXT;
            // What the checker passes is UTF-8.
            write_json_string(&mut open.json, std::str::from_utf8(text).unwrap_or_default());
        } else {
            open.json.extend_from_slice(text);
        }
        let body = open.close_body(start);
        let peer = exchange.sink.peer(&self.peers).map_or(NO_PEER, Entered::number);
        let (request_id, fields) = open.push_call_head(call.own.request_id(), call.head);
        open.records.push(CallRecord { key, handler: call.handler, flags: bits, body, request_id, fields, peer });
        drop(open);
        exchange.sink.expect(key, call.body.len());
        if last {
            exchange.sink.begin_close();
        }
    }

    /// What gates give for a call of this caller; `None` where one of them is full.
    #[inline]
    pub(in crate::shard) fn let_begin(&self, caller: Numbers) -> Option<Vec<Permit>> {
        if caller.are_none() { Some(Vec::new()) } else { self.caller_limits.enter(caller) }
    }

    /// Holds that until the call is over.
    #[inline]
    pub(in crate::shard) fn hold(&self, key: CallKey, permits: Vec<Permit>) {
        if !permits.is_empty() {
            self.slots.borrow_mut().hold(key, permits);
        }
    }

    /// A slot for the request at `place`; `None` when too many calls are under way.
    pub(in crate::shard) fn take_slot(&self, place: Place, own: OwnFields<'_>, ask: bool) -> Option<CallKey> {
        if self.is_full() {
            return None;
        }
        let mut slots = self.slots.borrow_mut();
        let key = slots.take(place, own, self.call_deadline_ms())?;
        let slot = slots.get_mut(key)?;
        slot.ask = ask;
        Some(key)
    }

    /// Notes that the client of a call speaks HTTP/1.0, if so.
    pub(in crate::shard) fn note_version(&self, key: CallKey, old: bool) {
        if old && let Some(slot) = self.slots.borrow_mut().get_mut(key) {
            slot.old = true;
        }
    }

    /// When a call that begins now is over time, in shard milliseconds.
    fn call_deadline_ms(&self) -> u64 {
        match self.limits.handler_timeout_ms {
            0 => u64::MAX,
            limit => self.clock.exact_now_ms().saturating_add(limit),
        }
    }

    fn refuse_ready(&self, exchange: Exchange<'_, impl Sink>, call: &ReadyCall<'_>, refusal: Refusal<'_>, last: bool) {
        self.counters.refused.add(1);
        self.refuse(exchange, refusal, call.own, last);
    }

    /// Hands the calls of this tick over.
    pub(in crate::shard) fn submit(&self) {
        if self.open.borrow().is_empty() {
            return;
        }
        self.counters.in_flight.set(self.slots.borrow().len() as u64);
        let fresh = self.pool.borrow_mut().pop().unwrap_or_default();
        let mut batch = self.open.replace(fresh);
        batch.answers_home.append(&mut self.answers_pool.borrow_mut());
        let (records, calls, frames) = (batch.records.len() as u64, batch.calls(), batch.frames.len() as u64);
        self.timing.offer(&mut batch);
        batch.weigh(&self.ledger.with_host);
        batch.note_arrival(Instant::now());
        let mut answers = std::mem::take(&mut *self.inline.borrow_mut());
        match self.backend.submit(self.index, batch, &mut answers) {
            // No room, for some of it at least: that stays open and grows; the pool gets its fresh one back.
            Some(refused) if !refused.is_empty() => {
                let taken = records.saturating_sub(refused.records.len() as u64);
                let taken_frames = frames.saturating_sub(refused.frames.len() as u64);
                self.counters.calls.add(taken);
                self.counters.frames.add(taken_frames);
                self.timing.refused(refused.calls());
                let fresh = self.open.replace(refused);
                self.keep(fresh);
                if taken + taken_frames > 0 {
                    self.wake_batch_waiters();
                }
            }
            returned => {
                self.counters.batches.add(1);
                self.counters.calls.add(records);
                self.timing.handed_over(calls);
                self.counters.frames.add(frames);
                self.wake_batch_waiters();
                if let Some(empty) = returned {
                    self.keep(empty);
                }
            }
        }
        if !answers.records.is_empty() {
            self.timing.answers_came(self.take_answers(&answers));
            answers.reset();
        }
        self.inline.replace(answers);
    }

    /// Keeps answers that have been looked at, until the next calls take them home.
    pub(in crate::shard) fn keep_answers(&self, mut answers: Box<AnswerBatch>) {
        let mut pool = self.answers_pool.borrow_mut();
        if pool.len() < ANSWERS_POOL {
            answers.reset();
            pool.push(answers);
        }
    }

    /// Keeps an emptied batch for a later tick.
    pub(in crate::shard) fn keep(&self, mut batch: Box<CallBatch>) {
        batch.reset();
        let mut pool = self.pool.borrow_mut();
        if pool.len() < BATCH_POOL {
            pool.push(batch);
        }
    }

    /// Tells the backend that nobody waits for these calls any more, and frees their slots.
    pub(in crate::shard) fn abandon(&self, keys: &[CallKey]) {
        let mut slots = self.slots.borrow_mut();
        let mut open = self.open.borrow_mut();
        for key in keys {
            if slots.release(*key) {
                self.counters.abandoned.add(1);
                open.gone.push(*key);
            }
        }
        drop(open);
        self.counters.in_flight.set(slots.len() as u64);
        drop(slots);
        self.touch();
    }
}
