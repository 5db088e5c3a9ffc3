//! The read side of a connection. Its reads wait in the kernel and own their buffer meanwhile, so what an idle connection
//! costs is decided here: it reads into a lean buffer until that is too small. Reads into larger ones can be taken back,
//! which costs a little, and are when the connection is idle; a bounded number of connections is spared that.

use std::io;
use std::task::Poll;

use bytes::BytesMut;
use monoio::BufResult;
use monoio::buf::{IoBufMut, SliceMut};

use crate::limits::{CONN_BUFFER_KEEP_BYTES, READ_BUFFER_BYTES, READ_BUFFER_MAX_BYTES};
use crate::shard::Shard;
use crate::shard::connection::buffers::held_by;
use crate::shard::connection::conn::Conn;
use crate::shard::connection::discard::discard;
use crate::shard::exchange::flow::Flow;
use crate::shard::exchange::phase::Phase;
use crate::shard::http2::reader::read_http2;
use crate::shard::request::intake::Intake;
use crate::shard::request::questions::{Consulted, consult};
use crate::shard::transport::halves::{ReadHalf, was_cancelled};
use crate::wire::scanner::begins_a_head;

/// What has come and is not taken in yet.
struct Input {
    intake: Intake,
    buffer: BytesMut,
    /// Bytes that a read should have room for.
    capacity: usize,
    /// The connection was idle while it was read.
    was_idle: bool,
}

/// Why reading stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The lean buffer was too small.
    Grow,
    /// The connection is or was idle: the read was taken back, or what it brought is done with.
    Rest,
    /// What follows is HTTP/2.
    Http2,
    /// No further request is taken; the last answer may still be on its way.
    Close,
    /// Nothing more will come in.
    End,
}

/// How the socket is read.
trait Source {
    const KIND: Kind;

    fn socket(&mut self) -> &mut ReadHalf;

    /// Reads into the free part of the buffer.
    fn read(
        &mut self,
        conn: &Conn,
        free: SliceMut<BytesMut>,
    ) -> impl Future<Output = BufResult<usize, SliceMut<BytesMut>>>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Into the lean buffer: the read stays as long as the connection is idle.
    Lean,
    /// Into a large buffer, and the read stays: one of [`HELD_READS`]. Who has been idle makes room for another.
    Held,
    /// Into a large buffer: the read is taken back when the connection is idle.
    Loose,
}

struct Lean<'a>(&'a mut ReadHalf);
struct Held<'a>(&'a mut ReadHalf);
struct Loose<'a>(&'a mut ReadHalf);

impl Source for Lean<'_> {
    const KIND: Kind = Kind::Lean;

    fn socket(&mut self) -> &mut ReadHalf {
        self.0
    }

    fn read(
        &mut self,
        _: &Conn,
        free: SliceMut<BytesMut>,
    ) -> impl Future<Output = BufResult<usize, SliceMut<BytesMut>>> {
        self.0.read(free)
    }
}

impl Source for Held<'_> {
    const KIND: Kind = Kind::Held;

    fn socket(&mut self) -> &mut ReadHalf {
        self.0
    }

    fn read(
        &mut self,
        _: &Conn,
        free: SliceMut<BytesMut>,
    ) -> impl Future<Output = BufResult<usize, SliceMut<BytesMut>>> {
        self.0.read(free)
    }
}

impl Source for Loose<'_> {
    const KIND: Kind = Kind::Loose;

    fn socket(&mut self) -> &mut ReadHalf {
        self.0
    }

    fn read(
        &mut self,
        conn: &Conn,
        free: SliceMut<BytesMut>,
    ) -> impl Future<Output = BufResult<usize, SliceMut<BytesMut>>> {
        self.0.read_until_cancelled(free, conn.socket())
    }
}

/// Reads until there is nothing more to read. No `async fn`, as those below: it would hold its arguments twice.
#[allow(clippy::manual_async_fn)] // see `task`
pub(in crate::shard) fn read_loop(shard: &Shard, conn: &Conn, mut socket: ReadHalf) -> impl Future<Output = ()> {
    async move {
        let lean_bytes = conn.service().lean_bytes;
        let mut input =
            Input { intake: Intake::default(), buffer: BytesMut::new(), capacity: lean_bytes, was_idle: false };
        let stop = loop {
            match read_on(shard, conn, &mut input, Lean(&mut socket)).await {
                Stop::Grow | Stop::Rest => input.capacity = READ_BUFFER_BYTES.max(2 * lean_bytes),
                stop => break stop,
            }
            // In boxes, as everything that an idle connection does not need.
            let stop = match shard.held_reads.take() {
                Some(_held) => Box::pin(read_on(shard, conn, &mut input, Held(&mut socket))).await,
                None => Box::pin(read_on(shard, conn, &mut input, Loose(&mut socket))).await,
            };
            match stop {
                Stop::Grow | Stop::Rest => (input.buffer, input.capacity) = (BytesMut::new(), lean_bytes),
                stop => break stop,
            }
        };
        if stop == Stop::Http2 {
            Box::pin(read_http2(shard, conn, &mut socket, input.buffer)).await;
        } else if stop == Stop::Close {
            conn.begin_close();
            let rest = input.intake.into_rest(&shard.limits);
            Box::pin(discard(shard, conn, &mut socket, rest, input.buffer)).await;
        }
        conn.hold_input(0);
    }
}

#[allow(clippy::manual_async_fn)] // see `task`
fn read_on<S: Source>(shard: &Shard, conn: &Conn, input: &mut Input, mut source: S) -> impl Future<Output = Stop> {
    async move {
        loop {
            std::future::poll_fn(|_| {
                let open = conn.may_read(&shard.limits);
                conn.set_unread(!open);
                if open { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            shard.touch();
            // What the last read left over, held back by the bound on pipelined requests.
            match input.intake.take_in(shard, conn, &mut input.buffer) {
                Flow::Full => {
                    conn.hold_input(input.held_bytes());
                    continue;
                }
                Flow::Ask => {
                    let Input { intake, buffer, .. } = &mut *input;
                    match Box::pin(consult(shard, conn, intake, buffer, source.socket())).await {
                        Consulted::Done => continue,
                        Consulted::Closing => return Stop::Close,
                        Consulted::Ended => return Stop::End,
                    }
                }
                Flow::Close => return Stop::Close,
                Flow::Http2 => return Stop::Http2,
                Flow::More => {}
            }
            if input.intake.drop_unseen(shard, conn) {
                // Others are refused for what is held, so what was let go of must not count while they have their turn.
                conn.hold_input(input.held_bytes());
                shard.next_tick().await;
                continue;
            }
            if S::KIND == Kind::Held && input.was_idle && input.buffer.is_empty() {
                return Stop::Rest;
            }
            let free = input.free(conn);
            conn.hold_input(held_by(free.get_ref()) + input.intake.held_bytes());
            let (read, filled) = source.read(conn, free).await;
            input.buffer = filled.into_inner();
            shard.touch();
            if let Some(stop) = input.took::<S>(shard, conn, read) {
                return stop;
            }
        }
    }
}

impl Input {
    /// Bytes that are held of requests which are not complete.
    fn held_bytes(&self) -> usize {
        held_by(&self.buffer) + self.intake.held_bytes()
    }

    /// The free part of the buffer, large enough for a read.
    fn free(&mut self, conn: &Conn) -> SliceMut<BytesMut> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let waits = matches!(conn.phase().0, Phase::Idle | Phase::Skip);
        if buffer.is_empty() && buffer.capacity() > CONN_BUFFER_KEEP_BYTES && waits {
            // Between two requests, or for a rest that nobody wants: it may take long, and there may be many such.
            buffer = BytesMut::new();
            self.capacity = READ_BUFFER_BYTES;
        }
        // `take_in` only moves the start of the buffer forward; asking for the room that was there before moves it back
        // (`BytesMut` copies what is left over, if that is less, and allocates nothing).
        let room = if buffer.is_empty() { self.capacity } else { self.capacity / 2 };
        if buffer.capacity() - buffer.len() < room {
            buffer.reserve(room);
        }
        let free = buffer.len()..buffer.capacity();
        IoBufMut::slice_mut(buffer, free)
    }

    /// A read has ended.
    fn took<S: Source>(&mut self, shard: &Shard, conn: &Conn, read: io::Result<usize>) -> Option<Stop> {
        match read {
            Ok(0) if !conn.service().half_closes => {
                shard.cut_off(conn);
                Some(Stop::End)
            }
            Ok(0) => {
                self.intake.end_of_input(shard, conn, begins_a_head(&self.buffer));
                Some(Stop::End)
            }
            Ok(bytes) => {
                self.was_idle = S::KIND == Kind::Held && conn.idles(shard.now_ms());
                conn.count_bytes(bytes, shard.now_ms());
                // The read had all the room there was.
                let full = self.buffer.len() == self.buffer.capacity();
                let unseen = self.intake.unwanted().is_some_and(|rest| rest.is_unseen());
                if full && S::KIND == Kind::Lean && !unseen {
                    return Some(Stop::Grow);
                }
                if full && conn.phase().0 != Phase::Skip {
                    let (most, factor) =
                        conn.inflow().map_or((READ_BUFFER_MAX_BYTES, 2), |inflow| (inflow.read_buffer_max(), 16));
                    self.capacity = (self.capacity * factor).min(most);
                }
                None
            }
            Err(error) if S::KIND == Kind::Loose && was_cancelled(&error) => {
                self.buffer.is_empty().then_some(Stop::Rest)
            }
            Err(_) => {
                shard.cut_off(conn);
                Some(Stop::End)
            }
        }
    }
}
