//! A request that has come on a stream: the tunnel decides on it as on one of HTTP/1.1.

use std::rc::Rc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::Request;

use crate::shard::connection::streams::stream::Stream;
use crate::shard::exchange::asking::Advised;
use crate::shard::exchange::own_fields::OwnFields;
use crate::shard::exchange::phase::Phase;
use crate::shard::exchange::ready_call::ReadyCall;
use crate::shard::exchange::sink::Sink;
use crate::shard::http2::head_text::{put_version, restore_version, write_head};
use crate::shard::http2::reading::{Came, Wanted};
use crate::shard::http2::session::Session;
use crate::shard::request::body_stream::BodyStream;
use crate::shard::request::body_whole::OpenCall;
use crate::shard::request::plan::Plan;
use crate::tunnel::decide::Decision;
use crate::tunnel::envelope::Refusal;
use crate::wire::body::BodyReader;
use crate::wire::head::{Framing, Head, HeadError, Method};

impl Session<'_> {
    /// A request has come.
    pub fn begin(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let shard = self.shard;
        if self.is_too_late() {
            // It may be sent again, elsewhere (RFC 9113 8.7).
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        let (parts, receive) = request.into_parts();
        let stream = self.streams.begin(respond, shard.now_ms());
        shard.counters.http2_streams.add(1);
        self.open += 1;
        let mut text = std::mem::take(&mut self.text);
        let came = Came::look(receive);
        self.unread = self.unread.saturating_sub(came.bytes.len() as u64);
        if write_head(&parts, &mut text).is_err() {
            shard.counters.protocol_errors.add(1);
            stream.reset(Reason::PROTOCOL_ERROR);
            self.streams.touch(&stream);
        } else {
            self.consider(&stream, &mut text, came, None);
        }
        self.text = text;
    }

    /// Decides on a request with this head, again if JavaScript was asked about it.
    pub fn consider(&mut self, stream: &Rc<Stream>, text: &mut [u8], came: Came, advised: Option<&Advised>) {
        let shard = self.shard;
        let (conn, streams) = (self.conn, self.streams.clone());
        let exchange = shard.stream_exchange(conn, &streams, stream);
        let mut head = shard.head.borrow_mut();
        let parsed = match text.len() <= shard.limits.max_head_bytes {
            true => self.read_head(&mut head, text, &came, advised.is_some()),
            false => Err(HeadError::HeadTooLarge),
        };
        if let Err(error) = parsed {
            drop(head);
            shard.refuse_head(exchange, error);
            if stream.is_awaited() {
                stream.reset(Reason::PROTOCOL_ERROR);
                streams.touch(stream);
            }
            return self.leave_unread(stream, came);
        }
        if advised.is_none() {
            shard.counters.requests.add(1);
            self.requests += 1;
            if let Some(log) = conn.log() {
                let remote = shard.remote_of(conn, head.fields.of(text));
                log.begin(stream.sequence(), remote, &head, text, true);
            }
        }
        let mut lines = shard.lines.borrow_mut();
        let mut decoded = shard.decoded.borrow_mut();
        shard.proceed_first(exchange, &mut head, advised);
        let (head, bytes) = (&*head, &*text);
        let (plan, own, caller) =
            shard.plan(exchange, head, bytes, came.bytes.len(), advised, (&mut lines, &mut decoded));
        let ready = |handler, event, body| ReadyCall { handler, event, caller, old: false, own, head: bytes, body };
        let most = if shard.reference { u64::MAX } else { shard.limits.max_body_bytes };
        match plan {
            Plan::Ask(question) if shard.ask(exchange, question, own, bytes) => {
                self.keep(stream, came, Wanted::Asked(text.to_vec()));
            }
            Plan::Ask(_) | Plan::TurnAway => {
                self.turn_away(stream, head, own);
                self.leave_unread(stream, came);
            }
            Plan::Answer(answer) => {
                shard.notice(answer, head, bytes, own.request_id());
                self.answer(stream, head, answer, own);
                self.leave_unread(stream, came);
            }
            Plan::Run { handler, event, .. } => {
                shard.dispatch(exchange, &ready(handler, event, &came.bytes), false);
                came.let_go();
            }
            Plan::Gather { handler, event, reserve } => {
                shard.expect_body(exchange, head, &came.bytes);
                let open = OpenCall::new(&ready(handler, event, b""), BodyReader::until_close(most), reserve, false);
                stream.incoming().clock.restart(Phase::Body, shard.now_ms());
                self.keep(stream, came, Wanted::Whole(Box::new(open)));
            }
            Plan::Stream { handler, boundary } => {
                shard.expect_body(exchange, head, &came.bytes);
                let form = boundary.map(|boundary| shard.form_reader(&boundary));
                let content = BodyStream { reader: BodyReader::until_close(u64::MAX), form };
                if let Err(refusal) = shard.dispatch_stream(exchange, &ready(handler, false, b""), &content, false) {
                    self.answer(stream, head, Decision::Refuse(refusal), own);
                    return self.leave_unread(stream, came);
                }
                self.keep(stream, came, Wanted::Streamed(Box::new(content)));
            }
        }
        // What has come of the content is read at once.
        if self.readings.get(stream.index()).is_some_and(Option::is_some) {
            self.streams.touch(stream);
        }
    }

    /// Reads the head; how long the content is, frames tell.
    fn read_head(&self, head: &mut Head, text: &mut [u8], came: &Came, again: bool) -> Result<(), HeadError> {
        let limits = &self.shard.head_limits;
        if again {
            // As it was, to be read once more.
            restore_version(text);
        }
        let parsed = head.parse(text, limits);
        self.shard.follow_reference(head, text, parsed)?;
        put_version(text, head.target.end);
        if came.complete {
            head.framing = Framing::Length(came.bytes.len() as u64);
        } else if head.framing == Framing::None {
            head.framing = Framing::Chunked;
        }
        Ok(())
    }

    /// The request is answered; what is still to come of it is thrown away.
    fn leave_unread(&mut self, stream: &Rc<Stream>, came: Came) {
        if !came.complete {
            self.keep(stream, came, Wanted::Nothing(self.shard.limits.max_discarded_bytes));
            stream.incoming().clock.restart(Phase::Skip, self.shard.now_ms());
        }
    }

    /// Answers a request without a call.
    fn answer(&self, stream: &Rc<Stream>, head: &Head, answer: Decision<'_>, own: OwnFields<'_>) {
        let shard = self.shard;
        let exchange = shard.stream_exchange(self.conn, &self.streams, stream);
        shard.counters.refused.add(1);
        shard.with_decision(answer, own.all(), head.method == Method::Head, |answer| {
            exchange.sink.answer(answer, false);
        });
    }

    /// The shard has too much to do: 503.
    fn turn_away(&self, stream: &Rc<Stream>, head: &Head, own: OwnFields<'_>) {
        self.shard.counters.overloaded.add(1);
        self.answer(stream, head, Decision::Refuse(Refusal::ServiceUnavailable), own);
    }
}
