//! One stream: a request half, and the answer.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::{Response, StatusCode};

use crate::link::batch::CallKey;
use crate::shard::connection::answer_stream::AnswerStream;
use crate::shard::connection::streams::outflow::{Outflow, Pumped};
use crate::shard::connection::streams::response::head_of;
use crate::shard::exchange::incoming::Incoming;
use crate::shard::exchange::sink::Progress;
use crate::wire::answer::{Answer, Content, has_content};
use crate::wire::answer_body::{AnswerBody, AnswerFraming};

/// See the module.
pub(in crate::shard) struct Stream {
    /// Names it on its connection: its index among those there are, and its identifier, which never comes again.
    sequence: u64,
    incoming: Incoming,
    /// The call under way.
    key: Cell<Option<CallKey>>,
    answer: RefCell<State>,
    touched: Cell<bool>,
    /// It was ended in both directions.
    reset: Cell<bool>,
}

/// How far the answer is.
enum State {
    Awaited(SendResponse<Bytes>),
    Begun(Box<Outflow>),
    Over,
}

impl Stream {
    pub fn new(index: usize, respond: SendResponse<Bytes>, now_ms: u64) -> Self {
        Stream {
            sequence: (index as u64) << 32 | u64::from(respond.stream_id().as_u32()),
            incoming: Incoming::new(now_ms),
            key: Cell::default(),
            answer: RefCell::new(State::Awaited(respond)),
            touched: Cell::default(),
            reset: Cell::default(),
        }
    }

    /// The index in a sequence number.
    pub fn index_of(sequence: u64) -> usize {
        (sequence >> 32) as usize
    }

    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    pub fn index(&self) -> usize {
        Self::index_of(self.sequence)
    }

    pub fn incoming(&self) -> &Incoming {
        &self.incoming
    }

    /// Something has happened; false when that is known.
    pub fn touch(&self) -> bool {
        !self.touched.replace(true)
    }

    pub fn end_touch(&self) {
        self.touched.set(false);
    }

    /// The backend works on it.
    pub fn expect(&self, key: CallKey) {
        self.key.set(Some(key));
    }

    /// The call or the question under way.
    pub fn waiting(&self) -> Option<CallKey> {
        self.key.get().or_else(|| self.incoming.question())
    }

    /// True when the answer is handed over whole, or the stream was ended.
    pub fn is_over(&self) -> bool {
        matches!(*self.answer.borrow(), State::Over)
    }

    /// True while nothing was answered.
    pub fn is_awaited(&self) -> bool {
        matches!(*self.answer.borrow(), State::Awaited(_))
    }

    /// The client may send the content that it holds back.
    pub fn proceed(&self) {
        if let State::Awaited(respond) = &mut *self.answer.borrow_mut() {
            let mut interim = Response::new(());
            *interim.status_mut() = StatusCode::CONTINUE;
            let _ = respond.send_informational(interim);
        }
    }

    /// Takes the whole answer; the bytes of it that are handed over, and those that wait for a window.
    pub fn answer(&self, answer: &Answer<'_>, now_ms: u64) -> (usize, usize) {
        self.key.set(None);
        let mut state = self.answer.borrow_mut();
        let State::Awaited(respond) = &mut *state else { return (0, 0) };
        let content = if has_content(answer.status) { answer.content } else { Content::Absent };
        let empty = matches!(content.length(), None | Some(0)) || matches!(content, Content::Withheld(_));
        let Ok(send) = respond.send_response(head_of(answer), empty) else {
            *state = State::Over;
            return (0, 0);
        };
        if empty {
            *state = State::Over;
            return (0, 0);
        }
        let mut outflow = Outflow::whole(send, Bytes::from(content.pieces().concat()));
        // A longer one takes turns with others.
        let at_once = outflow.held_bytes() <= Self::AT_ONCE_BYTES;
        let Pumped { bytes: handed, over, .. } =
            if at_once { outflow.pump(usize::MAX, now_ms) } else { Pumped::default() };
        let waiting = if over { 0 } else { outflow.held_bytes() };
        *state = if over { State::Over } else { State::Begun(Box::new(outflow)) };
        (handed, waiting)
    }

    /// Bytes of an answer that is handed over in one go, if the windows have room.
    const AT_ONCE_BYTES: usize = 16 * 1024;

    /// Takes the head of an answer whose content follows.
    pub fn open(&self, answer: &Answer<'_>, key: CallKey) {
        let mut state = self.answer.borrow_mut();
        let State::Awaited(respond) = &mut *state else { return };
        // No chunks: frames tell where the content ends.
        let framing = match AnswerFraming::of(answer, false) {
            AnswerFraming::Chunked => AnswerFraming::UntilClose,
            framing => framing,
        };
        let source = AnswerStream::new(key, AnswerBody::new(framing), Vec::new());
        *state = match respond.send_response(head_of(answer), false) {
            Ok(send) => State::Begun(Box::new(Outflow::streamed(send, source))),
            Err(_) => State::Over,
        };
    }

    /// Takes a piece: also the bytes that wait now, and what credit there is for what was thrown away.
    pub fn put(&self, piece: &[u8]) -> (Progress, usize, Option<u32>) {
        let State::Begun(outflow) = &mut *self.answer.borrow_mut() else { return (Progress::Broken, 0, None) };
        let (written, grant) = outflow.put(piece);
        (if written.broken { Progress::Broken } else { Progress::Fine }, written.bytes, grant)
    }

    /// The content is complete.
    pub fn end(&self) -> Progress {
        let State::Begun(outflow) = &mut *self.answer.borrow_mut() else { return Progress::Broken };
        if outflow.end().broken {
            return Progress::Broken;
        }
        self.key.set(None);
        Progress::Fine
    }

    /// Hands over what the windows have room for, and no more than `room`.
    pub fn pump(&self, room: usize, now_ms: u64) -> Pumped {
        let mut state = self.answer.borrow_mut();
        let State::Begun(outflow) = &mut *state else { return Pumped::default() };
        let held = outflow.held_bytes();
        let pumped = outflow.pump(room, now_ms);
        if !pumped.over {
            return pumped;
        }
        *state = State::Over;
        // What was not taken is dropped.
        Pumped { bytes: held, ..pumped }
    }

    /// The content that streams has its window now, if it has not been granted one.
    pub fn grant(&self, window: impl FnOnce() -> u32) -> Option<(CallKey, u32)> {
        match &mut *self.answer.borrow_mut() {
            State::Begun(outflow) => outflow.grant(window),
            State::Awaited(_) | State::Over => None,
        }
    }

    /// Bytes of the answer that are not handed over.
    pub fn held_bytes(&self) -> usize {
        match &*self.answer.borrow() {
            State::Begun(outflow) => outflow.held_bytes(),
            State::Awaited(_) | State::Over => 0,
        }
    }

    /// Since when the client takes nothing of the answer.
    pub fn stalled_since_ms(&self) -> Option<u64> {
        match &*self.answer.borrow() {
            State::Begun(outflow) => outflow.stalled_since_ms(),
            State::Awaited(_) | State::Over => None,
        }
    }

    /// Ends the stream in both directions.
    pub fn reset(&self, reason: Reason) {
        self.reset.set(true);
        match &mut *self.answer.borrow_mut() {
            State::Awaited(respond) => respond.send_reset(reason),
            State::Begun(outflow) => outflow.send().send_reset(reason),
            State::Over => {}
        }
    }

    /// True when the stream has ended before its answer has.
    pub fn was_reset(&self) -> bool {
        if self.reset.get() {
            return true;
        }
        let mut cx = Context::from_waker(Waker::noop());
        match &mut *self.answer.borrow_mut() {
            State::Awaited(respond) => respond.poll_reset(&mut cx).is_ready(),
            State::Begun(outflow) => outflow.send().poll_reset(&mut cx).is_ready(),
            State::Over => false,
        }
    }

    /// Nothing more is received or sent; what was under way is handed to `abandoned`.
    pub fn give_up(&self, abandoned: &mut Vec<CallKey>) {
        self.incoming.give_up(abandoned);
        abandoned.extend(self.key.take());
    }

    /// Drops what waits, and says how many bytes that were.
    pub(super) fn drop_content(&self) -> usize {
        let held = self.held_bytes();
        self.answer.replace(State::Over);
        held
    }
}
