//! Bodies that a call reads as they come: into frames of the open batch, within a window that the host gives back.

use crate::limits::{
    BODY_WINDOW_BYTES, BODY_WINDOW_MIN_BYTES, BODY_WINDOWS_BYTES, CONN_BUFFER_KEEP_BYTES, MAX_BATCH_BYTES,
    STREAM_READ_BYTES,
};
use crate::link::batch::{CallKey, CallRecord, Frame, FrameKind, flags};
use crate::shard::Shard;
use crate::shard::answers::wording::refusal_of;
use crate::shard::connection::conn::{Conn, Phase};
use crate::shard::exchange::flow::{Flow, Took};
use crate::shard::exchange::inflow::Inflow;
use crate::shard::exchange::own_fields::OwnFields;
use crate::shard::exchange::ready_call::ReadyCall;
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
    fn phase(&self) -> Phase {
        if self.form.is_some() { Phase::Body } else { Phase::Stream }
    }
}

impl Shard {
    /// Bytes of one stream that may be under way: `most`, or fewer when there are many.
    pub(in crate::shard) fn stream_window(&self, most: u32) -> u32 {
        let streams = u32::try_from(self.slots.borrow().streams()).unwrap_or(u32::MAX).max(1);
        (BODY_WINDOWS_BYTES / streams).clamp(BODY_WINDOW_MIN_BYTES, most)
    }

    /// Appends a call whose body follows in frames to the open batch; false when too many calls are under way.
    pub(in crate::shard) fn dispatch_stream(
        &self,
        conn: &Conn,
        call: &ReadyCall<'_>,
        stream: &BodyStream,
        last: bool,
    ) -> bool {
        let Some(key) = self.take_slot(conn, call.own, false) else { return false };
        self.slots.borrow_mut().mark_stream(key);
        self.note_version(key, call.old);
        let window = self.stream_window(BODY_WINDOW_BYTES);
        let mut open = self.open.borrow_mut();
        let start = open.open_body();
        put_decimal(&mut open.json, u64::from(window));
        let body = open.close_body(start);
        let (request_id, fields) = open.push_call_head(call.own.request_id(), call.head);
        let bits = flags::EMPTY | if stream.form.is_some() { flags::MULTIPART } else { flags::STREAM };
        open.records.push(CallRecord { key, handler: call.handler, flags: bits, body, request_id, fields });
        drop(open);
        conn.push_waiting(key, 0);
        self.counters.streamed_bodies.add(1);
        let rest = stream.reader.remaining_length().unwrap_or(0);
        conn.restart(stream.phase(), self.now_ms());
        conn.set_inflow(Some(Inflow::new(key, window, rest, last)));
        true
    }

    /// Takes in what has come of a body.
    pub(in crate::shard) fn take_stream(&self, conn: &Conn, stream: &mut BodyStream, rest: &[u8]) -> StreamStep {
        let Some(inflow) = conn.inflow() else { return StreamStep::Unwanted };
        let mut open = self.open.borrow_mut();
        let inflow = inflow.with_batch_full(open.data.len() >= MAX_BATCH_BYTES);
        if !inflow.is_open() {
            if inflow.waits_for_batch() {
                self.batch_waiters.borrow_mut().push(conn.id);
            }
            conn.set_inflow(Some(inflow));
            conn.enter(Phase::Held, self.now_ms());
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
        if let Some(kind) = refused.map(FrameKind::Refused).or(done.then_some(FrameKind::End)) {
            open.frames.push(Frame { key: inflow.key, kind, data: Span::default() });
        }
        drop(open);
        let step = match read {
            Ok(step) => step,
            Err(error) => {
                self.break_body(conn, refusal_of(error.status()));
                return StreamStep::Took(Took::Stop(Flow::Close));
            }
        };
        let inflow = inflow.took(taken, stream.reader.remaining_length().unwrap_or(0));
        conn.set_inflow(Some(inflow).filter(|_| !done));
        if done {
            conn.enter(Phase::Idle, self.now_ms());
            return StreamStep::Done(step, self.ends_connection(inflow));
        }
        if refused.is_some() {
            self.discard_body(conn, inflow.key);
            return StreamStep::Took(Took::Bytes(step.consumed));
        }
        if stream.held_bytes() > 0 && self.holds_too_much(&self.open.borrow()) {
            // The task has not begun: it waits for its manifest.
            self.counters.overloaded.add(1);
            self.break_body(conn, Refusal::ServiceUnavailable);
            return StreamStep::Took(Took::Bytes(step.consumed));
        }
        if rest.is_empty() {
            conn.enter(stream.phase(), self.now_ms());
            return StreamStep::Took(Took::Stop(Flow::More));
        }
        match stream.phase() {
            // Silence is what counts, not how fast it comes.
            Phase::Stream => conn.restart(Phase::Stream, self.now_ms()),
            phase => conn.enter(phase, self.now_ms()),
        }
        StreamStep::Took(Took::Bytes(step.consumed))
    }

    /// The host has used up some of a body.
    pub(in crate::shard) fn credit_body(&self, conn: &Conn, key: CallKey, bytes: u32) {
        if let Some(before) = conn.inflow().filter(|inflow| inflow.key == key) {
            let inflow = before.credited(bytes);
            conn.set_inflow(Some(inflow));
            if !before.is_open() && inflow.is_open() {
                conn.wake();
            }
        }
    }

    /// The open batch was taken: whoever has waited for room in it reads on.
    pub(in crate::shard) fn wake_batch_waiters(&self) {
        for id in self.batch_waiters.borrow_mut().drain(..) {
            let conns = self.conns.borrow();
            let Some(conn) = conns.get(id as usize) else { continue };
            if let Some(inflow) = conn.inflow() {
                conn.set_inflow(Some(inflow.with_batch_full(false)));
                conn.wake();
            }
        }
    }

    /// True when an answer to `key` is the last of its connection on account of the body that the call still reads:
    /// the client wants it so, or has declared more than is thrown away.
    pub(in crate::shard) fn body_ends_connection(&self, conn: &Conn, key: CallKey) -> bool {
        conn.inflow()
            .filter(|inflow| inflow.key == key)
            .is_some_and(|inflow| self.ends_connection(inflow) || inflow.rest() > self.limits.max_discarded_bytes)
    }

    /// True when an answer that is only begun is the last of its connection: the call may still read the rest.
    pub(in crate::shard) fn ends_connection(&self, inflow: Inflow) -> bool {
        inflow.is_last() || self.stopping()
    }

    /// Nobody wants the rest of the body of call `key`: it is thrown away, or the connection takes no more requests.
    pub(in crate::shard) fn discard_body(&self, conn: &Conn, key: CallKey) {
        if conn.inflow().is_none_or(|inflow| inflow.key != key) {
            return;
        }
        let ends = self.body_ends_connection(conn, key);
        conn.set_inflow(None);
        conn.restart(Phase::Skip, self.now_ms());
        if ends {
            conn.begin_close();
        } else {
            conn.wake();
        }
    }

    /// The body that is read will never be complete: its call is given up. It gets `refusal` for an answer, unless one
    /// has begun, and the connection ends.
    pub(in crate::shard) fn break_body(&self, conn: &Conn, refusal: Refusal<'_>) {
        self.counters.protocol_errors.add(1);
        let Some(inflow) = conn.inflow() else { return };
        conn.set_inflow(None);
        let slots = self.slots.borrow();
        let unanswered = slots.get(inflow.key).filter(|slot| !slot.opened);
        let Some(slot) = unanswered else {
            drop(slots);
            return self.cut_off(conn);
        };
        let own = if refusal == Refusal::PayloadTooLarge { slot.own() } else { OwnFields::NONE };
        self.refuse_call(conn, slot.sequence, refusal, own, true);
        drop(slots);
        self.abandon(&[inflow.key]);
        conn.begin_close();
        // Who is too slow gets no further time. Anybody else may still be sending.
        let phase = if refusal == Refusal::RequestTimeout { Phase::Linger } else { Phase::Skip };
        conn.restart(phase, self.now_ms());
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
