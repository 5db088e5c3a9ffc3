//! A tunnel: bytes in both directions, each until its end, or until nothing comes for long.

use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use crate::link::contexts::Context;
use crate::proxy::fault::Fault;
use crate::proxy::route::Routed;
use crate::proxy::target::{Host, Target};
use crate::proxy::vouched::is_vouched_for;
use crate::shard::Shard;
use crate::shard::proxy::client::{Client, Wait};
use crate::shard::proxy::dial::dial;
use crate::shard::proxy::greet::Greeted;
use crate::shard::proxy::hand::{Gone, Hand};
use crate::shard::proxy::own::After;
use crate::shard::transport::layer::Layer;
use crate::shard::upstream::Upstreams;
use crate::shard::upstream::end::End;
use crate::shard::upstream::flow::{Inlet, Outlet};
use crate::shard::upstream::line::Line;
use crate::shard::upstream::pool::Upstream;
use crate::wire::head::Head;

/// What a client hears when its tunnel is open; what follows is the other end's.
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection Established\r\n\r\n";

/// The first byte of a handshake of TLS (RFC 8446 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// What comes through a tunnel to this machine.
pub(super) enum Inside {
    /// Requests, perhaps: under TLS, or in the clear.
    Requests(Option<Rc<Layer>>),
    /// Nothing more for the proxy to read.
    Over(After),
}

impl Hand {
    /// `CONNECT`.
    pub async fn tunnel(&mut self, head: &Head, upstreams: &Upstreams, context: &Context, target: &Target) -> After {
        if !head.framing.is_empty() {
            return self.refuse_and_close(head, Fault::Target).await;
        }
        match dial(&self.shard, upstreams, &self.client, context, target, false).await {
            Ok(upstream) => match self.establish().await {
                Ok(()) => self.carry(upstreams, context, upstream).await,
                Err(_) => After::Cut,
            },
            Err(_) if self.client.is_dead() => After::Cut,
            Err(fault) => {
                context.traffic.failed.fetch_add(1, Ordering::Relaxed);
                self.refuse(head, fault).await
            }
        }
    }

    /// Says that the tunnel is open.
    async fn establish(&mut self) -> Result<(), Gone> {
        self.client.tell(200);
        self.send(ESTABLISHED.to_vec()).await
    }

    /// `CONNECT` to this machine, of a context with a route: says that the tunnel is open, and looks at what comes. TLS is spoken
    /// here if there is a CA that vouches for the host. Otherwise it goes on as it is: only who has the certificate of the other
    /// end could read it.
    pub async fn intercept(
        &mut self,
        head: &Head,
        upstreams: &Upstreams,
        context: &Context,
        asked: &Host,
        routed: &Routed,
    ) -> Inside {
        if !head.framing.is_empty() {
            return Inside::Over(self.refuse_and_close(head, Fault::Target).await);
        }
        if self.establish().await.is_err() {
            return Inside::Over(After::Cut);
        }
        let limits = &upstreams.link.settings.limits;
        if self.inlet.buffer.is_empty() && !self.hear(self.now_ms() + limits.sniff_timeout_ms, Fault::HeadLate).await {
            return Inside::Over(After::Cut);
        }
        if self.inlet.buffer.first() != Some(&TLS_HANDSHAKE) {
            return Inside::Requests(None);
        }
        if let Some(ca) = upstreams.link.local_ca.as_ref().filter(|_| is_vouched_for(asked)) {
            return match self.greet_within(ca, asked, limits.tls_timeout_ms).await {
                Greeted::Well(layer) => Inside::Requests(Some(layer)),
                failed => {
                    context.traffic.failed.fetch_add(1, Ordering::Relaxed);
                    Inside::Over(if matches!(failed, Greeted::Refused) { After::Close } else { After::Cut })
                }
            };
        }
        Inside::Over(
            match dial(&self.shard, upstreams, &self.client, context, &routed.target.over_tcp(), false).await {
                Ok(upstream) => self.carry(upstreams, context, upstream).await,
                Err(_) => {
                    context.traffic.failed.fetch_add(1, Ordering::Relaxed);
                    After::Cut
                }
            },
        )
    }

    /// Carries bytes to and fro until both directions have ended.
    pub async fn carry(&mut self, upstreams: &Upstreams, context: &Context, upstream: Upstream) -> After {
        let Upstream { mut inlet, mut outlet, end: server, .. } = upstream;
        let (client, shard) = (self.client.clone(), self.shard.clone());
        client.read_freely(self.now_ms());
        let ends = Rc::new(Ends { client: client.end_of(), server: server.clone() });
        client.hold(ends.clone());
        let carriage = Carriage {
            shard: &shard,
            client: &client,
            ends: &ends,
            timeout_ms: Cell::new(upstreams.link.settings.limits.tunnel_timeout_ms),
            half_timeout_ms: upstreams.link.settings.limits.tunnel_half_timeout_ms,
            held: [Cell::default(), Cell::default()],
        };
        carriage.touch();
        let mut there = pin!(carriage.one(0, &mut self.inlet, &mut outlet, &server, &context.traffic.sent));
        let back_to = client.end_of();
        let mut back = pin!(carriage.one(1, &mut inlet, &mut self.outlet, &back_to, &context.traffic.received));
        let (mut sent, mut received) = (false, false);
        std::future::poll_fn(|cx| {
            sent = sent || there.as_mut().poll(cx).is_ready();
            received = received || back.as_mut().poll(cx).is_ready();
            if sent && received { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        After::Cut
    }
}

/// Both ends of a tunnel: where one is cut, so is the other.
struct Ends {
    client: End,
    server: End,
}

impl Line for Ends {
    fn cut(&self) {
        self.server.cut(true);
        self.client.cut(true);
    }
}

struct Carriage<'a> {
    shard: &'a Shard,
    client: &'a Client,
    ends: &'a Ends,
    timeout_ms: Cell<u64>,
    /// Of one direction without the other.
    half_timeout_ms: u64,
    /// Bytes that each direction holds.
    held: [Cell<usize>; 2],
}

impl Carriage<'_> {
    /// Something has come or gone.
    fn touch(&self) {
        self.client.expect(Wait::Hear, Some((self.shard.now_ms() + self.timeout_ms.get(), Fault::Terminated)));
    }

    fn weigh(&self, direction: usize, bytes: usize) {
        if let Some(held) = self.held.get(direction) {
            held.set(bytes);
        }
        self.client.weigh(self.held.iter().map(Cell::get).sum());
    }

    /// One direction. Its end is passed on, so that the other may go on without it.
    async fn one(&self, direction: usize, from: &mut Inlet, to: &mut Outlet, end: &End, count: &AtomicU64) {
        if self.copy(direction, from, to, count).await.is_ok() {
            // A peer that has left altogether looks the same, until something is sent to it.
            self.timeout_ms.set(self.timeout_ms.get().min(self.half_timeout_ms));
            self.touch();
            to.end().await;
            end.end_output();
        } else {
            self.ends.cut();
        }
        self.weigh(direction, 0);
    }

    async fn copy(&self, direction: usize, from: &mut Inlet, to: &mut Outlet, count: &AtomicU64) -> io::Result<()> {
        let mut spare = Vec::new();
        loop {
            self.weigh(direction, from.held_bytes());
            let (read, bytes) = from.take(spare).await;
            self.touch();
            let read = read?;
            if read == 0 {
                return Ok(());
            }
            let (sent, rest) = to.send(bytes, || self.touch()).await;
            sent?;
            count.fetch_add(read as u64, Ordering::Relaxed);
            spare = rest;
        }
    }
}
