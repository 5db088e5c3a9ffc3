//! Bodies that a call reads as they come: into frames of the open batch, within a window that the host gives back.

use crate::limits::{
    BODY_WINDOW_BYTES, BODY_WINDOW_MIN_BYTES, BODY_WINDOWS_BYTES, CONN_BUFFER_KEEP_BYTES, MAX_BATCH_BYTES,
    STREAM_READ_BYTES,
};
use crate::link::batch::{CallKey, CallRecord, Frame, FrameKind, flags};
use crate::link::peers::{Entered, NO_PEER};
use crate::shard::Shard;
use crate::shard::answers::wording::refusal_of;
use crate::shard::exchange::flow::{Flow, Took};
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::inflow::Inflow;
use crate::shard::exchange::own_fields::OwnFields;
use crate::shard::exchange::phase::Phase;
use crate::shard::exchange::ready_call::ReadyCall;
use crate::shard::exchange::sink::Sink;
use crate::shard::request::body_frames::{read_form, read_octets};
use crate::tunnel::envelope::Refusal;
use crate::tunnel::multipart::MultipartReader;
use crate::wire::body::{BodyReader, Step};
use crate::wire::decimal::put_decimal;
use crate::wire::fields::Span;

/// Reads such a body.
pub(in crate::shard) struct BodyStream {
    /// Takes it off the wire.
    pub reader: BodyReader,
    /// Takes it apart, where it is a form.
    pub form: Option<MultipartReader>,
}

impl BodyStream {
    /// Bytes that are held of what has come, because they can only be handed over whole.
    pub fn held_bytes(&self) -> usize {
        self.form.as_ref().map_or(0, MultipartReader::held_bytes)
    }

    /// What the reader waits for.
    pub(in crate::shard) fn phase(&self) -> Phase {
        if self.form.is_some() { Phase::Body } else { Phase::Stream }
    }
}

impl Shard {
    /// Bytes of one stream that may be under way: `most`, or fewer when there are many.
    pub(in crate::shard) fn stream_window(&self, most: u32) -> u32 {
        let streams = u32::try_from(self.slots.borrow().streams()).unwrap_or(u32::MAX).max(1);
        (BODY_WINDOWS_BYTES / streams).clamp(BODY_WINDOW_MIN_BYTES, most)
    }

    /// Appends a call whose body follows in frames to the open batch.
    ///
    /// # Errors
    /// Too many calls are under way, of the caller or altogether.
    pub(in crate::shard) fn dispatch_stream(
        &self,
        exchange: Exchange<'_, impl Sink>,
        call: &ReadyCall<'_>,
        stream: &BodyStream,
        last: bool,
    ) -> Result<(), Refusal<'static>> {
        // Another shard may have let one in since the head was looked at.
        let Some(permits) = self.let_begin(call.caller) else {
            self.counters.limited.add(1);
            return Err(Refusal::TooManyCalls);
        };
        let Some(key) = self.take_slot(exchange.sink.place(), call.own, false) else {
            self.counters.overloaded.add(1);
            return Err(Refusal::ServiceUnavailable);
        };
        self.hold(key, permits);
        self.slots.borrow_mut().mark_stream(key);
        self.note_version(key, call.old);
        let window = self.stream_window(BODY_WINDOW_BYTES);
        let mut open = self.open.borrow_mut();
        let start = open.open_body();
        put_decimal(&mut open.json, u64::from(window));
        let body = open.close_body(start);
        let peer = exchange.sink.peer(&self.peers).map_or(NO_PEER, Entered::number);
        let (request_id, fields) = open.push_call_head(call.own.request_id(), call.head);
        let bits = flags::EMPTY | if stream.form.is_some() { flags::MULTIPART } else { flags::STREAM };
        open.records.push(CallRecord { key, handler: call.handler, flags: bits, body, request_id, fields, peer });
        drop(open);
        exchange.sink.expect(key, 0);
        self.counters.streamed_bodies.add(1);
        let rest = stream.reader.remaining_length().unwrap_or(0);
        exchange.restart(stream.phase(), self.now_ms());
        exchange.set_inflow(Some(Inflow::new(key, window, rest, last)));
        Ok(())
    }

    /// Takes in what has come of a body.
    pub(in crate::shard) fn take_stream(
        &self,
        exchange: Exchange<'_, impl Sink>,
        stream: &mut BodyStream,
        rest: &[u8],
    ) -> StreamStep {
        let Some(inflow) = exchange.inflow() else { return StreamStep::Unwanted };
        let mut open = self.open.borrow_mut();
        let inflow = inflow.with_batch_full(open.data.len() >= MAX_BATCH_BYTES);
        if !inflow.is_open() {
            if inflow.waits_for_batch() {
                self.batch_waiters.borrow_mut().push(exchange.sink.place().conn);
            }
            exchange.set_inflow(Some(inflow));
            exchange.enter(Phase::Held, self.now_ms());
            return StreamStep::Took(Took::Stop(Flow::Full));
        }
        // Content is never longer than what it came in, so the window holds.
        let input = rest.get(..inflow.room()).unwrap_or(rest);
        if input.len() > CONN_BUFFER_KEEP_BYTES && open.data.capacity() == 0 {
            // At once, not by doubling: each size on the way would be memory that the allocator keeps for that size.
            open.data.reserve(2 * STREAM_READ_BYTES);
        }
        let (read, refused, taken) = match &mut stream.form {
            None => read_octets(&mut stream.reader, input, &mut open, inflow.key),
            Some(form) => read_form(&mut stream.reader, form, input, &mut open, inflow.key),
        };
        let done = matches!(read, Ok(Step { done: true, .. }));
        if let Some(kind) = refused.map(|reason| FrameKind::Refused(reason as u8)).or(done.then_some(FrameKind::End)) {
            open.frames.push(Frame { key: inflow.key, kind, data: Span::default() });
        }
        drop(open);
        let step = match read {
            Ok(step) => step,
            Err(error) => {
                self.break_body(exchange, refusal_of(error.status()));
                return StreamStep::Took(Took::Stop(Flow::Close));
            }
        };
        let inflow = inflow.took(taken, stream.reader.remaining_length().unwrap_or(0));
        exchange.set_inflow(Some(inflow).filter(|_| !done));
        if done {
            exchange.enter(Phase::Idle, self.now_ms());
            return StreamStep::Done(step, self.ends_connection(inflow));
        }
        if refused.is_some() {
            self.discard_body(exchange, inflow.key);
            return StreamStep::Took(Took::Bytes(step.consumed));
        }
        if stream.held_bytes() > 0 && self.holds_too_much(&self.open.borrow()) {
            // The task has not begun: it waits for its manifest.
            self.counters.overloaded.add(1);
            self.break_body(exchange, Refusal::ServiceUnavailable);
            return StreamStep::Took(Took::Bytes(step.consumed));
        }
        if rest.is_empty() {
            exchange.enter(stream.phase(), self.now_ms());
            return StreamStep::Took(Took::Stop(Flow::More));
        }
        match stream.phase() {
            // Silence is what counts, not how fast it comes.
            Phase::Stream => exchange.restart(Phase::Stream, self.now_ms()),
            phase => exchange.enter(phase, self.now_ms()),
        }
        StreamStep::Took(Took::Bytes(step.consumed))
    }

    /// The open batch was taken: whoever has waited for room in it reads on.
    pub(in crate::shard) fn wake_batch_waiters(&self) {
        for id in self.batch_waiters.borrow_mut().drain(..) {
            let conns = self.conns.borrow();
            let Some(conn) = conns.get(id as usize) else { continue };
            match conn.streams() {
                Some(streams) => {
                    let all = streams.all();
                    all.iter().for_each(|stream| self.stream_exchange(conn, streams, stream).batch_has_room());
                }
                None => self.next_exchange(conn).batch_has_room(),
            }
        }
    }

    /// True when an answer to `key` is the last of its connection on account of the body that the call still reads:
    /// the client wants it so, or has declared more than is thrown away.
    pub(in crate::shard) fn body_ends_connection(&self, exchange: Exchange<'_, impl Sink>, key: CallKey) -> bool {
        exchange
            .incoming
            .inflow_of(key)
            .is_some_and(|inflow| self.ends_connection(inflow) || inflow.rest() > self.limits.max_discarded_bytes)
    }

    /// True when an answer that is only begun is the last of its connection: the call may still read the rest.
    pub(in crate::shard) fn ends_connection(&self, inflow: Inflow) -> bool {
        inflow.is_last() || self.stopping()
    }

    /// Nobody wants the rest of the body of call `key`: it is thrown away, or the connection takes no more requests.
    pub(in crate::shard) fn discard_body(&self, exchange: Exchange<'_, impl Sink>, key: CallKey) {
        if exchange.incoming.inflow_of(key).is_none() {
            return;
        }
        let ends = self.body_ends_connection(exchange, key);
        exchange.set_inflow(None);
        exchange.restart(Phase::Skip, self.now_ms());
        if ends {
            exchange.sink.begin_close();
        } else {
            exchange.sink.wake();
        }
    }

    /// The body that is read will never be complete: its call is given up. It gets `refusal` for an answer, unless one
    /// has begun, and the connection ends.
    pub(in crate::shard) fn break_body(&self, exchange: Exchange<'_, impl Sink>, refusal: Refusal<'_>) {
        self.counters.protocol_errors.add(1);
        let Some(inflow) = exchange.inflow() else { return };
        exchange.set_inflow(None);
        let slots = self.slots.borrow();
        let unanswered = slots.get(inflow.key).filter(|slot| !slot.opened);
        let Some(slot) = unanswered else {
            drop(slots);
            return self.abort(exchange);
        };
        let own = if refusal == Refusal::PayloadTooLarge { slot.own() } else { OwnFields::NONE };
        self.refuse(exchange.at(slot.place), refusal, own, true);
        drop(slots);
        self.abandon(&[inflow.key]);
        exchange.sink.begin_close();
        // Who is too slow gets no further time. Anybody else may still be sending.
        let phase = if refusal == Refusal::RequestTimeout { Phase::Linger } else { Phase::Skip };
        exchange.restart(phase, self.now_ms());
    }

    /// The exchange cannot go on: its client sees the end.
    fn abort(&self, exchange: Exchange<'_, impl Sink>) {
        let mut abandoned = Vec::new();
        exchange.sink.abort(&mut abandoned);
        if !abandoned.is_empty() {
            self.abandon(&abandoned);
        }
    }
}

/// What became of a piece of a body.
pub(in crate::shard) enum StreamStep {
    /// It is read, or has to wait.
    Took(Took),
    /// The body is complete; whether the connection ends with it.
    Done(Step, bool),
    /// Nobody wants it any more.
    Unwanted,
}
