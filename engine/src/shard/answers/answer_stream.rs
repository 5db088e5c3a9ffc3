//! Answers that come in pieces: head, pieces and end from the host, credit back to it as the client takes them.

use crate::limits::ANSWER_WINDOW_BYTES;
use crate::link::batch::{AnswerRecord, CallKey, Frame, FrameKind, Outcome, StreamHead};
use crate::shard::Shard;
use crate::shard::answers::wording::raw_answer;
use crate::shard::calls::slots::{Slot, SlotTable};
use crate::shard::connection::conn::Conn;
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::sink::{Opening, Progress, Sink};
use crate::tunnel::envelope::Refusal;
use crate::wire::answer::{Answer, Content};
use crate::wire::fields::Span;

impl Outcome {
    /// True for what does not answer a call whole.
    #[inline]
    pub(in crate::shard) fn is_of_a_stream(&self) -> bool {
        matches!(
            self,
            Outcome::Open(_) | Outcome::Data | Outcome::End | Outcome::Cut | Outcome::Credit(_) | Outcome::Discard
        )
    }
}

/// How a record leaves its call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    GoesOn,
    /// It is answered.
    Over,
    /// It is answered, or its answer broke off, and the host does not know yet.
    GivenUp,
}

impl Shard {
    /// Takes a record of a streamed answer, or one about the body of a call.
    pub(in crate::shard) fn take_stream_record(
        &self,
        slots: &mut SlotTable,
        exchange: Exchange<'_, impl Sink>,
        record: &AnswerRecord,
        raw: &[u8],
    ) {
        let key = record.key;
        let Some(slot) = slots.get(key) else { return };
        let bytes = record.body.of(raw);
        let mut behind = Vec::new();
        let call = match (record.outcome, slot.opened) {
            (Outcome::Credit(bytes), _) => {
                exchange.credit(key, bytes);
                Call::GoesOn
            }
            (Outcome::Discard, _) => {
                self.discard_body(exchange, key);
                Call::GoesOn
            }
            (Outcome::Open(head), false) => {
                if self.open_answer(exchange, slot, key, head, bytes, &mut behind) {
                    slots.mark_stream(key);
                    if let Some(slot) = slots.get_mut(key) {
                        slot.opened = true;
                        // The limit on a handler's time is one on the time until it answers.
                        slot.deadline_ms = u64::MAX;
                    }
                    self.counters.streamed_answers.add(1);
                    Call::GoesOn
                } else {
                    Call::GivenUp
                }
            }
            (Outcome::Data, true) => {
                let (progress, grant) = exchange.sink.put(bytes);
                match progress {
                    Progress::Fine => {
                        if let Some(bytes) = grant {
                            self.push_credit(key, bytes);
                        }
                        Call::GoesOn
                    }
                    Progress::Broken => {
                        self.cut_answer(exchange, &mut behind);
                        Call::GivenUp
                    }
                }
            }
            (Outcome::End, true) => {
                if exchange.sink.end() == Progress::Broken {
                    self.cut_answer(exchange, &mut behind);
                }
                Call::Over
            }
            (Outcome::Cut, true) => {
                self.cut_answer(exchange, &mut behind);
                Call::Over
            }
            _ => {
                self.break_answer(exchange, slot, key, &mut behind);
                Call::GivenUp
            }
        };
        if call != Call::GoesOn {
            self.discard_body(exchange, key);
            self.counters.answered.add(1);
            slots.release(key);
        }
        let mut open = self.open.borrow_mut();
        if call == Call::GivenUp {
            open.gone.push(key);
        }
        let before = open.gone.len();
        open.gone.extend(behind.into_iter().filter(|key| slots.release(*key)));
        self.counters.abandoned.add((open.gone.len() - before) as u64);
    }

    /// A record that breaks the rules: it costs the call, which is cut if its answer has begun, and gets a 500 if not.
    pub(in crate::shard) fn break_answer(
        &self,
        exchange: Exchange<'_, impl Sink>,
        slot: &Slot,
        key: CallKey,
        behind: &mut Vec<CallKey>,
    ) {
        self.counters.host_errors.add(1);
        if slot.opened {
            return self.cut_answer(exchange, behind);
        }
        let last = exchange.sink.is_last() || self.body_ends_connection(exchange, key);
        self.refuse(exchange, Refusal::Internal, slot.own(), last);
    }

    /// Writes the head of a streamed answer; false when it cannot be written: then a 500 is.
    fn open_answer(
        &self,
        exchange: Exchange<'_, impl Sink>,
        slot: &Slot,
        key: CallKey,
        head: StreamHead,
        bytes: &[u8],
        behind: &mut Vec<CallKey>,
    ) -> bool {
        let date = self.clock.date();
        let Some((answer, _)) = raw_answer(head.head, bytes, slot.own(), &date) else {
            self.break_answer(exchange, slot, key, behind);
            return false;
        };
        let answer = Answer { content: Content::Streamed(head.length), ..answer };
        let inflow = exchange.incoming.inflow_of(key);
        let last = exchange.sink.is_last() || inflow.is_some_and(|inflow| self.ends_connection(inflow));
        exchange.sink.open(&answer, Opening { key, old: slot.old, last }, behind);
        true
    }

    /// An answer breaks off, and the client has to see it.
    fn cut_answer(&self, exchange: Exchange<'_, impl Sink>, behind: &mut Vec<CallKey>) {
        self.counters.cut_answers.add(1);
        exchange.sink.cut(behind);
    }

    /// Grants the stream that has come to the front of `conn`, if one has, its window.
    pub(in crate::shard) fn grant(&self, conn: &Conn) {
        let grant = conn.answers().grant(|| self.stream_window(ANSWER_WINDOW_BYTES));
        if let Some((key, bytes)) = grant {
            self.credit_answer(key, bytes);
        }
    }

    /// So many bytes of the body of the answer to `key` were handed to the kernel.
    pub(in crate::shard) fn note_sent(&self, conn: &Conn, key: CallKey, bytes: u64) {
        let grant = conn.answers().sent(key, bytes);
        if let Some(bytes) = grant {
            self.credit_answer(key, bytes);
        }
    }

    /// Nothing more is said of a call that was given up, also while its connection still sends.
    pub(in crate::shard) fn credit_answer(&self, key: CallKey, bytes: u32) {
        if self.slots.borrow().get(key).is_some() {
            self.push_credit(key, bytes);
        }
    }

    fn push_credit(&self, key: CallKey, bytes: u32) {
        self.open.borrow_mut().frames.push(Frame { key, kind: FrameKind::Credit(bytes), data: Span::default() });
        self.touch();
    }
}
