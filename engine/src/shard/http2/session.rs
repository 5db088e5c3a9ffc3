//! One connection of HTTP/2, driven: what has come goes to `h2`, requests and content come out of it, and answers go in, as
//! often as there is something to do.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use h2::Reason;
use h2::server::{Connection, Handshake};

use crate::limits::{ANSWER_WINDOW_BYTES, CONN_BUFFER_KEEP_BYTES};
use crate::shard::Shard;
use crate::shard::connection::buffers::held_by;
use crate::shard::connection::conn::Conn;
use crate::shard::connection::streams::stream::Stream;
use crate::shard::connection::streams::{Order, Streams};
use crate::shard::exchange::phase::Phase;
use crate::shard::http2::pipe::{Input, Pipe};
use crate::shard::http2::reading::Reading;
use crate::shard::http2::setup::{builder, frame_limits};
use crate::wire::frame_watch::{FrameWatch, PREFACE, Seen, UNKNOWN};

enum State {
    /// The preface has not come, or not all of it.
    Beginning(Box<Handshake<Pipe, Bytes>>),
    Open(Box<Connection<Pipe, Bytes>>),
}

/// See the module.
pub(super) struct Session<'a> {
    pub shard: &'a Shard,
    pub conn: &'a Conn,
    pub streams: Rc<Streams>,
    pub input: Rc<Input>,
    state: State,
    watch: FrameWatch,
    /// The requests whose content has not all come, or is not decided on, by the index of their stream.
    pub readings: Vec<Option<Box<Reading>>>,
    /// How many of them there are.
    pub reading: usize,
    /// Bytes of content that have come, and that nobody has taken.
    pub unread: u64,
    /// Requests that have come.
    pub requests: u64,
    /// Streams that have begun and not ended; those of a connection that was cut are in no list any more.
    pub open: u64,
    /// Bytes that the buffer of the read under way counts for.
    lent: usize,
    /// It takes no further stream.
    finishing: bool,
    /// Streams that have begun all the same.
    late: u32,
    /// Its client has said that it leaves.
    leaving: bool,
    /// Something that was to be sent has found no room.
    full: bool,
    /// Memory of the heads of requests.
    pub text: Vec<u8>,
}

impl<'a> Session<'a> {
    /// A session at the first byte of the preface. `of` is `conn`, to be kept.
    pub fn new(shard: &'a Shard, conn: &'a Conn, of: Rc<Conn>, streams: Rc<Streams>) -> Self {
        let (limits, now_ms) = (&shard.limits.http2, shard.now_ms());
        let input = Rc::new(Input::default());
        let pipe = Pipe { conn: of, input: input.clone(), most: shard.limits.max_buffered_bytes };
        conn.enter(Phase::Head, now_ms);
        shard.counters.http2_connections.add(1);
        Session {
            shard,
            conn,
            streams,
            input,
            state: State::Beginning(Box::new(builder(limits).handshake(pipe))),
            watch: FrameWatch::new(frame_limits(limits), now_ms),
            readings: Vec::new(),
            reading: 0,
            unread: 0,
            lent: 0,
            requests: 0,
            open: 0,
            finishing: false,
            late: 0,
            leaving: false,
            full: false,
            text: Vec::new(),
        }
    }

    /// Takes what has come, all before it having been taken.
    pub fn feed(&mut self, mut bytes: BytesMut) {
        self.lent = 0;
        if let Err(breach) = self.watch.take(&bytes, self.shard.now_ms()) {
            let counters = &self.shard.counters;
            (if breach.is_flood() { &counters.http2_floods } else { &counters.protocol_errors }).add(1);
            self.streams.order(Order::End(Reason::from(breach.code())));
            if matches!(self.state, State::Beginning(_)) {
                // The client can be told only once its preface is read.
                bytes.truncate(PREFACE.len());
                self.input.put(bytes);
            }
            return;
        }
        // `h2` would end the connection as soon as it is idle, and so before what the client has sent behind that, such as a
        // PING, is answered, if that comes later. It says nothing but which pushed streams the client has seen (RFC 9113 6.8).
        if let Some(kind) = self.watch.goaway().and_then(|at| bytes.get_mut(at)) {
            *kind = UNKNOWN;
        }
        self.input.put(bytes);
    }

    /// True for a stream too many: its client was told to go, and has had as many since as may be on their way. It does not
    /// say that it has heard, so it could go on for ever.
    pub fn is_too_late(&mut self) -> bool {
        self.late += u32::from(self.finishing);
        self.late > self.shard.limits.http2.max_streams
    }

    /// True when all that has come is taken.
    pub fn wants_input(&self) -> bool {
        self.input.is_empty()
    }

    /// Does what there is to do; ready when the session is over, and everything is written that is to be sent.
    pub fn turn(&mut self) -> Poll<()> {
        if self.conn.is_dead() {
            return Poll::Ready(());
        }
        let mut cx = Context::from_waker(Waker::noop());
        if let State::Beginning(handshake) = &mut self.state {
            match Pin::new(&mut **handshake).poll(&mut cx) {
                Poll::Ready(Ok(connection)) => self.state = State::Open(Box::new(connection)),
                Poll::Ready(Err(_)) => {
                    self.shard.counters.protocol_errors.add(1);
                    return Poll::Ready(());
                }
                // Who has not begun cannot be told anything: it only ends.
                Poll::Pending if self.streams.is_told_to_end() => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.obey();
        let mut seen = self.watch.take_seen();
        self.unread += seen.data_bytes;
        self.leaving |= seen.leaves;
        let had_no_room = std::mem::take(&mut self.full) | self.input.take_full();
        seen.windows |= had_no_room;
        loop {
            if self.accept(&mut cx).is_ready() {
                return Poll::Ready(());
            }
            if !self.tend(std::mem::take(&mut seen)) {
                break;
            }
        }
        self.full |= self.input.take_full();
        // The writer has something to say when there is room again.
        self.conn.set_unread(self.full);
        self.note_state();
        Poll::Pending
    }

    /// Takes the requests that have come, and writes what is to be sent; ready when the session is over.
    fn accept(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let State::Open(connection) = &mut self.state else { return Poll::Pending };
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => self.begin(request, respond),
                Poll::Ready(Some(Err(error))) => {
                    self.shard.note_http2_end(&error);
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {
                    self.note_written();
                    return Poll::Pending;
                }
            }
        }
    }

    /// `h2` has written what it could: all, unless there was no room.
    fn note_written(&mut self) {
        let written = self.input.take_written();
        self.watch.sent(written);
        self.streams.take_over(if self.input.is_full() { written as usize } else { usize::MAX });
    }

    /// Looks at the streams with which something may have happened; true when there is more to write.
    fn tend(&mut self, seen: Seen) -> bool {
        let mut wrote = false;
        if seen.ends || seen.windows {
            for stream in self.streams.all() {
                wrote |= seen.windows && self.pump(&stream);
                if seen.ends && stream.was_reset() {
                    self.streams.touch(&stream);
                }
            }
        }
        if (seen.data || seen.ends) && self.reading > 0 {
            let reading: Vec<_> = self.readings.iter().flatten().map(|reading| reading.stream.clone()).collect();
            for stream in reading {
                wrote |= self.read_on(&stream);
            }
        }
        for stream in self.streams.take_touched() {
            // That of an answer that was handed over at once has nothing more to say.
            wrote |= self.reading > 0 || !stream.is_over() || stream.was_reset();
            if !stream.was_reset() && !stream.is_over() {
                self.read_on(&stream);
                self.pump(&stream);
            }
            if stream.was_reset() || stream.is_over() {
                self.end(&stream);
            }
        }
        wrote
    }

    /// Hands over what the client takes of an answer; true when that was something.
    fn pump(&mut self, stream: &Rc<Stream>) -> bool {
        let shard = self.shard;
        if let Some((key, bytes)) = stream.grant(|| shard.stream_window(ANSWER_WINDOW_BYTES)) {
            shard.credit_answer(key, bytes);
        }
        let queued = self.conn.answers().held_bytes() + self.streams.handed_bytes();
        let room = shard.limits.max_buffered_bytes.saturating_sub(queued);
        let pumped = stream.pump(room, shard.now_ms());
        self.full |= pumped.bytes == room && !pumped.over;
        self.streams.hand(pumped.bytes);
        if let Some((key, bytes)) = pumped.grant {
            shard.credit_answer(key, bytes);
        }
        if pumped.over {
            self.streams.touch(stream);
        }
        pumped.bytes > 0 || pumped.over
    }

    /// A stream is over: its answer is handed over, or it was ended. What is still to come of its request is thrown away, as by
    /// HTTP/1.1: there are clients that take a reset for a failure, whatever its code (RFC 9113 8.1).
    fn end(&mut self, stream: &Rc<Stream>) {
        if !stream.was_reset() && !self.shard.stopping() && self.discard(stream) {
            return;
        }
        let mut abandoned = Vec::new();
        stream.give_up(&mut abandoned);
        if !abandoned.is_empty() {
            self.shard.abandon(&abandoned);
        }
        if let Some(log) = self.conn.log() {
            log.abort(stream.sequence());
        }
        self.forget(stream);
        self.streams.leave(stream);
        self.conn.restart(Phase::Idle, self.shard.now_ms());
        self.open = self.open.saturating_sub(1);
        self.shard.counters.http2_streams.set(self.shard.counters.http2_streams.get().saturating_sub(1));
    }

    /// Does what the connection is asked for.
    fn obey(&mut self) {
        let order = self.streams.take_order();
        let State::Open(connection) = &mut self.state else { return };
        let most = self.shard.limits.max_requests_per_connection;
        let ends = self.shard.stopping() || (most > 0 && self.requests >= most);
        match order {
            Order::End(reason) => connection.abrupt_shutdown(reason),
            Order::GoOn if !ends => {}
            Order::GoOn | Order::Finish => {
                if !std::mem::replace(&mut self.finishing, true) {
                    connection.graceful_shutdown();
                    // What is only thrown away is not waited for.
                    self.streams.all().iter().filter(|stream| stream.is_over()).for_each(|it| self.streams.touch(it));
                }
            }
        }
    }

    /// Says what is waited for, and what is held.
    fn note_state(&mut self) {
        let now_ms = self.shard.now_ms();
        let phase = if self.watch.is_within() {
            Phase::Head
        } else if (self.finishing || self.leaving) && self.streams.len() == 0 {
            Phase::Linger
        } else {
            Phase::Idle
        };
        self.conn.enter(phase, now_ms);
        // Padding is in it, which nobody takes. No more can have come than the window of the connection let through.
        let most = if self.reading == 0 { 0 } else { self.shard.limits.http2.connection_window_bytes };
        self.unread = self.unread.min(u64::from(most));
        self.note_held();
    }

    fn note_held(&self) {
        let held: usize = self.readings.iter().flatten().map(|reading| reading.held_bytes()).sum();
        self.conn.hold_input(held + self.unread as usize + self.input.capacity() + self.lent);
    }

    /// True when a turn would do something.
    pub fn has_work(&self) -> bool {
        !self.input.is_empty()
            || self.streams.is_touched()
            || self.conn.is_dead()
            || (self.full && self.conn.has_room(usize::MAX, self.shard.limits.max_buffered_bytes))
            || (self.shard.stopping() && !self.finishing)
            || matches!(self.state, State::Beginning(_))
    }

    /// Its client has nothing more to say, and so has left.
    pub fn end_of_input(&mut self) {
        self.input.end();
        self.full = true;
        // Also when there is no room for anything that is still to be said.
        self.conn.set_unread(true);
    }

    /// A buffer for the next read; a large one only where content is to come.
    pub fn buffer(&mut self, capacity: usize) -> BytesMut {
        let capacity = if self.reading == 0 { capacity.min(CONN_BUFFER_KEEP_BYTES) } else { capacity };
        let mut buffer = self.input.take_buffer();
        if buffer.capacity() > CONN_BUFFER_KEEP_BYTES && capacity < buffer.capacity() {
            buffer = BytesMut::new();
        }
        buffer.clear();
        buffer.reserve(capacity);
        self.lent = held_by(&buffer);
        self.note_held();
        buffer
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let counters = &self.shard.counters;
        counters.http2_connections.set(counters.http2_connections.get().saturating_sub(1));
        counters.http2_streams.set(counters.http2_streams.get().saturating_sub(self.open));
        let mut abandoned = Vec::new();
        self.streams.give_up(&mut abandoned);
        if !abandoned.is_empty() {
            self.shard.abandon(&abandoned);
        }
    }
}
