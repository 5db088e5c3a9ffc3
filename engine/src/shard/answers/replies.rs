//! In: answers from the backend to the exchanges that wait for them.

use crate::limits::ALWAYS_ANSWERED_BYTES;
use crate::link::batch::{AnswerBatch, AnswerRecord, Outcome};
use crate::shard::Shard;
use crate::shard::calls::slots::{Slot, SlotTable};
use crate::shard::connection::conn::Conn;
use crate::shard::connection::streams::Streams;
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::own_fields::OwnFields;
use crate::shard::exchange::sink::Sink;
use crate::tunnel::envelope::Refusal;
use crate::wire::answer::Answer;

impl Shard {
    /// Gives each answer to the connection that waits for it; an answer for nobody is dropped and counted. Returns how
    /// many whole answers of calls there were.
    pub(in crate::shard) fn take_answers(&self, answers: &AnswerBatch) -> usize {
        let since_ns = if answers.answered_ns == 0 { self.timing.last_ns() } else { answers.answered_ns };
        let mut whole = 0;
        let mut slots = self.slots.borrow_mut();
        let mut streamed = Vec::new();
        for record in &answers.records {
            let Some(slot) = slots.get(record.key) else {
                // Credit for a body whose call is over comes late as a rule.
                if !matches!(record.outcome, Outcome::Credit(_) | Outcome::Discard) {
                    self.counters.dropped.add(1);
                }
                continue;
            };
            if let Some(conn) = self.conns.borrow().get(slot.place.conn as usize) {
                if let Some(streams) = conn.streams() {
                    whole +=
                        usize::from(self.take_answer_of_stream(&mut slots, conn, streams, record, answers, since_ns));
                    continue;
                }
                let exchange = self.exchange_of(conn, slot.place.sequence);
                if (slot.opened || record.outcome.is_of_a_stream()) && !slot.ask {
                    self.take_stream_record(&mut slots, exchange, record, &answers.raw);
                    streamed.push(conn.clone());
                    continue;
                }
                if slot.ask {
                    self.take_advice(self.next_exchange(conn), record, &answers.raw, slot.own());
                    self.counters.answered.add(1);
                    slots.release(record.key);
                    continue;
                }
                let streams = slot.streams();
                let in_turn = self.give_answer(exchange, slot, record, answers);
                conn.note_answered(since_ns, in_turn);
                whole += 1;
                if streams {
                    // It may be answered before its body has been read.
                    self.discard_body(exchange, record.key);
                }
                if slots.streams() > 0 && conn.streams_answer() {
                    streamed.push(conn.clone());
                }
            }
            self.counters.answered.add(1);
            slots.release(record.key);
        }
        self.counters.in_flight.set(slots.len() as u64);
        drop(slots);
        // Not before the whole batch is looked at: most streams are short, and over by now.
        for conn in streamed {
            self.grant(&conn);
        }
        whole
    }

    /// As [`Self::take_answers`], one record for a stream of HTTP/2; true for the whole answer to a call.
    fn take_answer_of_stream(
        &self,
        slots: &mut SlotTable,
        conn: &Conn,
        streams: &Streams,
        record: &AnswerRecord,
        answers: &AnswerBatch,
        since_ns: u64,
    ) -> bool {
        let Some(slot) = slots.get(record.key) else { return false };
        let stream = streams.get(slot.place.sequence);
        let mut whole = false;
        if let Some(stream) = &stream {
            let exchange = self.stream_exchange(conn, streams, stream);
            if (slot.opened || record.outcome.is_of_a_stream()) && !slot.ask {
                self.take_stream_record(slots, exchange, record, &answers.raw);
                return false;
            }
            if slot.ask {
                self.take_advice(exchange, record, &answers.raw, slot.own());
            } else {
                let reads = slot.streams();
                let in_turn = self.give_answer(exchange, slot, record, answers);
                conn.note_answered(since_ns, in_turn);
                if reads {
                    self.discard_body(exchange, record.key);
                }
                whole = true;
            }
        }
        self.counters.answered.add(1);
        slots.release(record.key);
        whole
    }

    /// Gives a whole answer to the exchange that waits for it; true when it can be sent now.
    #[inline]
    pub(in crate::shard) fn give_answer(
        &self,
        exchange: Exchange<'_, impl Sink>,
        slot: &Slot,
        record: &AnswerRecord,
        answers: &AnswerBatch,
    ) -> bool {
        if record.outcome == Outcome::Overloaded {
            self.counters.shed.add(1);
        }
        let fits = record.body.len() <= ALWAYS_ANSWERED_BYTES || !self.holds_too_much(&self.open.borrow());
        if !fits {
            self.counters.discarded_answers.add(1);
        }
        let last = exchange.sink.is_last() || (slot.streams() && self.body_ends_connection(exchange, record.key));
        let give = |answer: &Answer<'_>| exchange.sink.answer(answer, last);
        if !fits {
            return self.with_refusal(Refusal::Internal, slot.own().all(), false, give);
        }
        let bytes = if matches!(record.outcome, Outcome::Raw(_)) { &answers.raw } else { &answers.json };
        self.with_outcome(record.outcome, record.body.of(bytes), slot.own(), give)
    }

    /// Answers by a refusal.
    pub(in crate::shard) fn refuse(
        &self,
        exchange: Exchange<'_, impl Sink>,
        refusal: Refusal<'_>,
        own: OwnFields<'_>,
        last: bool,
    ) {
        self.with_refusal(refusal, own.all(), false, |answer| exchange.sink.answer(answer, last));
    }
}
