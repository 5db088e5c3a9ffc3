//! Answers that the proxy gives by itself.

use crate::limits::PROXY_DISCARD_BYTES;
use crate::proxy::fault::{Fault, OwnAnswer};
use crate::shard::proxy::hand::{Gone, Hand};
use crate::wire::body::BodyReader;
use crate::wire::framing::Framing;
use crate::wire::head::{Head, Method};

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The next request.
    Next,
    /// Everything is said.
    Close,
    /// It has ended, or is not to look as if it had ended well.
    Cut,
}

impl From<Result<After, Gone>> for After {
    fn from(outcome: Result<After, Gone>) -> After {
        outcome.unwrap_or(After::Cut)
    }
}

impl Hand {
    /// Answers a request whose head was read, and none of its content, with a fault.
    pub async fn refuse(&mut self, head: &Head, fault: Fault) -> After {
        self.client.blame(fault);
        self.answer(head, OwnAnswer::of(fault)).await
    }

    /// Answers a request whose head was read, and none of its content.
    pub async fn answer(&mut self, head: &Head, answer: OwnAnswer<'_>) -> After {
        let has_content = !head.framing.is_empty();
        let too_much = matches!(head.framing, Framing::Length(length) if length > PROXY_DISCARD_BYTES);
        // A client that waits for 100 may send its content now, or not.
        let unclear = has_content && head.expect_continue;
        let close = self.framed || !head.keep_alive || self.client.closing() || too_much || unclear;
        if self.say(head, OwnAnswer { close, ..answer }).await.is_err() {
            return After::Cut;
        }
        if close {
            return After::Close;
        }
        if has_content { self.discard(head.framing).await } else { After::Next }
    }

    /// Answers a request of which nobody knows where it ends, or whose content nobody reads.
    pub async fn refuse_and_close(&mut self, head: &Head, fault: Fault) -> After {
        self.client.blame(fault);
        match self.say(head, OwnAnswer { close: true, ..OwnAnswer::of(fault) }).await {
            Ok(()) => After::Close,
            Err(Gone) => After::Cut,
        }
    }

    async fn say(&mut self, head: &Head, answer: OwnAnswer<'_>) -> Result<(), Gone> {
        let answer = OwnAnswer { head_only: head.method == Method::Head, old: head.minor_version == 0, ..answer };
        self.shard.counters.refused.add(1);
        self.client.tell(answer.status);
        let mut out = Vec::new();
        answer.encode("fasttunnel", &self.shard.clock.date(), &mut out);
        self.send(out).await
    }

    /// Throws the content of a request away.
    async fn discard(&mut self, framing: Framing) -> After {
        let mut body = BodyReader::within(framing, u64::MAX, self.shard.chunk_limits);
        let mut left = PROXY_DISCARD_BYTES;
        loop {
            let Ok(step) = body.skip(&self.inlet.buffer) else { return After::Close };
            let _ = self.inlet.buffer.split_to(step.consumed);
            left = left.saturating_sub(step.consumed as u64);
            if step.done || body.done() {
                return After::Next;
            }
            if left == 0 {
                return After::Close;
            }
            self.client.read(self.now_ms());
            match self.inlet.fill(Some(self.client.socket())).await {
                Ok(bytes) if bytes > 0 && self.client.late().is_none() => {}
                _ => return After::Close,
            }
        }
    }
}
