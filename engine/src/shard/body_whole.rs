//! Bodies that a call waits for: gathered until they are complete.

use super::Shard;
use super::conn::{Conn, Phase};
use super::discard::Discard;
use super::intake::{Flow, Intake, ReadyCall, State, Took};
use super::replies::refusal_of;
use crate::tunnel::envelope::Refusal;
use crate::wire::body::{BodyError, BodyReader, Step};
use crate::wire::fields::Span;
use crate::wire::head::Framing;

/// A call whose body has not come whole with its head: it keeps what the head said.
pub(super) struct OpenCall {
    pub reader: BodyReader,
    pub body: Vec<u8>,
    pub handler: u32,
    pub event: bool,
    pub old: bool,
    pub last: bool,
    pub lines: Vec<u8>,
    pub request_id: Span,
    pub head: Vec<u8>,
}

impl Shard {
    /// Reads the body of a request, of which `max_body_bytes` are wanted.
    pub(super) fn body_reader(&self, framing: Framing, max_body_bytes: u64) -> BodyReader {
        BodyReader::within(framing, max_body_bytes, self.chunk_limits)
    }
}

impl Intake {
    pub(super) fn take_body(&mut self, shard: &Shard, conn: &Conn, rest: &[u8]) -> Took {
        let State::Body(open) = &mut self.state else { return Took::Bytes(0) };
        let OpenCall { reader, body, .. } = &mut **open;
        grow(body, rest.len(), reader.remaining_length());
        let read = match reader.read(rest, body) {
            // The framing is intact: what is over the limit can be thrown away.
            Err(BodyError::TooLarge) => match reader.skip(rest) {
                Ok(step) => return self.refuse_body(shard, conn, step, Refusal::PayloadTooLarge),
                Err(error) => Err(error),
            },
            read => read,
        };
        match read {
            Ok(step) if body.len() as u64 > shard.limits.max_body_bytes => {
                self.refuse_body(shard, conn, step, Refusal::PayloadTooLarge)
            }
            Ok(Step { consumed, done: true }) => {
                let State::Body(open) = std::mem::take(&mut self.state) else { return Took::Bytes(consumed) };
                conn.enter(Phase::Idle, shard.now_ms());
                let ready = ReadyCall {
                    handler: open.handler,
                    event: open.event,
                    old: open.old,
                    lines: &open.lines,
                    request_id: open.request_id,
                    head: &open.head,
                    body: &open.body,
                };
                let last = open.last || shard.stopping();
                shard.dispatch(conn, &ready, last);
                if last { Took::Stop(Flow::Close) } else { Took::Bytes(consumed) }
            }
            // What has come of it counts already: a body is not refused for its own sake before the shard is full.
            Ok(step @ Step { done: false, .. }) if shard.holds_too_much(&shard.open.borrow()) => {
                shard.counters.overloaded.add(1);
                self.refuse_body(shard, conn, step, Refusal::ServiceUnavailable)
            }
            Ok(Step { done: false, .. }) => Took::All,
            Err(error) => {
                let refusal = refusal_of(error.status());
                let State::Body(open) = std::mem::take(&mut self.state) else { return Took::Stop(Flow::Close) };
                if refusal != Refusal::PayloadTooLarge {
                    return self.protocol_error(shard, conn, refusal);
                }
                // 413 in the middle of a body: the contract's own answer, with the request's header lines. Where the
                // message ends is unknown, so the connection ends.
                shard.counters.refused.add(1);
                conn.answer_now(|out| shard.write_refusal(out, refusal, &open.lines, false, true));
                Took::Stop(Flow::Close)
            }
        }
    }

    /// No more of a body is taken: of one that is longer than allowed (413 at once, as in the reference), or for want of
    /// memory. The rest is thrown away.
    fn refuse_body(&mut self, shard: &Shard, conn: &Conn, step: Step, refusal: Refusal<'_>) -> Took {
        let State::Body(open) = std::mem::take(&mut self.state) else { return Took::Stop(Flow::Close) };
        let OpenCall { reader, lines, last, .. } = *open;
        let rest = Discard::new(reader, &shard.limits);
        let last = last || shard.stopping() || !rest.fits();
        shard.counters.refused.add(1);
        conn.answer_now(|out| shard.write_refusal(out, refusal, &lines, false, last));
        if step.done {
            conn.enter(Phase::Idle, shard.now_ms());
            return if last { Took::Stop(Flow::Close) } else { Took::Bytes(step.consumed) };
        }
        self.skip(shard, conn, rest, last)
    }
}

/// Makes room for the next bytes of a body: by doubling, but never for more than is still to come.
fn grow(body: &mut Vec<u8>, coming: usize, rest: Option<u64>) {
    if body.capacity() - body.len() < coming
        && let Some(rest) = rest.and_then(|rest| usize::try_from(rest).ok())
    {
        body.reserve_exact(rest.min(coming.max(body.len())));
    }
}
