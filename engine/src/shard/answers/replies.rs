//! In: answers from the backend to the connections that wait, in request order, and the bytes of every answer.

use crate::limits::ALWAYS_ANSWERED_BYTES;
use crate::link::batch::{AnswerBatch, AnswerRecord, Outcome, RawAnswer};
use crate::shard::Shard;
use crate::shard::calls::slots::Slot;
use crate::tunnel::decide::Decision;
use crate::tunnel::envelope::{self, Refusal};
use crate::wire::answer_body::AnswerFraming;
use crate::wire::raw_reply::{RawReply, has_content, is_final_status};
use crate::wire::reply::{Connection, Content, KEEP_ALIVE_HINT_S, ReplyHead, encode_json_ok};

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
                    self.take_advice(conn, record, &answers.raw, &slot.lines, slot.id_line);
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
                let in_turn = conn.answer(slot.sequence, |out| {
                    if !fits {
                        self.write_refusal(out, Refusal::Internal, &slot.lines, false, last);
                    } else if let Outcome::Raw(raw) = record.outcome {
                        self.write_raw(out, raw, record.body.of(&answers.raw), slot, connection);
                    } else {
                        self.write_answer(out, record, record.body.of(&answers.json), &slot.lines, connection);
                    }
                });
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

    fn write_answer(
        &self,
        out: &mut Vec<u8>,
        record: &AnswerRecord,
        text: &[u8],
        lines: &[u8],
        connection: Connection,
    ) {
        let refusal = match record.outcome {
            Outcome::Result => {
                self.write_head(out, 200, lines, envelope::ok_result_len(text.len()), connection);
                return envelope::ok_result(out, text);
            }
            Outcome::Done => {
                self.write_head(out, 200, lines, envelope::OK.len(), connection);
                return out.extend_from_slice(envelope::OK);
            }
            Outcome::Failed { status } => {
                self.write_head(out, status, lines, text.len(), connection);
                return out.extend_from_slice(text);
            }
            // Raw answers are written by `write_raw`; nobody has asked for advice on a call.
            Outcome::InvalidJson => Refusal::InvalidJson,
            Outcome::TimedOut => Refusal::HandlerTimeout,
            Outcome::Overloaded => Refusal::ServiceUnavailable,
            _ => Refusal::Internal,
        };
        self.write_refusal(out, refusal, lines, false, matches!(connection, Connection::Close));
    }

    fn write_raw(&self, out: &mut Vec<u8>, raw: RawAnswer, bytes: &[u8], slot: &Slot, connection: Connection) {
        let (reason, rest) = bytes.split_at_checked(raw.reason_len as usize).unwrap_or_default();
        let Some((lines, body)) = rest.split_at_checked(raw.lines_len as usize).filter(|_| is_final_status(raw.status))
        else {
            return self.write_refusal(out, Refusal::Internal, &slot.lines, false, connection == Connection::Close);
        };
        let framing = AnswerFraming::Length(body.len() as u64);
        self.write_raw_head(out, raw, reason, lines, framing, slot, connection);
        if has_content(raw.status) {
            out.extend_from_slice(body);
        }
    }

    /// Writes the head of an answer of the application's own.
    #[allow(clippy::too_many_arguments)]
    pub(in crate::shard) fn write_raw_head(
        &self,
        out: &mut Vec<u8>,
        raw: RawAnswer,
        reason: &[u8],
        lines: &[u8],
        framing: AnswerFraming,
        slot: &Slot,
        connection: Connection,
    ) {
        let own = if raw.cors { &slot.lines[..] } else { slot.lines.get(..slot.id_line).unwrap_or_default() };
        let date = &self.clock.date();
        RawReply { status: raw.status, reason, own, lines, framing, security: raw.security, date, connection }
            .encode(out);
    }

    fn write_head(&self, out: &mut Vec<u8>, status: u16, lines: &[u8], length: usize, connection: Connection) {
        let date = &self.clock.date();
        let length = length as u64;
        if status == 200 && connection == (Connection::KeepAlive { hint_s: KEEP_ALIVE_HINT_S }) {
            return encode_json_ok(out, lines, length, date);
        }
        let content = Some(Content { media_type: envelope::CONTENT_TYPE.as_bytes(), length });
        ReplyHead { status, lines, content, security: true, date, connection }.encode(out);
    }

    /// Writes the answer to a request that became no call.
    pub(in crate::shard) fn write_decision(
        &self,
        out: &mut Vec<u8>,
        answer: Decision<'_>,
        lines: &[u8],
        head_only: bool,
        last: bool,
    ) {
        match answer {
            Decision::Refuse(refusal) => self.write_refusal(out, refusal, lines, head_only, last),
            Decision::Outside => self.write_refusal(out, Refusal::NotFound, lines, head_only, last),
            Decision::Discovery => {
                let exposure = self.exposure.borrow();
                let body = exposure.table.discovery();
                self.write_head(out, 200, lines, body.len(), self.connection(last));
                out.extend_from_slice(body);
            }
            Decision::Preflight => ReplyHead {
                status: 204,
                lines,
                content: None,
                security: false,
                date: &self.clock.date(),
                connection: self.connection(last),
            }
            .encode(out),
            // The caller has dealt with both.
            Decision::Call { .. } | Decision::Ask(_) => {
                self.write_refusal(out, Refusal::Unauthorized, lines, head_only, last);
            }
        }
    }

    /// Writes the envelope of a refusal.
    pub(in crate::shard) fn write_refusal(
        &self,
        out: &mut Vec<u8>,
        refusal: Refusal<'_>,
        lines: &[u8],
        head_only: bool,
        last: bool,
    ) {
        let mut body = self.body.borrow_mut();
        body.clear();
        refusal.write_body(&mut body);
        let connection = self.connection(last);
        if refusal == Refusal::ServiceUnavailable {
            let mut retry = self.retry_lines.borrow_mut();
            retry.clear();
            retry.extend_from_slice(lines);
            retry.extend_from_slice(envelope::RETRY_AFTER);
            self.write_head(out, refusal.status(), &retry, body.len(), connection);
        } else {
            self.write_head(out, refusal.status(), lines, body.len(), connection);
        }
        if !head_only {
            out.extend_from_slice(&body);
        }
    }
}

/// The refusal that goes with the status of a malformed, too large or too slow request.
pub(in crate::shard) fn refusal_of(status: u16) -> Refusal<'static> {
    match status {
        408 => Refusal::RequestTimeout,
        413 => Refusal::PayloadTooLarge,
        414 => Refusal::UriTooLong,
        417 => Refusal::ExpectationFailed,
        431 => Refusal::HeaderFieldsTooLarge,
        501 => Refusal::NotImplemented,
        505 => Refusal::VersionNotSupported,
        _ => Refusal::BadRequest,
    }
}
