//! From bytes to calls: finds requests in what a connection has received, decides on them, hands calls to the batch.

use bytes::{Buf, BytesMut};

use crate::limits::Limits;
use crate::shard::Shard;
use crate::shard::answers::wording::refusal_of;
use crate::shard::connection::conn::{Conn, Phase};
use crate::shard::connection::discard::{Discard, Unending};
use crate::shard::exchange::asking::Advised;
use crate::shard::exchange::flow::{Flow, Took};
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::own_fields::OwnFields;
use crate::shard::exchange::ready_call::ReadyCall;
use crate::shard::exchange::sink::Sink;
use crate::shard::request::body_stream::{BodyStream, StreamStep};
use crate::shard::request::body_whole::{OpenCall, WholeStep};
use crate::shard::request::early_answer::Answered;
use crate::shard::request::plan::Plan;
use crate::shard::service::Reply;
use crate::tunnel::decide::Decision;
use crate::tunnel::envelope::Refusal;
use crate::wire::body::Step;
use crate::wire::frame_watch::PREFACE_HEAD;
use crate::wire::head::{Head, HeadError, HeadScanner, Method, Scan};

/// Where in a message the input stands.
#[derive(Default)]
enum State {
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

/// The parser's state of one connection.
#[derive(Default)]
pub(in crate::shard) struct Intake {
    scanner: HeadScanner,
    /// Requests that were read on this connection, the one that is decided on included.
    requests: u64,
    state: State,
}

impl Intake {
    /// Bytes that are held of a request which is not complete.
    pub fn held_bytes(&self) -> usize {
        match &self.state {
            State::Body(open) => open.held_bytes(),
            State::Stream(stream) => stream.held_bytes(),
            State::Head | State::Skip(_) => 0,
        }
    }

    /// Handles every request in `buffer` that is complete, and leaves the rest there.
    pub fn take_in(&mut self, shard: &Shard, conn: &Conn, buffer: &mut BytesMut) -> Flow {
        if conn.closing() {
            self.give_up(&shard.limits, buffer);
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
        // The request before it was answered as the last one.
        if conn.closing() {
            return Took::Stop(Flow::Close);
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
            Err(error) => {
                if self.requests == 0 && shard.may_begin_http2(conn, rest) {
                    self.scanner.reset();
                    conn.enter(Phase::Head, shard.now_ms());
                    return Took::Stop(if rest.len() < PREFACE_HEAD.len() { Flow::More } else { Flow::Http2 });
                }
                return shard.refuse_head(shard.next_exchange(conn), error);
            }
        };
        self.scanner.reset();
        // Each head has a clock of its own, also when its bytes came in one read with others.
        conn.restart(Phase::Idle, shard.now_ms());
        let bytes = rest.get(start..end).unwrap_or_default();
        let advised = conn.incoming().take_advice();
        let mut head = shard.head.borrow_mut();
        let parsed = head.parse(bytes, &shard.head_limits);
        let behind = rest.get(end..).unwrap_or_default();
        let took = match shard.follow_reference(&mut head, bytes, parsed) {
            Ok(()) => {
                if advised.is_none() && conn.service().is_load {
                    self.note_request(shard, conn, &head, bytes);
                }
                if head.wants_notice {
                    conn.want_notice();
                }
                self.decide(shard, conn, &mut head, bytes, behind, advised.as_deref())
            }
            Err(HeadError::Expectation) if shard.reference => {
                self.note_request(shard, conn, &head, bytes);
                let (answer, last) = (Decision::Refuse(Refusal::ExpectationFailed), self.is_last(shard, &head));
                self.settle(shard.answer_early(shard.next_exchange(conn), &head, answer, OwnFields::NONE, last, behind))
            }
            Err(error) => {
                if self.requests == 0 && shard.may_begin_http2(conn, bytes) {
                    return Took::Stop(Flow::Http2);
                }
                return shard.refuse_head(shard.next_exchange(conn), error);
            }
        };
        match took {
            Took::Bytes(body) => Took::Bytes(end + body),
            Took::All => Took::All,
            // The head is consumed, whatever follows; but for `Ask`, which leaves it where it is.
            Took::Stop(flow) => Took::Stop(flow),
        }
    }

    fn note_request(&mut self, shard: &Shard, conn: &Conn, head: &Head, bytes: &[u8]) {
        shard.counters.requests.add(1);
        if let Some(log) = conn.log() {
            let (exchange, remote) = (shard.next_exchange(conn), shard.remote_of(conn, head.fields.of(bytes)));
            log.begin(exchange.sink.place().sequence, remote, head, bytes, false);
        }
        self.requests += 1;
    }

    /// True when the connection serves no request after the one with this head.
    fn is_last(&self, shard: &Shard, head: &Head) -> bool {
        let most = shard.limits.max_requests_per_connection;
        !head.keep_alive || shard.stopping() || (most > 0 && self.requests >= most)
    }

    /// The request is answered, and what is left of it is thrown away.
    fn settle(&mut self, answered: Answered) -> Took {
        self.state = answered.rest.map_or(State::Head, |rest| State::Skip(Box::new(rest)));
        answered.took
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
        let exchange = shard.next_exchange(conn);
        if let Some(answer) = conn.service().answer {
            let answer = answer(shard, head, bytes);
            let (head_only, last) = (head.method == Method::Head, !head.keep_alive || shard.stopping());
            return self.settle(shard.answer_by(exchange, head, last, behind, |last| match &answer {
                Reply::Whole(answer) => shard.answer_admin(exchange, answer, head_only, last),
                Reply::Events => shard.begin_viewing(conn, head_only, head.minor_version == 0, last),
            }));
        }
        let mut lines = shard.lines.borrow_mut();
        let mut decoded = shard.decoded.borrow_mut();
        shard.proceed_first(exchange, head, advised);
        let head = &*head;
        let (plan, own, caller) = shard.plan(exchange, head, bytes, behind.len(), advised, (&mut lines, &mut decoded));
        let last = self.is_last(shard, head);
        let old = head.minor_version == 0;
        let ready = |handler, event, body| ReadyCall { handler, event, caller, old, own, head: bytes, body };
        match plan {
            Plan::Ask(question) if shard.ask(exchange, question, own, bytes) => Took::Stop(Flow::Ask),
            Plan::Ask(_) | Plan::TurnAway => self.turn_away(shard, exchange, head, own, last, behind),
            Plan::Answer(answer) => {
                shard.notice(answer, head, bytes, own.request_id());
                self.settle(shard.answer_early(exchange, head, answer, own, last, behind))
            }
            Plan::Run { handler, event, length } => {
                let body = behind.get(..length).unwrap_or_default();
                shard.dispatch(exchange, &ready(handler, event, body), last);
                if last { Took::Stop(Flow::Close) } else { Took::Bytes(length) }
            }
            Plan::Gather { handler, event, reserve } => {
                shard.expect_body(exchange, head, behind);
                // Where the reference is followed, only what has come counts (CONTRACT 10): see `take_whole`.
                let most = if shard.reference { u64::MAX } else { shard.limits.max_body_bytes };
                let reader = shard.body_reader(head.framing, most);
                let open = OpenCall::new(&ready(handler, event, b""), reader, reserve, last);
                self.state = State::Body(Box::new(open));
                conn.restart(Phase::Body, shard.now_ms());
                Took::Bytes(0)
            }
            Plan::Stream { handler, boundary } => {
                shard.expect_body(exchange, head, behind);
                let form = boundary.map(|boundary| shard.form_reader(&boundary));
                let stream = BodyStream { reader: shard.body_reader(head.framing, u64::MAX), form };
                if let Err(refusal) = shard.dispatch_stream(exchange, &ready(handler, false, b""), &stream, last) {
                    let answer = Decision::Refuse(refusal);
                    return self.settle(shard.answer_early(exchange, head, answer, own, last, behind));
                }
                self.state = State::Stream(Box::new(stream));
                Took::Bytes(0)
            }
        }
    }

    /// The shard has too much to do: 503.
    fn turn_away(
        &mut self,
        shard: &Shard,
        exchange: Exchange<'_, impl Sink>,
        head: &Head,
        own: OwnFields<'_>,
        last: bool,
        behind: &[u8],
    ) -> Took {
        shard.counters.overloaded.add(1);
        let refusal = Decision::Refuse(Refusal::ServiceUnavailable);
        self.settle(shard.answer_early(exchange, head, refusal, own, last, behind))
    }

    fn take_body(&mut self, shard: &Shard, conn: &Conn, rest: &[u8]) -> Took {
        let State::Body(open) = &mut self.state else { return Took::Bytes(0) };
        let step = shard.take_whole(open, rest);
        if matches!(step, WholeStep::More) {
            return Took::All;
        }
        let State::Body(open) = std::mem::take(&mut self.state) else { return Took::Bytes(0) };
        match step {
            WholeStep::More => Took::All,
            WholeStep::Complete(consumed) => {
                conn.enter(Phase::Idle, shard.now_ms());
                let last = open.last || shard.stopping();
                shard.dispatch(shard.next_exchange(conn), &open.ready(), last);
                if last { Took::Stop(Flow::Close) } else { Took::Bytes(consumed) }
            }
            WholeStep::Refused(step, refusal) => {
                let OpenCall { reader, own, last, .. } = *open;
                let rest = Discard::new(reader, &shard.limits);
                self.settle(shard.answer_within(shard.next_exchange(conn), step, rest, refusal, own.get(), last))
            }
            WholeStep::Broken(status) => shard.refuse_framing(shard.next_exchange(conn), status, open.own.get()),
        }
    }

    fn take_stream(&mut self, shard: &Shard, conn: &Conn, rest: &[u8]) -> Took {
        let State::Stream(stream) = &mut self.state else { return Took::Bytes(0) };
        match shard.take_stream(shard.next_exchange(conn), stream, rest) {
            StreamStep::Took(took) => took,
            StreamStep::Done(step, last) => {
                self.state = State::Head;
                if last {
                    conn.begin_close();
                    return Took::Stop(Flow::Close);
                }
                Took::Bytes(step.consumed)
            }
            StreamStep::Unwanted => {
                let State::Stream(stream) = std::mem::take(&mut self.state) else { return Took::Bytes(0) };
                self.state = State::Skip(Box::new(Discard::new(stream.reader, &shard.limits)));
                Took::Bytes(0)
            }
        }
    }

    /// The body that nobody wants, if the input stands in one.
    pub fn unwanted(&self) -> Option<&Discard> {
        match &self.state {
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

    /// No further request is taken, and nobody wants the one that the input stands in. What has come of it is done with.
    fn give_up(&mut self, limits: &Limits, buffer: &mut BytesMut) {
        if let Some(mut rest) = std::mem::take(self).into_rest(limits) {
            let complete = matches!(rest.take(buffer), Ok(Step { done: true, .. }));
            self.state = if complete { State::Head } else { State::Skip(Box::new(rest)) };
        }
        buffer.clear();
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

    /// The client has sent FIN.
    pub fn end_of_input(&mut self, shard: &Shard, conn: &Conn, in_head: bool) {
        let incomplete = match self.state {
            State::Head => in_head,
            State::Body(_) => true,
            // Its request is answered, or will be.
            State::Skip(_) => false,
            State::Stream(_) => {
                if conn.inflow().is_some() {
                    shard.break_body(shard.next_exchange(conn), refusal_of(400));
                }
                false
            }
        };
        if !conn.closing() && incomplete {
            // A message that will never be complete is never run (RFC 9112 8).
            shard.protocol_error(shard.next_exchange(conn), refusal_of(400));
        }
        if !conn.settled() {
            conn.enter(Phase::HalfClosed, shard.now_ms());
        }
        conn.begin_close();
    }
}

impl Shard {
    /// True for what begins the preface of HTTP/2 (RFC 9113 3.4), where that is spoken: no request of HTTP/1.1 begins so.
    fn may_begin_http2(&self, conn: &Conn, input: &[u8]) -> bool {
        (input.starts_with(PREFACE_HEAD) || PREFACE_HEAD.starts_with(input))
            && self.limits.http2.enabled
            && conn.service().speaks_http2
    }

    /// Tells a client that waits with its body to send it: in its turn, behind the answers to the requests before it.
    pub(in crate::shard) fn expect_body(&self, exchange: Exchange<'_, impl Sink>, head: &Head, behind: &[u8]) {
        if head.expect_continue && behind.is_empty() {
            exchange.sink.proceed();
        }
    }
}
