//! The answers of HTTP/2: each on the stream of its request, in any order (RFC 9113 5). A stream is an exchange.

use std::sync::Arc;

use h2::Reason;

use crate::link::batch::CallKey;
use crate::link::peers::{Entered, Peers};
use crate::shard::Shard;
use crate::shard::connection::conn::Conn;
use crate::shard::connection::streams::Streams;
use crate::shard::connection::streams::stream::Stream;
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::sink::{Opening, Place, Progress, Sink};
use crate::wire::answer::Answer;

/// See the module.
#[derive(Clone, Copy)]
pub(in crate::shard) struct InStream<'a> {
    conn: &'a Conn,
    streams: &'a Streams,
    stream: &'a Stream,
    now_ms: u64,
}

impl Shard {
    /// The exchange of a stream.
    pub(in crate::shard) fn stream_exchange<'a>(
        &self,
        conn: &'a Conn,
        streams: &'a Streams,
        stream: &'a Stream,
    ) -> Exchange<'a, InStream<'a>> {
        Exchange { incoming: stream.incoming(), sink: InStream { conn, streams, stream, now_ms: self.now_ms() } }
    }
}

impl InStream<'_> {
    /// The stream ends, and the client has to see it.
    fn break_off(self, abandoned: &mut Vec<CallKey>) {
        self.stream.reset(Reason::INTERNAL_ERROR);
        self.stream.give_up(abandoned);
        self.wake();
    }
}

impl Sink for InStream<'_> {
    fn place(&self) -> Place {
        Place { conn: self.conn.id, sequence: self.stream.sequence() }
    }

    fn peer(&self, peers: &Arc<Peers>) -> Option<&Entered> {
        self.conn.peer(peers)
    }

    /// It is the only exchange of its stream.
    fn at(&self, place: Place) -> Self {
        debug_assert_eq!(place, self.place());
        *self
    }

    fn expect(&self, key: CallKey, _bytes: usize) {
        self.stream.expect(key);
    }

    fn proceed(&self) {
        self.stream.proceed();
        self.wake();
    }

    /// No stream is the last by itself: `GOAWAY` tells.
    fn is_last(&self) -> bool {
        false
    }

    fn answer(&self, answer: &Answer<'_>, _last: bool) -> bool {
        if let Some(log) = self.conn.log() {
            log.answer(self.stream.sequence(), answer);
        }
        let (handed, waiting) = self.stream.answer(answer, self.now_ms);
        self.streams.hold(handed + waiting);
        self.streams.hand(handed);
        self.wake();
        true
    }

    fn open(&self, answer: &Answer<'_>, opening: Opening, _abandoned: &mut Vec<CallKey>) {
        if let Some(log) = self.conn.log() {
            log.open(self.stream.sequence(), answer);
        }
        self.stream.open(answer, opening.key);
        self.wake();
    }

    fn put(&self, piece: &[u8]) -> (Progress, Option<u32>) {
        let (progress, bytes, grant) = self.stream.put(piece);
        self.streams.hold(bytes);
        if progress == Progress::Fine {
            if let Some(log) = self.conn.log() {
                log.add(self.stream.sequence(), piece.len());
            }
            self.wake();
        }
        (progress, grant)
    }

    fn end(&self) -> Progress {
        let progress = self.stream.end();
        if progress == Progress::Fine {
            if let Some(log) = self.conn.log() {
                log.end(self.stream.sequence());
            }
            self.wake();
        }
        progress
    }

    fn cut(&self, abandoned: &mut Vec<CallKey>) {
        self.break_off(abandoned);
    }

    fn abort(&self, abandoned: &mut Vec<CallKey>) {
        self.break_off(abandoned);
    }

    /// The others go on.
    fn begin_close(&self) {
        self.wake();
    }

    fn wake(&self) {
        self.streams.touch(self.stream);
        self.conn.wake();
    }
}
