//! Bodies that a call waits for: gathered until they are complete.

use crate::link::callers::Numbers;
use crate::shard::Shard;
use crate::shard::exchange::own_fields::KeptFields;
use crate::shard::exchange::ready_call::ReadyCall;
use crate::tunnel::envelope::Refusal;
use crate::wire::body::{BodyError, BodyReader, Step};
use crate::wire::head::Framing;

/// A call whose body has not come whole with its head: it keeps what the head said.
pub(in crate::shard) struct OpenCall {
    pub reader: BodyReader,
    pub body: Vec<u8>,
    pub handler: u32,
    pub event: bool,
    pub caller: Numbers,
    pub old: bool,
    pub last: bool,
    pub own: KeptFields,
    pub head: Vec<u8>,
}

/// What became of a piece of such a body.
pub(in crate::shard) enum WholeStep {
    /// It is taken, and more is to come.
    More,
    /// The body is complete; so many bytes of the piece belong to it.
    Complete(usize),
    /// No more of it is taken. The rest can be thrown away.
    Refused(Step, Refusal<'static>),
    /// Its framing is broken: this status.
    Broken(u16),
}

impl Shard {
    /// Reads the body of a request, of which `max_body_bytes` are wanted.
    pub(in crate::shard) fn body_reader(&self, framing: Framing, max_body_bytes: u64) -> BodyReader {
        BodyReader::within(framing, max_body_bytes, self.chunk_limits)
    }

    /// Takes in what has come of a body.
    pub(in crate::shard) fn take_whole(&self, open: &mut OpenCall, rest: &[u8]) -> WholeStep {
        let OpenCall { reader, body, .. } = open;
        grow(body, rest.len(), reader.remaining_length());
        let step = match reader.read(rest, body) {
            Ok(step) => step,
            // The framing is intact: what is over the limit can be thrown away.
            Err(BodyError::TooLarge) => match reader.skip(rest) {
                Ok(step) => return WholeStep::Refused(step, Refusal::PayloadTooLarge),
                Err(error) => return WholeStep::Broken(error.status()),
            },
            Err(error) => return WholeStep::Broken(error.status()),
        };
        if body.len() as u64 > self.limits.max_body_bytes {
            // At once, as in the reference.
            WholeStep::Refused(step, Refusal::PayloadTooLarge)
        } else if step.done {
            WholeStep::Complete(step.consumed)
        } else if self.holds_too_much(&self.open.borrow()) {
            // What has come of it counts already: a body is not refused for its own sake before the shard is full.
            self.counters.overloaded.add(1);
            WholeStep::Refused(step, Refusal::ServiceUnavailable)
        } else {
            WholeStep::More
        }
    }
}

impl OpenCall {
    /// A call whose body `reader` is at the beginning of; so many bytes are worth reserving.
    pub fn new(call: &ReadyCall<'_>, reader: BodyReader, reserve: usize, last: bool) -> Self {
        let mut own = KeptFields::default();
        own.keep(call.own);
        OpenCall {
            reader,
            body: Vec::with_capacity(reserve),
            handler: call.handler,
            event: call.event,
            caller: call.caller,
            old: call.old,
            last,
            own,
            head: call.head.to_vec(),
        }
    }

    /// Bytes that are held of it.
    pub fn held_bytes(&self) -> usize {
        self.body.capacity() + self.head.capacity() + self.own.held_bytes()
    }

    /// The call, once its body is complete.
    pub fn ready(&self) -> ReadyCall<'_> {
        ReadyCall {
            handler: self.handler,
            event: self.event,
            caller: self.caller,
            old: self.old,
            own: self.own.get(),
            head: &self.head,
            body: &self.body,
        }
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
