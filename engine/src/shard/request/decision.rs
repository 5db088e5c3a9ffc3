//! What is decided on a request whose head is complete, whichever version of HTTP it came by.

use crate::link::callers::Numbers;
use crate::shard::Shard;
use crate::shard::exchange::asking::Advised;
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::own_fields::OwnFields;
use crate::shard::exchange::sink::Sink;
use crate::shard::request::plan::{Plan, Standing, plan};
use crate::tunnel::decide::Decision;
use crate::tunnel::envelope::Refusal;
use crate::wire::fields::Span;
use crate::wire::head::Head;

impl Shard {
    /// Plans for a request of whose content `behind` bytes have come. The answer's own fields are in `lines`, which is empty
    /// before. Also says by what gates know the caller.
    pub(in crate::shard) fn plan<'a, 'l>(
        &self,
        exchange: Exchange<'_, impl Sink>,
        head: &'a Head,
        bytes: &'a [u8],
        behind: usize,
        advised: Option<&Advised>,
        (lines, decoded): (&'l mut Vec<u8>, &'a mut Vec<u8>),
    ) -> (Plan<'a>, OwnFields<'l>, Numbers) {
        lines.clear();
        let verdict = self.decide(head, bytes, advised, lines, decoded);
        let request_id = verdict.request_id.map(|id| Span { start: id.start as u32, end: id.end as u32 });
        let judged = if self.asks_callers {
            let request = (head.method, head.fields.of(bytes));
            self.judge_caller(exchange, request, verdict.decision, advised.is_none(), lines)
        } else {
            Ok(Numbers::default())
        };
        let plan = if let Err(refusal) = judged {
            Plan::Answer(Decision::Refuse(refusal))
        } else if advised.is_some_and(|advised| advised.overloaded) {
            Plan::Answer(Decision::Refuse(Refusal::ServiceUnavailable))
        } else {
            plan(verdict.decision, head, bytes, behind, self.standing(), || self.is_full())
        };
        (plan, OwnFields::new(lines, request_id.unwrap_or_default()), judged.unwrap_or_default())
    }

    /// Where the reference is followed, a client that waits with its content is told to send it before its request is looked at,
    /// as node:http does; the content will come, whatever the answer.
    pub(in crate::shard) fn proceed_first(
        &self,
        exchange: Exchange<'_, impl Sink>,
        head: &mut Head,
        advised: Option<&Advised>,
    ) {
        if self.reference && head.expect_continue {
            if advised.is_none() {
                exchange.sink.proceed();
            }
            head.expect_continue = false;
        }
    }

    fn standing(&self) -> Standing {
        Standing {
            max_body_bytes: self.limits.max_body_bytes,
            reference: self.reference,
            takes_frames: self.backend.takes_frames(),
        }
    }
}
