//! In: answers from the backend to the connections that wait, in request order.

use crate::limits::ALWAYS_ANSWERED_BYTES;
use crate::link::batch::{AnswerBatch, Outcome};
use crate::shard::Shard;
use crate::shard::connection::conn::Conn;
use crate::shard::exchange::own_fields::OwnFields;
use crate::tunnel::envelope::Refusal;
use crate::wire::answer::Answer;
use crate::wire::reply::Connection;

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
            if let Some(conn) = self.conns.borrow().get(slot.conn as usize) {
                if (slot.opened || record.outcome.is_of_a_stream()) && !slot.ask {
                    self.take_stream_record(&mut slots, conn, record, &answers.raw);
                    streamed.push(conn.clone());
                    continue;
                }
                if slot.ask {
                    self.take_advice(conn, record, &answers.raw, slot.own());
                    self.counters.answered.add(1);
                    slots.release(record.key);
                    continue;
                }
                if record.outcome == Outcome::Overloaded {
                    self.counters.shed.add(1);
                }
                let fits = record.body.len() <= ALWAYS_ANSWERED_BYTES || !self.holds_too_much(&self.open.borrow());
                if !fits {
                    self.counters.discarded_answers.add(1);
                }
                let streams = slot.streams();
                let last = conn.is_last(slot.sequence) || (streams && self.body_ends_connection(conn, record.key));
                let connection = self.connection(last);
                let give = |answer: &Answer<'_>| conn.answer(slot.sequence, answer, connection);
                let in_turn = if fits {
                    let bytes = if matches!(record.outcome, Outcome::Raw(_)) { &answers.raw } else { &answers.json };
                    self.with_outcome(record.outcome, record.body.of(bytes), slot.own(), give)
                } else {
                    self.with_refusal(Refusal::Internal, slot.own().all(), false, give)
                };
                conn.note_answered(since_ns, in_turn);
                whole += 1;
                if streams {
                    // It may be answered before its body has been read.
                    self.discard_body(conn, record.key);
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

    pub(in crate::shard) fn connection(&self, last: bool) -> Connection {
        if last { Connection::Close } else { Connection::KeepAlive { hint_s: self.limits.keep_alive_hint_s } }
    }

    /// Refuses a request that was just read.
    pub(in crate::shard) fn refuse(&self, conn: &Conn, refusal: Refusal<'_>, own: OwnFields<'_>, last: bool) {
        let give = |answer: &Answer<'_>| conn.answer_now(answer, self.connection(last));
        self.with_refusal(refusal, own.all(), false, give);
    }

    /// Answers the call with number `sequence` by a refusal.
    pub(in crate::shard) fn refuse_call(
        &self,
        conn: &Conn,
        sequence: u64,
        refusal: Refusal<'_>,
        own: OwnFields<'_>,
        last: bool,
    ) {
        let give = |answer: &Answer<'_>| conn.answer(sequence, answer, self.connection(last));
        self.with_refusal(refusal, own.all(), false, give);
    }
}
