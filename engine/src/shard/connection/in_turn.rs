//! The answers of HTTP/1.1: one behind the other, in the order of requests (RFC 9112 9.3.2). A connection is a queue of
//! exchanges, and this is a place in it.

use std::sync::Arc;

use crate::link::batch::CallKey;
use crate::link::peers::{Entered, Peers};
use crate::shard::Shard;
use crate::shard::connection::conn::Conn;
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::sink::{Opening, Place, Progress, Sink};
use crate::wire::answer::Answer;
use crate::wire::answer_body::{AnswerBody, AnswerFraming};
use crate::wire::reply::{CONTINUE, Connection};

/// See the module.
#[derive(Clone, Copy)]
pub(in crate::shard) struct InTurn<'a> {
    conn: &'a Conn,
    at: At,
    /// What `Keep-Alive` announces.
    hint_s: u32,
}

/// Which request of the connection is answered.
#[derive(Clone, Copy)]
enum At {
    /// The one that is being received: behind all others.
    Next,
    /// That with this number, for which the backend works.
    Number(u64),
}

impl Shard {
    /// The exchange whose request `conn` is receiving.
    pub(in crate::shard) fn next_exchange<'a>(&self, conn: &'a Conn) -> Exchange<'a, InTurn<'a>> {
        self.exchange(conn, At::Next)
    }

    /// The exchange of the call with number `sequence` on `conn`.
    pub(in crate::shard) fn exchange_of<'a>(&self, conn: &'a Conn, sequence: u64) -> Exchange<'a, InTurn<'a>> {
        self.exchange(conn, At::Number(sequence))
    }

    fn exchange<'a>(&self, conn: &'a Conn, at: At) -> Exchange<'a, InTurn<'a>> {
        Exchange { incoming: conn.incoming(), sink: InTurn { conn, at, hint_s: self.limits.keep_alive_hint_s } }
    }
}

impl InTurn<'_> {
    fn sequence(self) -> u64 {
        match self.at {
            At::Next => self.conn.answers().next_sequence(),
            At::Number(sequence) => sequence,
        }
    }

    fn connection(self, last: bool) -> Connection {
        if last { Connection::Close } else { Connection::KeepAlive { hint_s: self.hint_s } }
    }

    /// Writes something behind the answers to the requests before the one that is being received.
    fn put_next(self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let in_turn = !self.conn.is_dead() && self.conn.answers().answer_now(write);
        if in_turn {
            self.conn.wake();
        }
        in_turn
    }
}

impl InTurn<'_> {
    /// Says something behind all answers that is none to a request, and the last: it is not written down.
    pub(super) fn take_leave(&self, notice: &Answer<'_>) {
        self.put_next(|out| notice.encode(out, self.connection(true)));
    }
}

impl Sink for InTurn<'_> {
    fn place(&self) -> Place {
        Place { conn: self.conn.id, sequence: self.sequence() }
    }

    fn peer(&self, peers: &Arc<Peers>) -> Option<&Entered> {
        self.conn.peer(peers)
    }

    fn at(&self, place: Place) -> Self {
        InTurn { at: At::Number(place.sequence), ..*self }
    }

    fn expect(&self, key: CallKey, bytes: usize) {
        self.conn.answers().push_waiting(key, bytes);
    }

    fn proceed(&self) {
        self.put_next(|out| out.extend_from_slice(CONTINUE));
    }

    fn is_last(&self) -> bool {
        self.conn.is_last(self.sequence())
    }

    fn answer(&self, answer: &Answer<'_>, last: bool) -> bool {
        let write = |out: &mut Vec<u8>| answer.encode(out, self.connection(last));
        if let Some(log) = self.conn.log()
            && !self.conn.is_dead()
        {
            log.answer(self.sequence(), answer);
        }
        let At::Number(sequence) = self.at else { return self.put_next(write) };
        if self.conn.is_dead() {
            return false;
        }
        let in_turn = self.conn.answers().answer(sequence, write);
        // Out of turn it makes room for further requests all the same: its own bytes no longer wait.
        if in_turn || self.conn.is_unread() {
            self.conn.wake();
        }
        in_turn
    }

    fn open(&self, answer: &Answer<'_>, opening: Opening, abandoned: &mut Vec<CallKey>) {
        let (conn, sequence) = (self.conn, self.sequence());
        let framing = AnswerFraming::of(answer, opening.old);
        let ends_it = framing == AnswerFraming::UntilClose;
        if let Some(log) = conn.log() {
            log.open(sequence, answer);
        }
        if ends_it {
            match conn.incoming().inflow_of(opening.key) {
                // It may still read its body.
                Some(inflow) => conn.incoming().set_inflow(Some(inflow.as_last())),
                None => conn.end_before(sequence + 1, abandoned),
            }
        }
        let connection = self.connection(opening.last || ends_it);
        conn.answers().open(sequence, AnswerBody::new(framing), |out| {
            answer.encode_head(out, framing == AnswerFraming::Chunked, connection);
        });
        conn.wake();
    }

    fn put(&self, piece: &[u8]) -> (Progress, Option<u32>) {
        let sequence = self.sequence();
        let put = {
            let mut answers = self.conn.answers();
            (answers.put(sequence, piece), answers.settle(sequence))
        };
        if put.0 == Progress::Fine {
            if let Some(log) = self.conn.log() {
                log.add(sequence, piece.len());
            }
            self.conn.wake();
        }
        put
    }

    fn end(&self) -> Progress {
        let sequence = self.sequence();
        let progress = self.conn.answers().end(sequence);
        if progress == Progress::Fine {
            if let Some(log) = self.conn.log() {
                log.end(sequence);
            }
            self.conn.wake();
        }
        progress
    }

    /// What was sent of it before goes out, then the connection ends; where the end of the connection is the end of the
    /// answer, it is reset.
    fn cut(&self, abandoned: &mut Vec<CallKey>) {
        let sequence = self.sequence();
        let reset = {
            let answers = self.conn.answers();
            answers.is_first(sequence) && answers.ends_with_connection()
        };
        if reset {
            self.conn.kill(abandoned);
        } else {
            self.conn.end_before(sequence, abandoned);
        }
    }

    fn abort(&self, abandoned: &mut Vec<CallKey>) {
        self.conn.kill(abandoned);
    }

    fn begin_close(&self) {
        self.conn.begin_close();
    }

    fn wake(&self) {
        self.conn.wake();
    }
}
