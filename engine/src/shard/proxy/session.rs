//! What a client asks, one request after the other.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, BytesMut};

use crate::link::contexts::Context;
use crate::link::proxy_log::Entry;
use crate::proxy::credentials::Presented;
use crate::proxy::fault::{Fault, OwnAnswer};
use crate::proxy::request::{RequestPlan, asked, method_of, plan};
use crate::proxy::target::{Scheme, Target};
use crate::shard::exchange::phase::Phase;
use crate::shard::proxy::exchange::Exchange;
use crate::shard::proxy::hand::Hand;
use crate::shard::proxy::own::After;
use crate::shard::proxy::tunnel::Inside;
use crate::shard::transport::layer::Layer;
use crate::shard::upstream::flow::Outlet;
use crate::wire::frame_watch::PREFACE_HEAD;
use crate::wire::head::{Head, HeadError, HeadScanner, Method, Scan, TargetForm};
use crate::wire::scanner::begins_a_head;

/// A tunnel that is read here: what it leads to, and who has asked for it.
pub(super) struct Tunnelled {
    target: Target,
    context: Arc<Context>,
    /// What it is to go on under, once.
    layer: Option<Rc<Layer>>,
}

/// What comes next from a client.
enum Next {
    Head(BytesMut),
    /// What has come is none.
    Refused(Fault),
    /// The preface of HTTP/2.
    Http2,
    /// Nothing.
    End,
}

/// Serves a client until it has no more to ask, or gives it back because it speaks HTTP/2. `inside`: what it asks comes through a
/// tunnel.
pub(super) async fn session(mut hand: Hand, mut inside: Option<Tunnelled>) -> Option<Hand> {
    let (mut scanner, mut first) = (HeadScanner::default(), inside.is_none());
    hand = go_under(hand, &mut inside);
    loop {
        let after = match next_head(&mut hand, &mut scanner, first).await {
            Next::Head(bytes) => Box::pin(request(&mut hand, &bytes, &mut inside)).await,
            Next::Refused(fault) => {
                hand.shard.counters.protocol_errors.add(1);
                Box::pin(hand.refuse_and_close(&Head::default(), fault)).await
            }
            Next::Http2 => return Some(hand),
            Next::End => {
                // What TLS has to say of it: the client's last record was none, or was its last word (RFC 8446 6).
                if matches!(hand.outlet, Outlet::Layer(..)) && !hand.client.is_dead() {
                    Box::pin(hand.end()).await;
                }
                return None;
            }
        };
        first = false;
        // Before anything more is said, the end among it.
        hand = go_under(hand, &mut inside);
        match after {
            After::Next if hand.client.is_dead() => return None,
            After::Next if !hand.client.closing() => {}
            After::Next | After::Close => {
                Box::pin(hand.linger()).await;
                return None;
            }
            After::Cut => return None,
        }
    }
}

/// Goes on under TLS, once the client has shaken hands.
fn go_under(hand: Hand, inside: &mut Option<Tunnelled>) -> Hand {
    match inside.as_mut().and_then(|inside| inside.layer.take()) {
        Some(layer) => hand.under(&layer),
        None => hand,
    }
}

/// Serves the one request of a stream, which has this head.
pub(super) async fn serve_one(mut hand: Hand, head: Vec<u8>) {
    let mut inside = None;
    let after = match head.len() <= hand.shard.limits.max_head_bytes {
        true => request(&mut hand, &head, &mut inside).await,
        false => hand.refuse_and_close(&Head::default(), Fault::Head(HeadError::HeadTooLarge)).await,
    };
    match after {
        _ if hand.client.is_dead() => {}
        // What comes through the tunnel is HTTP/1.1.
        After::Next if inside.is_some() => {
            hand.framed = false;
            drop(session(hand, inside).await);
        }
        // Nothing is to come that would be thrown away: its client need not end what it will not send.
        After::Next | After::Close if hand.empty => hand.outlet.end().await,
        After::Next | After::Close => hand.linger().await,
        After::Cut => hand.client.cut(true),
    }
}

async fn next_head(hand: &mut Hand, scanner: &mut HeadScanner, first: bool) -> Next {
    let (shard, client) = (hand.shard.clone(), hand.client.clone());
    client.clock.restart(if first { Phase::Fresh } else { Phase::Idle }, shard.now_ms());
    hand.inlet.rest();
    loop {
        match scanner.find(&hand.inlet.buffer, &shard.head_limits) {
            Ok(Scan::Complete { start: 0, end })
                if first && shard.limits.http2.enabled && hand.inlet.buffer.get(..end) == Some(PREFACE_HEAD) =>
            {
                return Next::Http2;
            }
            Ok(Scan::Complete { start, end }) => {
                scanner.reset();
                let mut bytes = hand.inlet.buffer.split_to(end);
                bytes.advance(start);
                return Next::Head(bytes);
            }
            Ok(Scan::Partial) => {}
            Err(error) => return Next::Refused(Fault::Head(error)),
        }
        if begins_a_head(&hand.inlet.buffer) {
            client.clock.enter(Phase::Head, shard.now_ms());
        }
        client.weigh(hand.inlet.held_bytes());
        let read = hand.inlet.fill(None).await;
        shard.touch();
        match (read, client.late()) {
            _ if client.is_dead() => return Next::End,
            (_, Some(fault)) => return Next::Refused(fault),
            (Ok(0), None) if begins_a_head(&hand.inlet.buffer) => {
                return Next::Refused(Fault::Head(HeadError::Truncated));
            }
            (Ok(0) | Err(_), None) => return Next::End,
            (Ok(bytes), None) => client.clock.count_bytes(bytes, shard.now_ms()),
        }
    }
}

/// Counts a request that is under way.
struct Tally<'a>(&'a Context);

impl<'a> Tally<'a> {
    fn begin(context: &'a Context) -> Self {
        context.traffic.requests.fetch_add(1, Ordering::Relaxed);
        context.traffic.open.fetch_add(1, Ordering::Relaxed);
        Tally(context)
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        self.0.traffic.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn request(hand: &mut Hand, bytes: &[u8], inside: &mut Option<Tunnelled>) -> After {
    hand.client.begin(hand.now_ms());
    hand.shard.counters.requests.add(1);
    let (begun_ms, through) = (hand.now_ms(), inside.as_ref().map(|inside| inside.target.clone()));
    let after = decide(hand, bytes, inside).await;
    note(hand, bytes, through.as_ref(), after, begun_ms);
    hand.client.end();
    if let Some(Tunnelled { context, .. }) = inside {
        // Whatever it waits for ends with its context.
        hand.client.set_context(context.clone());
    }
    after
}

/// Tells the application what became of a request, if it wants to hear of it.
fn note(hand: &Hand, bytes: &[u8], inside: Option<&Target>, after: After, begun_ms: u64) {
    let Some(log) = hand.shard.upstreams.as_ref().and_then(|upstreams| upstreams.link.log.as_ref()) else { return };
    let (mut head, (status, error)) = (Box::<Head>::default(), hand.client.told());
    let is_head = head.parse(bytes, &hand.shard.head_limits).is_ok();
    let is_tunnel = status == 101 || (status == 200 && head.form == TargetForm::Authority);
    log.note(Entry {
        context: hand.client.context_id(),
        method: if is_head { method_of(&head, bytes) } else { String::new() },
        target: if is_head { asked(&head, bytes, inside) } else { None },
        status,
        error,
        aborted: after == After::Cut && !is_tunnel,
        duration_ms: hand.now_ms().saturating_sub(begun_ms),
    });
}

async fn decide(hand: &mut Hand, bytes: &[u8], inside: &mut Option<Tunnelled>) -> After {
    let shard = hand.shard.clone();
    let Some(upstreams) = shard.upstreams.as_ref() else { return After::Cut };
    let mut head = Box::<Head>::default();
    if let Err(error) = head.parse(bytes, &shard.head_limits) {
        shard.counters.protocol_errors.add(1);
        return hand.refuse_and_close(&Head::default(), Fault::Head(error)).await;
    }
    hand.frame(&mut head);
    let known = match inside {
        Some(Tunnelled { context, .. }) => Some(context.clone()),
        None => Presented::of(&head.fields.of(bytes)).and_then(|it| upstreams.link.contexts.find(&it)),
    };
    let Some(context) = known.filter(|context| !context.is_released()) else {
        return hand.refuse(&head, Fault::Unauthenticated).await;
    };
    hand.client.set_context(context.clone());
    let _tally = Tally::begin(&context);
    let target = inside.as_ref().map(|inside| &inside.target);
    match plan(&head, bytes, target, context.route.as_ref(), &upstreams.link.name) {
        Ok(RequestPlan::Forward(mut forward)) => {
            if hand.framed {
                forward.version = "2.0";
            }
            let exchange = Exchange { upstreams, context: &context, head: &head, bytes, forward: &forward };
            exchange.run(hand).await
        }
        Ok(RequestPlan::Tunnel(target)) => hand.tunnel(&head, upstreams, &context, &target).await,
        Ok(RequestPlan::Intercept(target, routed)) => {
            match hand.intercept(&head, upstreams, &context, &target.host, &routed).await {
                Inside::Requests(layer) => {
                    let scheme = if layer.is_some() { Scheme::Https } else { Scheme::Http };
                    *inside = Some(Tunnelled { target: Target { scheme, ..target }, context: context.clone(), layer });
                    After::Next
                }
                Inside::Over(after) => after,
            }
        }
        Ok(RequestPlan::Own) => own(hand, &head, bytes).await,
        Err(fault) => {
            context.traffic.failed.fetch_add(1, Ordering::Relaxed);
            hand.refuse(&head, fault).await
        }
    }
}

/// Answers as the last on the way (RFC 9110 7.6.2, 9.3.8): a client that traces sees its request, without its secrets.
async fn own(hand: &mut Hand, head: &Head, bytes: &[u8]) -> After {
    let mut content = Vec::new();
    if head.method == Method::Trace {
        content.extend_from_slice(bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default());
        for (name, value) in head.fields.of(bytes).iter() {
            let secret = [&b"proxy-authorization"[..], b"authorization", b"cookie"];
            if !secret.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
                content.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
            }
        }
        content.extend_from_slice(b"\r\n");
    }
    let answer = OwnAnswer {
        status: 200,
        error: None,
        media_type: "message/http",
        content: &content,
        ..OwnAnswer::of(Fault::Target)
    };
    hand.answer(head, answer).await
}
