//! Answers without a call: what becomes of the body that may still be on its way.

use crate::shard::Shard;
use crate::shard::answers::wording::refusal_of;
use crate::shard::connection::discard::Discard;
use crate::shard::exchange::flow::{Flow, Took};
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::own_fields::OwnFields;
use crate::shard::exchange::phase::Phase;
use crate::shard::exchange::sink::Sink;
use crate::tunnel::decide::Decision;
use crate::tunnel::envelope::Refusal;
use crate::wire::body::Step;
use crate::wire::head::{Head, HeadError, Method};

/// The request is answered: how its input goes on, and what is to be thrown away of it first.
pub(in crate::shard) struct Answered {
    pub took: Took,
    pub rest: Option<Discard>,
}

impl Answered {
    /// Nothing is to be thrown away.
    pub fn with(took: Took) -> Self {
        Answered { took, rest: None }
    }
}

impl Shard {
    /// Answers a request without a call; `behind` is what has come of its body so far, and more.
    pub(in crate::shard) fn answer_early(
        &self,
        exchange: Exchange<'_, impl Sink>,
        head: &Head,
        answer: Decision<'_>,
        own: OwnFields<'_>,
        last: bool,
        behind: &[u8],
    ) -> Answered {
        self.counters.refused.add(1);
        self.answer_by(exchange, head, last, behind, |last| {
            let head_only = head.method == Method::Head;
            self.with_decision(answer, own.all(), head_only, |answer| exchange.sink.answer(answer, last));
        })
    }

    /// Answers by `give`, which hears whether it is the last answer.
    pub(in crate::shard) fn answer_by(
        &self,
        exchange: Exchange<'_, impl Sink>,
        head: &Head,
        last: bool,
        behind: &[u8],
        give: impl FnOnce(bool),
    ) -> Answered {
        let mut reader = self.body_reader(head.framing, u64::MAX);
        let step = reader.skip(behind);
        // What has come counts no more.
        let rest = Discard::new(reader, &self.limits);
        // A client that waits for `100 Continue` and gets an answer instead may or may not send the body.
        let unsure = head.expect_continue && !matches!(step, Ok(Step { done: true, .. }));
        // An answer that lets the connection go on is a promise: the rest of the body is read.
        let last = last || unsure || step.is_err() || !rest.fits();
        give(last);
        match step {
            Ok(Step { done: false, .. }) if !unsure => self.skip(exchange, rest, last),
            Ok(Step { consumed, .. }) if !last => Answered::with(Took::Bytes(consumed)),
            _ => Answered::with(Took::Stop(Flow::Close)),
        }
    }

    /// Answers a request in the middle of its body, of which a step was taken.
    pub(in crate::shard) fn answer_within(
        &self,
        exchange: Exchange<'_, impl Sink>,
        step: Step,
        rest: Discard,
        refusal: Refusal<'_>,
        own: OwnFields<'_>,
        last: bool,
    ) -> Answered {
        let last = last || self.stopping() || !rest.fits();
        self.counters.refused.add(1);
        self.refuse(exchange, refusal, own, last);
        if step.done {
            exchange.enter(Phase::Idle, self.now_ms());
            return Answered::with(if last { Took::Stop(Flow::Close) } else { Took::Bytes(step.consumed) });
        }
        self.skip(exchange, rest, last)
    }

    /// The request is answered, but not all of its body has come: the rest is thrown away.
    fn skip(&self, exchange: Exchange<'_, impl Sink>, rest: Discard, last: bool) -> Answered {
        exchange.restart(Phase::Skip, self.now_ms());
        Answered { took: if last { Took::Stop(Flow::Close) } else { Took::All }, rest: Some(rest) }
    }

    /// The head is refused: nobody knows where the next message begins.
    pub(in crate::shard) fn refuse_head(&self, exchange: Exchange<'_, impl Sink>, error: HeadError) -> Took {
        match self.head_refusal(error) {
            Some(refusal) => self.protocol_error(exchange, refusal),
            None => {
                self.counters.protocol_errors.add(1);
                Took::Stop(Flow::Close)
            }
        }
    }

    /// The body is refused, and with it where the next message begins.
    pub(in crate::shard) fn refuse_framing(
        &self,
        exchange: Exchange<'_, impl Sink>,
        status: u16,
        own: OwnFields<'_>,
    ) -> Took {
        let refusal = refusal_of(status);
        if refusal != Refusal::PayloadTooLarge {
            return self.protocol_error(exchange, refusal);
        }
        // The contract's own answer, with the request's fields.
        self.counters.refused.add(1);
        self.refuse(exchange, refusal, own, true);
        Took::Stop(Flow::Close)
    }

    /// The input makes no sense, or breaks a bound: one answer, then the end.
    pub(in crate::shard) fn protocol_error(&self, exchange: Exchange<'_, impl Sink>, refusal: Refusal<'_>) -> Took {
        self.counters.protocol_errors.add(1);
        self.refuse(exchange, refusal, OwnFields::NONE, true);
        Took::Stop(Flow::Close)
    }
}
