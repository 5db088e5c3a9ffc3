//! A client that speaks HTTP/2: many requests at a time, each on a stream.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use h2::server::{Connection, Handshake, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;

use crate::limits::RELAY_BYTES;
use crate::link::http2_counts::{CountedConnection, Side};
use crate::shard::Shard;
use crate::shard::exchange::phase::Phase;
use crate::shard::http2::setup::{builder, frame_limits};
use crate::shard::multiplex::drive::{Role, drive};
use crate::shard::multiplex::heads::write_request;
use crate::shard::multiplex::memory::{Memory, Pipe};
use crate::shard::multiplex::stream::Stream;
use crate::shard::proxy::client::Client;
use crate::shard::proxy::hand::Hand;
use crate::shard::proxy::strand;
use crate::wire::frame_watch::{FrameWatch, PREFACE, UNKNOWN};
use crate::wire::method::Method;

/// Serves it; what has come begins with the preface.
pub(super) async fn serve(hand: Hand) {
    let Hand { shard, client, inlet, outlet, .. } = hand;
    let (Some((reader, bytes)), Some(writer)) = (inlet.into_half(), outlet.into_half()) else { return };
    let memory = Rc::<Memory>::default();
    memory.arrive(bytes);
    client.carried.begin();
    let Some(side) = shard.upstreams.as_ref().map(|upstreams| upstreams.link.http2.clients.clone()) else { return };
    let mut session = Session::new(shard.clone(), client.clone(), memory.clone(), side);
    drive(&shard, &memory, client.socket(), reader, writer, &mut session).await;
}

enum State {
    /// The preface has not come, or not all of it.
    Beginning(Box<Handshake<Pipe, Bytes>>),
    Open(Box<Connection<Pipe, Bytes>>),
}

struct Session {
    shard: Rc<Shard>,
    client: Rc<Client>,
    memory: Rc<Memory>,
    state: State,
    watch: FrameWatch,
    /// It ends at once, for this reason.
    end: Option<Reason>,
    /// It takes no further stream.
    finishing: bool,
    /// Streams that have begun all the same.
    late: u32,
    /// Its client has said that it leaves.
    leaving: bool,
    side: Arc<Side>,
    _counted: CountedConnection,
}

impl Session {
    fn new(shard: Rc<Shard>, client: Rc<Client>, memory: Rc<Memory>, side: Arc<Side>) -> Self {
        let (limits, now_ms) = (&shard.limits.http2, shard.now_ms());
        let mut builder = builder(limits);
        // WebSockets may have a stream, too (RFC 8441).
        builder.max_send_buffer_size(RELAY_BYTES).enable_connect_protocol();
        shard.counters.http2_connections.add(1);
        client.clock.restart(Phase::Head, now_ms);
        Session {
            state: State::Beginning(Box::new(builder.handshake(Pipe(memory.clone())))),
            watch: FrameWatch::new(frame_limits(limits), now_ms),
            shard,
            client,
            memory,
            end: None,
            finishing: false,
            late: 0,
            leaving: false,
            _counted: side.connection(),
            side,
        }
    }

    /// Looks at what has come, and gives it to `h2`.
    fn feed(&mut self, mut bytes: BytesMut) {
        // A tunnel that is closed like that was not asked for in vain.
        let answered = |number| self.client.carried.any(|stream| stream.is_answered(number));
        if let Err(breach) = self.watch.take_unless(&bytes, self.shard.now_ms(), &answered) {
            let counters = &self.shard.counters;
            (if breach.is_flood() { &counters.http2_floods } else { &counters.protocol_errors }).add(1);
            self.end = Some(Reason::from(breach.code()));
            // The client can be told only once its preface is read.
            let rest = if matches!(self.state, State::Beginning(_)) { PREFACE.len() } else { 0 };
            bytes.truncate(rest);
        } else if let Some(kind) = self.watch.goaway().and_then(|at| bytes.get_mut(at)) {
            // `h2` would end the connection as soon as it is idle, before what the client has sent behind that is answered.
            *kind = UNKNOWN;
        }
        self.watch.spoiled().iter().for_each(|(stream, flaw)| self.memory.spoil(*stream, *flaw));
        let seen = self.watch.take_seen();
        self.memory.count_unread(seen.data_bytes, self.shard.limits.http2.connection_window_bytes);
        self.leaving |= seen.leaves;
        self.memory.feed(bytes);
    }

    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.client.is_dead() {
            return Poll::Ready(());
        }
        if let Some(bytes) = self.memory.take_arrived() {
            self.feed(bytes);
        }
        if let State::Beginning(handshake) = &mut self.state {
            match Pin::new(&mut **handshake).poll(cx) {
                Poll::Ready(Ok(connection)) => self.state = State::Open(Box::new(connection)),
                Poll::Ready(Err(_)) => {
                    self.shard.counters.protocol_errors.add(1);
                    return Poll::Ready(());
                }
                // Who has not begun cannot be told anything: it only ends.
                Poll::Pending if self.end.is_some() || self.client.closing() => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.obey();
        loop {
            let State::Open(connection) = &mut self.state else { return Poll::Pending };
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => self.begin(request, respond),
                Poll::Ready(Some(Err(error))) => {
                    self.shard.note_http2_end(&error);
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Does what the connection is asked for.
    fn obey(&mut self) {
        let State::Open(connection) = &mut self.state else { return };
        if let Some(reason) = self.end.take() {
            connection.abrupt_shutdown(reason);
        } else if self.client.closing() && !std::mem::replace(&mut self.finishing, true) {
            connection.graceful_shutdown();
        }
    }

    /// A request has come.
    fn begin(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        self.late += u32::from(self.finishing);
        if self.late > self.shard.limits.http2.max_streams {
            // It may be sent again, elsewhere (RFC 9113 8.7).
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        let (parts, receive) = request.into_parts();
        let (shard, mut text) = (&self.shard, Vec::new());
        match write_request(&parts, || shard.random_bytes(), &mut text) {
            Ok(asked) => {
                // What follows those is no content.
                let empty = receive.is_end_stream() || asked.method == Method::Connect || asked.key.is_some();
                let (memory, side) = (self.memory.clone(), self.side.clone());
                let stream = Stream::answering(respond, asked, receive, memory, side);
                strand::begin(shard, &self.client, stream, text, empty);
            }
            Err(_) => {
                shard.counters.protocol_errors.add(1);
                respond.send_reset(Reason::PROTOCOL_ERROR);
            }
        }
    }

    /// Says what is waited for, and what is held.
    fn note_state(&self) {
        let (limits, streams) = (&self.shard.limits.http2, self.client.carried.len());
        let idle = streams == 0;
        self.memory.bound_unread(streams, limits.stream_window_bytes, limits.connection_window_bytes);
        let phase = if self.watch.is_within() {
            Phase::Head
        } else if (self.finishing || self.leaving) && idle {
            Phase::Linger
        } else {
            Phase::Idle
        };
        self.client.clock.enter(phase, self.shard.now_ms());
        self.client.weigh(self.memory.held_bytes());
    }
}

impl Role for Session {
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.client.carried.remember(cx);
        let step = self.advance(cx);
        self.watch.sent(self.memory.take_written());
        if step.is_ready() {
            self.client.begin_close();
            self.client.carried.each(|stream| stream.cut(true));
            self.client.clock.restart(Phase::Linger, self.shard.now_ms());
        } else {
            self.note_state();
        }
        step
    }

    fn note_writing(&self, writing: bool) {
        self.client.note_writing(writing.then(|| self.shard.now_ms()));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let connections = &self.shard.counters.http2_connections;
        connections.set(connections.get().saturating_sub(1));
    }
}
