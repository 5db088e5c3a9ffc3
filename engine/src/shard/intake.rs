//! From bytes to calls: finds requests in what a connection has received, decides on them, hands calls to the batch.

use bytes::{Buf, BytesMut};

use super::Shard;
use super::asks::Advised;
use super::body_stream::BodyStream;
use super::body_whole::OpenCall;
use super::conn::{Conn, Origin, Phase};
use super::discard::{Discard, Unending};
use super::replies::refusal_of;
use crate::limits::{Limits, READ_BUFFER_BYTES};
use crate::tunnel::decide::{BodyMode, Decision};
use crate::tunnel::envelope::Refusal;
use crate::tunnel::multipart;
use crate::tunnel::table::Kind;
use crate::wire::body::Step;
use crate::wire::fields::Span;
use crate::wire::head::{Framing, Head, HeadError, HeadScanner, Method, Scan};
use crate::wire::reply::CONTINUE;

/// What the read loop should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Read more.
    More,
    /// The connection has as many requests under way, or as much of a body, as it may: wait until there is room.
    Full,
    /// The next request waits for JavaScript's word; it is still at the front of the buffer.
    Ask,
    /// No further request on this connection.
    Close,
}

/// Where in a message the input stands.
#[derive(Default)]
pub(super) enum State {
    /// In or before a head.
    #[default]
    Head,
    /// In a body that a call waits for.
    Body(Box<OpenCall>),
    /// In a body that a call reads as it comes.
    Stream(Box<BodyStream>),
    /// In the rest of a body that nobody wants.
    Skip(Box<Discard>),
}

/// A call that is ready to go, in borrowed pieces.
pub(super) struct ReadyCall<'a> {
    /// Index the handler was registered with.
    pub handler: u32,
    /// Event or task.
    pub event: bool,
    /// The client speaks HTTP/1.0.
    pub old: bool,
    /// Header lines of the answer that depend on the request.
    pub lines: &'a [u8],
    /// The effective request id, in `lines`.
    pub request_id: Span,
    /// The head as received, with its empty line.
    pub head: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

/// The parser's state of one connection.
#[derive(Default)]
pub(super) struct Intake {
    scanner: HeadScanner,
    /// Requests that were read on this connection, the one that is decided on included.
    requests: u64,
    pub(super) state: State,
}

impl Intake {
    /// Bytes that are held of a request which is not complete.
    pub fn held_bytes(&self) -> usize {
        match &self.state {
            State::Body(open) => open.body.capacity() + open.head.capacity() + open.lines.capacity(),
            State::Stream(stream) => stream.held_bytes(),
            State::Head | State::Skip(_) => 0,
        }
    }

    /// Handles every request in `buffer` that is complete, and leaves the rest there.
    pub fn take_in(&mut self, shard: &Shard, conn: &Conn, buffer: &mut BytesMut) -> Flow {
        if conn.closing() {
            return Flow::Close;
        }
        let mut taken = 0;
        let flow = loop {
            let rest = buffer.get(taken..).unwrap_or_default();
            let step = match &mut self.state {
                State::Head => self.take_head(shard, conn, rest),
                State::Body(_) => self.take_body(shard, conn, rest),
                State::Stream(_) => self.take_stream(shard, conn, rest),
                State::Skip(body) => match body.take(rest) {
                    Ok(Step { consumed, done: true }) => {
                        self.state = State::Head;
                        Took::Bytes(consumed)
                    }
                    Ok(_) => Took::All,
                    Err(Unending) => Took::Stop(Flow::Close),
                },
            };
            match step {
                Took::Bytes(bytes) => taken += bytes,
                Took::All => {
                    taken = buffer.len();
                    break Flow::More;
                }
                Took::Stop(flow) => break flow,
            }
        };
        if taken >= buffer.len() {
            buffer.clear();
        } else if taken > 0 {
            buffer.advance(taken);
        }
        flow
    }

    fn take_head(&mut self, shard: &Shard, conn: &Conn, rest: &[u8]) -> Took {
        let limits = &shard.limits;
        if rest.is_empty() {
            if conn.phase().0 != Phase::Fresh {
                conn.enter(Phase::Idle, shard.now_ms());
            }
            // Also at the end: see `let_idle_go`.
            return Took::Stop(Flow::More);
        }
        if !conn.has_room(limits.max_pipelined, limits.max_buffered_bytes) {
            return Took::Stop(Flow::Full);
        }
        let (start, end) = match self.scanner.find(rest, &shard.head_limits) {
            Ok(Scan::Complete { start, end }) => (start, end),
            Ok(Scan::Partial) => {
                conn.enter(Phase::Head, shard.now_ms());
                return Took::Stop(Flow::More);
            }
            Err(error) => return self.refuse_head(shard, conn, error),
        };
        self.scanner.reset();
        // Each head has a clock of its own, also when its bytes came in one read with others.
        conn.restart(Phase::Idle, shard.now_ms());
        let bytes = rest.get(start..end).unwrap_or_default();
        let advised = conn.take_advice();
        let mut head = shard.head.borrow_mut();
        let parsed = head.parse(bytes, &shard.head_limits);
        let behind = rest.get(end..).unwrap_or_default();
        let took = match shard.follow_reference(&mut head, bytes, parsed) {
            Ok(()) => {
                if advised.is_none() && conn.origin() != Origin::Admin {
                    self.note_request(shard);
                }
                self.decide(shard, conn, &mut head, bytes, behind, advised.as_deref())
            }
            Err(HeadError::Expectation) if shard.reference => {
                self.note_request(shard);
                let (answer, last) = (Decision::Refuse(Refusal::ExpectationFailed), self.is_last(shard, &head));
                self.answer(shard, conn, &head, answer, b"", last, behind)
            }
            Err(error) => return self.refuse_head(shard, conn, error),
        };
        match took {
            Took::Bytes(body) => Took::Bytes(end + body),
            Took::All => Took::All,
            // The head is consumed, whatever follows; but for `Ask`, which leaves it where it is.
            Took::Stop(flow) => Took::Stop(flow),
        }
    }

    fn note_request(&mut self, shard: &Shard) {
        shard.counters.requests.add(1);
        self.requests += 1;
    }

    /// True when the connection serves no request after the one with this head.
    fn is_last(&self, shard: &Shard, head: &Head) -> bool {
        let most = shard.limits.max_requests_per_connection;
        !head.keep_alive || shard.stopping() || (most > 0 && self.requests >= most)
    }

    /// Decides on a request whose head is complete; `behind` is what has come of its body so far, and more.
    fn decide(
        &mut self,
        shard: &Shard,
        conn: &Conn,
        head: &mut Head,
        bytes: &[u8],
        behind: &[u8],
        advised: Option<&Advised>,
    ) -> Took {
        if conn.origin() == Origin::Admin {
            let answer = shard.health().answer(head.method, head.path.of(bytes));
            let (head_only, last) = (head.method == Method::Head, !head.keep_alive || shard.stopping());
            return self.answer_by(shard, conn, head, last, behind, |out, last| {
                shard.write_admin(out, answer, head_only, last);
            });
        }
        let mut lines = shard.lines.borrow_mut();
        let mut decoded = shard.decoded.borrow_mut();
        lines.clear();
        if shard.reference && head.expect_continue {
            // node:http says so before it looks at the request; the body will come, whatever the answer.
            if advised.is_none() {
                conn.answer_now(|out| out.extend_from_slice(CONTINUE));
            }
            head.expect_continue = false;
        }
        let head = &*head;
        let verdict = shard.decide(head, bytes, advised, &mut lines, &mut decoded);
        let max_body_bytes = shard.limits.max_body_bytes;
        let request_id = verdict.request_id.map(|id| Span { start: id.start as u32, end: id.end as u32 });
        let last = self.is_last(shard, head);
        let mut mode = BodyMode::Json;
        let (handler, event, refusal) = match verdict.decision {
            _ if advised.is_some_and(|advised| advised.overloaded) => (0, false, Some(Refusal::ServiceUnavailable)),
            Decision::Call { body: BodyMode::OctetStream | BodyMode::Multipart, .. }
                if !shard.backend.takes_frames() =>
            {
                (0, false, Some(Refusal::UnsupportedMediaType))
            }
            Decision::Call { body: BodyMode::Json, .. }
                if exceeds(head.framing, max_body_bytes)
                    && (!shard.reference || behind.len() as u64 > max_body_bytes) =>
            {
                (0, false, Some(Refusal::PayloadTooLarge))
            }
            Decision::Call { body: BodyMode::Multipart, .. } if form_boundary(head, bytes).is_none() => {
                (0, false, Some(Refusal::InvalidMultipart))
            }
            Decision::Call { .. } if shard.is_full() => {
                shard.counters.overloaded.add(1);
                (0, false, Some(Refusal::ServiceUnavailable))
            }
            Decision::Call { handler, kind, body } => {
                mode = body;
                (handler, kind == Kind::Event, None)
            }
            Decision::Ask(question) => {
                if shard.ask(conn, question, &lines, request_id, bytes) {
                    return Took::Stop(Flow::Ask);
                }
                shard.counters.overloaded.add(1);
                (0, false, Some(Refusal::ServiceUnavailable))
            }
            answer => {
                shard.notice(answer, head, bytes, request_id.unwrap_or_default().of(&lines));
                return self.answer(shard, conn, head, answer, &lines, last, behind);
            }
        };
        if let Some(refusal) = refusal {
            return self.answer(shard, conn, head, Decision::Refuse(refusal), &lines, last, behind);
        }
        let request_id = request_id.unwrap_or_default();
        let old = head.minor_version == 0;
        if mode != BodyMode::Json {
            let ready = ReadyCall { handler, event, old, lines: &lines, request_id, head: bytes, body: b"" };
            let form = if mode == BodyMode::Multipart { form_boundary(head, bytes) } else { None };
            let form = form.map(|boundary| shard.form_reader(&boundary));
            let stream = BodyStream { reader: shard.body_reader(head.framing, u64::MAX), form };
            return self.open_stream(shard, conn, head, &ready, stream, last, behind);
        }
        let whole = match head.framing {
            Framing::None => Some(0),
            Framing::Length(length) => usize::try_from(length).ok().filter(|length| *length <= behind.len()),
            Framing::Chunked => None,
        };
        if let Some(length) = whole {
            let body = behind.get(..length).unwrap_or_default();
            let ready = ReadyCall { handler, event, old, lines: &lines, request_id, head: bytes, body };
            shard.dispatch(conn, &ready, last);
            return if last { Took::Stop(Flow::Close) } else { Took::Bytes(length) };
        }
        let reserve = match head.framing {
            // No more than what has come suggests: what a head declares costs nothing.
            Framing::Length(length) => (length as usize).min(READ_BUFFER_BYTES.max(2 * behind.len())),
            Framing::None | Framing::Chunked => 0,
        };
        if head.expect_continue && behind.is_empty() {
            // In its turn, behind the answers to the requests before it.
            conn.answer_now(|out| out.extend_from_slice(CONTINUE));
        }
        self.state = State::Body(Box::new(OpenCall {
            // Where the reference is followed, only what has come counts (CONTRACT 10): see `take_body`.
            reader: shard.body_reader(head.framing, if shard.reference { u64::MAX } else { max_body_bytes }),
            body: Vec::with_capacity(reserve),
            handler,
            event,
            old,
            last,
            lines: lines.clone(),
            request_id,
            head: bytes.to_vec(),
        }));
        conn.restart(Phase::Body, shard.now_ms());
        Took::Bytes(0)
    }

    /// Answers a request without a call, then gets rid of its body.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn answer(
        &mut self,
        shard: &Shard,
        conn: &Conn,
        head: &Head,
        answer: Decision<'_>,
        lines: &[u8],
        last: bool,
        behind: &[u8],
    ) -> Took {
        shard.counters.refused.add(1);
        self.answer_by(shard, conn, head, last, behind, |out, last| {
            shard.write_decision(out, answer, lines, head.method == Method::Head, last);
        })
    }

    /// The same, for an answer that `write` knows; it hears whether it is the last one.
    fn answer_by(
        &mut self,
        shard: &Shard,
        conn: &Conn,
        head: &Head,
        last: bool,
        behind: &[u8],
        write: impl FnOnce(&mut Vec<u8>, bool),
    ) -> Took {
        let mut reader = shard.body_reader(head.framing, u64::MAX);
        let step = reader.skip(behind);
        // What has come counts no more.
        let rest = Discard::new(reader, &shard.limits);
        // A client that waits for `100 Continue` and gets an answer instead may or may not send the body.
        let unsure = head.expect_continue && !matches!(step, Ok(Step { done: true, .. }));
        // An answer that lets the connection go on is a promise: the rest of the body is read.
        let last = last || unsure || step.is_err() || !rest.fits();
        conn.answer_now(|out| write(out, last));
        match step {
            Ok(Step { done: false, .. }) if !unsure => self.skip(shard, conn, rest, last),
            Ok(Step { consumed, .. }) if !last => Took::Bytes(consumed),
            _ => Took::Stop(Flow::Close),
        }
    }

    /// The request is answered, but not all of its body has come: the rest is thrown away.
    pub(super) fn skip(&mut self, shard: &Shard, conn: &Conn, rest: Discard, last: bool) -> Took {
        conn.restart(Phase::Skip, shard.now_ms());
        self.state = State::Skip(Box::new(rest));
        if last { Took::Stop(Flow::Close) } else { Took::All }
    }

    /// The body that nobody wants, if the input stands in one.
    pub fn unwanted(&mut self) -> Option<&mut Discard> {
        match &mut self.state {
            State::Skip(rest) => Some(rest),
            State::Head | State::Body(_) | State::Stream(_) => None,
        }
    }

    /// Drops what has come of a body that nobody wants before it is read; true when something has changed by it: the body is
    /// complete, or it is the turn of others.
    pub fn drop_unseen(&mut self, shard: &Shard, conn: &Conn) -> bool {
        let State::Skip(rest) = &mut self.state else { return false };
        let (complete, turn_is_over) = (rest.take_unseen(shard, conn), rest.ends_turn());
        if complete {
            self.state = State::Head;
        }
        complete || turn_is_over
    }

    /// What is still to come of the request that the input stands in, which nobody wants any more.
    pub fn into_rest(self, limits: &Limits) -> Option<Discard> {
        match self.state {
            State::Head => None,
            State::Body(open) => Some(Discard::new(open.reader, limits)),
            State::Stream(stream) => Some(Discard::new(stream.reader, limits)),
            State::Skip(rest) => Some(*rest),
        }
    }

    /// The head is refused: nobody knows where the next message begins.
    fn refuse_head(&mut self, shard: &Shard, conn: &Conn, error: HeadError) -> Took {
        match shard.head_refusal(error) {
            Some(refusal) => self.protocol_error(shard, conn, refusal),
            None => {
                shard.counters.protocol_errors.add(1);
                Took::Stop(Flow::Close)
            }
        }
    }

    /// The input makes no sense, or breaks a bound: one answer, then the end.
    pub(super) fn protocol_error(&mut self, shard: &Shard, conn: &Conn, refusal: Refusal<'_>) -> Took {
        shard.counters.protocol_errors.add(1);
        conn.answer_now(|out| shard.write_refusal(out, refusal, b"", false, true));
        Took::Stop(Flow::Close)
    }

    /// The client has sent FIN.
    pub fn end_of_input(&mut self, shard: &Shard, conn: &Conn, in_head: bool) {
        let incomplete = match self.state {
            State::Head => in_head,
            State::Body(_) => true,
            // Its request is answered, or will be.
            State::Skip(_) => false,
            State::Stream(_) => {
                if conn.inflow().is_some() {
                    shard.break_body(conn, refusal_of(400));
                }
                false
            }
        };
        if !conn.closing() && incomplete {
            // A message that will never be complete is never run (RFC 9112 8).
            self.protocol_error(shard, conn, refusal_of(400));
        }
        if !conn.settled() {
            conn.enter(Phase::HalfClosed, shard.now_ms());
        }
        conn.begin_close();
    }
}

/// What one step of the parser did.
pub(super) enum Took {
    /// So many bytes are done with; go on.
    Bytes(usize),
    /// Everything that has come is done with, and the message is not over.
    All,
    /// Stop here.
    Stop(Flow),
}

/// What delimits the parts of a form, if the head says so in a usable way.
fn form_boundary(head: &Head, bytes: &[u8]) -> Option<Vec<u8>> {
    multipart::boundary(head.fields.of(bytes).get(b"content-type").first().unwrap_or_default())
}

/// True when the declared length alone is too much; a chunked body is measured as it comes.
fn exceeds(framing: Framing, max_body_bytes: u64) -> bool {
    matches!(framing, Framing::Length(length) if length > max_body_bytes)
}
