//! One request that is passed on, and its answer. Both go at the same time: a server may answer before it has heard all.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use crate::limits::RELAY_BYTES;
use crate::link::contexts::Context;
use crate::link::http2_counts::count;
use crate::proxy::answer::{self, AnswerPlan, Reader};
use crate::proxy::fault::Fault;
use crate::proxy::fields::Hop;
use crate::proxy::request::{Forward, write_head};
use crate::proxy::trailers;
use crate::proxy::websocket;
use crate::shard::Shard;
use crate::shard::multiplex::stream::Failure;
use crate::shard::proxy::client::{Client, Wait};
use crate::shard::proxy::hand::{self, Hand};
use crate::shard::proxy::own::After;
use crate::shard::upstream::Upstreams;
use crate::shard::upstream::flow::{Inlet, Outlet};
use crate::shard::upstream::pool::{Key, Upstream};
use crate::wire::answer_body::{AnswerBody, AnswerFraming};
use crate::wire::answer_head::{AnswerContent, AnswerHead};
use crate::wire::answer_reader::AnswerReader;
use crate::wire::body::{BodyError, BodyReader};
use crate::wire::framing::Framing;
use crate::wire::head::{Head, HeadError, Method};

/// See the module.
pub(super) struct Exchange<'a> {
    pub upstreams: &'a Upstreams,
    pub context: &'a Context,
    pub head: &'a Head,
    pub bytes: &'a [u8],
    pub forward: &'a Forward,
}

/// What became of sending the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// All of it.
    All,
    /// The server has taken no more, or has answered.
    Part,
    /// What the client sends is broken, or does not come.
    Bad(Fault),
    /// The client has left.
    Gone,
}

/// What became of the answer.
enum Heard {
    /// All of it.
    All(Outcome),
    /// Nothing of a final answer was passed on.
    Nothing(Fault),
    /// As that, and the server has said nothing at all.
    Silence,
    /// It broke off, or the client has left.
    Part,
}

struct Outcome {
    plan: AnswerPlan,
    /// The server takes another request.
    reusable: bool,
}

impl Exchange<'_> {
    /// Passes the request on.
    pub async fn run(&self, hand: &mut Hand) -> After {
        // Once more on a new connection, if that may be done twice (RFC 9110 9.2.2): one that waited may have been closed just now.
        let repeatable = !matches!(self.head.method, Method::Post | Method::Patch | Method::Other) && self.is_bare();
        let key = Key { context: self.context.id.clone(), target: self.forward.routed.target.clone() };
        let (shares, counts, mut tries) = (&self.upstreams.shares, &self.upstreams.link.http2, 0);
        let mut waiting = self.waiting(hand, &key);
        // One that another request has just made was not new to this one either: that is no reason to go on for ever.
        let mut repeated = false;
        loop {
            let dialled = match waiting.take() {
                Some(upstream) => Ok(upstream),
                None => self.connect(hand, &key).await,
            };
            let upstream = match dialled {
                Ok(upstream) => upstream,
                Err(_) if hand.client.is_dead() => return After::Cut,
                Err(fault) => return self.fail(hand, fault, true).await,
            };
            let reused = upstream.reused;
            let (sent, heard, upstream) = self.exchange(hand, upstream).await;
            let late = hand.client.late();
            match upstream.end.failure() {
                Some(Failure::WantsHttp1) => {
                    shares.note_http1(&key);
                    count(&counts.fallbacks);
                }
                Some(Failure::Unprocessed) => count(&counts.refused),
                None => {}
            }
            match (heard, sent) {
                _ if hand.client.is_dead() => return After::Cut,
                (Heard::All(outcome), sent) => return self.finish(hand, outcome, sent, upstream).await,
                (_, Sent::Gone) | (Heard::Part, _) => {
                    hand.client.cut(true);
                    return After::Cut;
                }
                (Heard::Silence, Sent::All | Sent::Part) if reused && repeatable && !repeated && late.is_none() => {
                    repeated = true;
                    if upstream.end.socket().is_none() {
                        count(&counts.retried);
                    }
                }
                // Whatever it is, it was not looked at.
                (Heard::Silence, Sent::All | Sent::Part)
                    if tries == 0 && self.is_bare() && late.is_none() && upstream.end.failure().is_some() =>
                {
                    tries += 1;
                    count(&counts.retried);
                }
                (_, Sent::Bad(fault)) => return self.fail(hand, fault, false).await,
                (Heard::Silence, sent) => {
                    return self.fail(hand, late.unwrap_or(Fault::Terminated), sent == Sent::All).await;
                }
                (Heard::Nothing(fault), sent) => {
                    return self.fail(hand, late.unwrap_or(fault), sent == Sent::All).await;
                }
            }
        }
    }

    /// It has no content.
    pub(super) fn is_bare(&self) -> bool {
        self.head.framing.is_empty()
    }

    /// Answers with a fault; `read`: the content of the request was read, or none of it was.
    async fn fail(&self, hand: &mut Hand, fault: Fault, read: bool) -> After {
        self.context.traffic.failed.fetch_add(1, Ordering::Relaxed);
        hand.client.let_go();
        if read && self.is_bare() {
            hand.refuse(self.head, fault).await
        } else {
            hand.refuse_and_close(self.head, fault).await
        }
    }

    /// The answer was passed on as a whole.
    async fn finish(&self, hand: &mut Hand, outcome: Outcome, sent: Sent, upstream: Upstream) -> After {
        if outcome.plan.tunnel {
            return hand.carry(self.upstreams, self.context, upstream).await;
        }
        hand.client.let_go();
        if outcome.reusable
            && sent == Sent::All
            && upstream.inlet.buffer.is_empty()
            && upstream.end.socket().is_some()
            && !hand.shard.stopping()
        {
            self.upstreams.pool.put(upstream, hand.now_ms());
        }
        if outcome.plan.close || sent != Sent::All { After::Close } else { After::Next }
    }

    async fn exchange(&self, hand: &mut Hand, mut upstream: Upstream) -> (Sent, Heard, Upstream) {
        let (shard, client) = (hand.shard.clone(), hand.client.clone());
        client.hold(Rc::new(upstream.end.clone()));
        let (enough, answered) = (Cell::new(false), Cell::new(false));
        let (sent, heard) = {
            let framed = hand.framed;
            let body = hand.body(self.head.framing);
            let toward_frames = upstream.end.socket().is_none();
            let way = Way {
                exchange: self,
                shard: &shard,
                client: &client,
                framed,
                toward_frames,
                enough: &enough,
                answered: &answered,
            };
            let mut sending = pin!(way.send(&mut hand.inlet, &mut upstream.outlet, body));
            let mut hearing = pin!(way.hear(&mut upstream.inlet, &mut hand.outlet));
            let (mut sent, mut heard) = (None, None);
            std::future::poll_fn(|cx| {
                if sent.is_none()
                    && let Poll::Ready(outcome) = sending.as_mut().poll(cx)
                {
                    sent = Some(outcome);
                    if matches!(outcome, Sent::Bad(_) | Sent::Gone) {
                        // The server is not to take it for whole, and nobody waits for its answer.
                        client.cut_line();
                    }
                }
                if heard.is_none()
                    && let Poll::Ready(outcome) = hearing.as_mut().poll(cx)
                {
                    heard = Some(outcome);
                }
                if heard.is_some() && sent.is_none() && !enough.replace(true) {
                    client.cancel_read();
                    client.cut_line();
                    // What is under way ends by that; what is not sees it at its next turn.
                    if let Poll::Ready(outcome) = sending.as_mut().poll(cx) {
                        sent = Some(outcome);
                    }
                }
                if sent.is_some() && heard.is_some() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            (sent.unwrap_or(Sent::Part), heard.unwrap_or(Heard::Part))
        };
        (sent, heard, upstream)
    }
}

/// What both directions know.
struct Way<'a> {
    exchange: &'a Exchange<'a>,
    shard: &'a Rc<Shard>,
    client: &'a Rc<Client>,
    /// Frames tell where its content ends, and where that of an answer does.
    framed: bool,
    /// And so for the server.
    toward_frames: bool,
    /// The answer is complete: no more of the request is wanted.
    enough: &'a Cell<bool>,
    /// Its head has come.
    answered: &'a Cell<bool>,
}

impl Way<'_> {
    fn limits(&self) -> &crate::limits::ProxyLimits {
        &self.exchange.upstreams.link.settings.limits
    }

    /// Frames carry content of a known length on both sides: fields may follow it, which a length in HTTP/1.1 has no place for.
    fn awaits_trailers(&self, framing: Framing, inlet: &Inlet) -> bool {
        self.framed && self.toward_frames && matches!(framing, Framing::Length(1..)) && !inlet.has_ended()
    }

    /// The fields behind content, where frames have carried it: within the bounds of those behind chunks.
    fn take_trailers(&self, inlet: &Inlet) -> Result<Vec<u8>, BodyError> {
        let lines = inlet.take_trailers()?;
        self.shard.chunk_limits.check_trailers(&lines).map(|()| lines)
    }

    fn expect(&self, wait: Wait, within_ms: u64, fault: Fault) {
        self.client.expect(wait, Some((self.shard.now_ms() + within_ms, fault)));
    }

    /// Sends the request.
    async fn send(&self, inlet: &mut Inlet, outlet: &mut Outlet, body: BodyReader) -> Sent {
        let sent = self.send_all(inlet, outlet, body).await;
        self.client.expect(Wait::Send, None);
        self.client.unread(self.shard.now_ms());
        // An answer that has begun before is waited for by itself: piece by piece, and not while the client takes one.
        if matches!(sent, Sent::All | Sent::Part) && !self.enough.get() && !self.answered.get() {
            self.expect(Wait::Hear, self.limits().answer_timeout_ms, Fault::AnswerLate);
        }
        sent
    }

    async fn send_all(&self, inlet: &mut Inlet, outlet: &mut Outlet, mut body: BodyReader) -> Sent {
        let Exchange { head, bytes, forward, context, .. } = self.exchange;
        let mut out = Vec::with_capacity(bytes.len() + 256);
        write_head(head, bytes, forward, &self.exchange.upstreams.link.name, &mut out);
        let framing = match head.framing {
            Framing::Chunked if self.toward_frames => AnswerFraming::UntilClose,
            Framing::Chunked => AnswerFraming::Chunked,
            Framing::Length(length) => AnswerFraming::Length(length),
            Framing::None => AnswerFraming::NoContent,
        };
        let (mut encoder, mut lines) = (AnswerBody::new(framing), Vec::new());
        loop {
            let mut content = 0;
            let step = body.pass_with_trailers(&inlet.buffer, &mut lines, |piece| {
                content += piece.len();
                encoder.put(piece, &mut out);
            });
            let step = match step {
                Ok(step) => step,
                Err(error) => return Sent::Bad(error.into()),
            };
            let _ = inlet.buffer.split_to(step.consumed);
            context.traffic.sent.fetch_add(content as u64, Ordering::Relaxed);
            let done = body.done() && !self.awaits_trailers(head.framing, inlet);
            let trailers =
                if done { trailers::passed_on(&lines, || Hop::of(head.fields.of(bytes))) } else { Vec::new() };
            if done && !encoder.finish_with(&trailers, &mut out) {
                return Sent::Bad(Fault::Content);
            }
            if !out.is_empty() {
                self.client.unread(self.shard.now_ms());
                let progress = || self.expect(Wait::Send, self.limits().send_timeout_ms, Fault::WriteLate);
                let (sent, mut spare) = outlet.send(out, progress).await;
                self.client.expect(Wait::Send, None);
                if sent.is_err() {
                    return if self.client.is_dead() { Sent::Gone } else { Sent::Part };
                }
                spare.clear();
                out = spare;
            }
            if done {
                if self.toward_frames && !forward.upgrade {
                    outlet.end_with(&trailers);
                }
                return Sent::All;
            }
            if self.enough.get() {
                return Sent::Part;
            }
            self.client.read(self.shard.now_ms());
            self.client.weigh(inlet.held_bytes() + RELAY_BYTES);
            match inlet.fill(Some(self.client.socket())).await {
                _ if self.client.is_dead() => return Sent::Gone,
                _ if self.enough.get() => return Sent::Part,
                Ok(1..) => {}
                Ok(0) if self.framed && body.close() => {
                    body.end();
                    match self.take_trailers(inlet) {
                        Ok(found) => lines = found,
                        Err(error) => return Sent::Bad(error.into()),
                    }
                }
                _ => return self.client.late().map_or(Sent::Gone, Sent::Bad),
            }
        }
    }

    /// Over frames the proxy is who asks whether a server speaks WebSocket (RFC 8441 5): 101 without an answer to that is none.
    fn may_switch(&self, answer: &AnswerHead, bytes: &[u8]) -> bool {
        let asked = || self.exchange.head.fields.of(self.exchange.bytes).get(b"sec-websocket-key").first();
        let answered = || answer.fields.of(bytes).get(b"sec-websocket-accept").first();
        !self.framed || answer.status != 101 || websocket::agrees(asked(), answered())
    }

    /// Passes the answer on.
    async fn hear(&self, inlet: &mut Inlet, outlet: &mut Outlet) -> Heard {
        let Exchange { head, forward, context, .. } = self.exchange;
        let via = |answer: &AnswerHead| {
            let version = if self.toward_frames { "2.0".to_owned() } else { format!("1.{}", answer.minor_version) };
            format!("{version} {}", self.exchange.upstreams.link.name)
        };
        let limits = self.shard.head_limits;
        let reader = Reader {
            old: head.minor_version == 0,
            upgrades: forward.upgrade,
            last: !head.keep_alive || self.client.closing(),
            framed: self.framed,
            moved: forward.routed.moved,
        };
        let (mut answers, mut out, mut silent) = (Box::<AnswerReader>::default(), Vec::new(), true);
        let (plan, answer) = loop {
            match answers.find(&inlet.buffer, head.method, &limits) {
                Ok(Some(end)) => {
                    let bytes = inlet.buffer.split_to(end);
                    let found = answers.head();
                    if !found.is_interim() {
                        let upgrades = reader.upgrades && self.may_switch(found, &bytes);
                        let reader = Reader { upgrades, last: reader.last || self.client.closing(), ..reader };
                        if found.status == 101 {
                            let asked = head.fields.of(self.exchange.bytes);
                            if !answer::is_asked_for(&found.fields.of(&bytes), &asked) {
                                return Heard::Nothing(Fault::Upgrade);
                            }
                        }
                        let plan = match answer::plan(found, reader) {
                            Ok(plan) => plan,
                            Err(fault) => return Heard::Nothing(fault),
                        };
                        answer::write_head(
                            found,
                            &bytes,
                            Some(plan),
                            reader,
                            &via(found),
                            &self.shard.clock.date(),
                            &mut out,
                        );
                        // The head is seldom needed any more, and its buffer always.
                        break (plan, Hop::of(found.fields.of(&bytes)).names_others().then_some(bytes));
                    }
                    if self.client.hears() {
                        self.expect(Wait::Hear, self.limits().answer_timeout_ms, Fault::AnswerLate);
                    }
                    if !reader.old {
                        answer::write_head(
                            found,
                            &bytes,
                            None,
                            reader,
                            &via(found),
                            &self.shard.clock.date(),
                            &mut out,
                        );
                        match hand::send(self.shard, self.client, outlet, std::mem::take(&mut out)).await {
                            Ok(spare) => out = spare,
                            Err(_) => return Heard::Part,
                        }
                    }
                    continue;
                }
                Ok(None) => {}
                Err(HeadError::HeadTooLarge | HeadError::TooManyFields) => return Heard::Nothing(Fault::AnswerHead),
                Err(_) => return Heard::Nothing(Fault::Answer),
            }
            match inlet.fill(None).await {
                Ok(1..) => silent = false,
                _ if silent => return Heard::Silence,
                _ => return Heard::Nothing(Fault::Terminated),
            }
        };
        self.answered.set(true);
        self.client.expect(Wait::Hear, None);
        let found = answers.head();
        let Some(mut content) = found.content.reader(u64::MAX, self.shard.chunk_limits) else {
            self.client.tell(found.status);
            return match hand::send(self.shard, self.client, outlet, out).await {
                Ok(_) => Heard::All(Outcome { plan, reusable: false }),
                Err(_) => Heard::Part,
            };
        };
        let (mut encoder, mut lines) = (AnswerBody::new(plan.framing), Vec::new());
        let framing = match found.content {
            AnswerContent::Framed(framing) => framing,
            AnswerContent::UntilClose | AnswerContent::Tunnel => Framing::None,
        };
        let (mut over, mut begun, named) = (false, false, answer.as_deref().unwrap_or_default());
        loop {
            let mut bytes = 0;
            let step = content.pass_with_trailers(&inlet.buffer, &mut lines, |piece| {
                bytes += piece.len();
                encoder.put(piece, &mut out);
            });
            let step = match step {
                Ok(step) => step,
                Err(_) if begun => return Heard::Part,
                // The client can still be told.
                Err(_) => return Heard::Nothing(Fault::Answer),
            };
            let _ = inlet.buffer.split_to(step.consumed);
            context.traffic.received.fetch_add(bytes as u64, Ordering::Relaxed);
            let is_whole = content.done() && !self.awaits_trailers(framing, inlet);
            let done = is_whole || (over && content.close());
            let trailers =
                if done { trailers::passed_on(&lines, || Hop::of(found.fields.of(named))) } else { Vec::new() };
            if done && !encoder.finish_with(&trailers, &mut out) {
                return if begun { Heard::Part } else { Heard::Nothing(Fault::Answer) };
            }
            if !out.is_empty() {
                if !std::mem::replace(&mut begun, true) {
                    self.client.tell(found.status);
                }
                match hand::send(self.shard, self.client, outlet, out).await {
                    Ok(spare) => out = spare,
                    Err(_) => return Heard::Part,
                }
            }
            if done {
                // Within a tunnel they stand behind chunks, and its stream goes on.
                if self.framed && !trailers.is_empty() {
                    outlet.end_with(&trailers);
                }
                return Heard::All(Outcome { plan, reusable: found.keep_alive && !over });
            }
            if over {
                return Heard::Part;
            }
            self.expect(Wait::Hear, self.limits().content_timeout_ms, Fault::Terminated);
            self.client.weigh(inlet.held_bytes() + RELAY_BYTES);
            let read = inlet.fill(None).await;
            self.client.expect(Wait::Hear, None);
            match read {
                Ok(0) => {
                    over = true;
                    match self.take_trailers(inlet) {
                        Ok(mut found) => lines.append(&mut found),
                        Err(_) => return Heard::Part,
                    }
                }
                Ok(_) => {}
                Err(_) => return Heard::Part,
            }
        }
    }
}
