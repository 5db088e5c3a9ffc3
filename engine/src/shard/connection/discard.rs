//! What is still to come of a request that is answered: it is read and thrown away, because a client that sends all of a
//! request before it reads would otherwise meet a reset instead of its answer (RFC 9112 9.6).
//!
//! A read of a few bytes waits for more; what has come behind them the kernel drops without a copy. How long that goes on
//! is a matter of time without progress, of pace, of what the request has declared, and of a total (see `bounds::judge`).

use bytes::BytesMut;

use crate::limits::{
    CONN_BUFFER_KEEP_BYTES, DISCARD_TURN_BYTES, DISCARD_UNSEEN_BYTES, LEAN_READ_BUFFER_BYTES, Limits,
    READ_BUFFER_MAX_BYTES, STRAY_BYTES, UNSEEN_BYTES,
};
use crate::shard::Shard;
use crate::shard::connection::buffers::held_by;
use crate::shard::connection::conn::Conn;
use crate::shard::exchange::phase::Phase;
use crate::shard::transport::halves::ReadHalf;
use crate::shard::transport::socket::Shutdown;
use crate::wire::body::{BodyReader, Step};
use crate::wire::head::Framing;

/// Bytes to come that nobody wants.
pub(in crate::shard) struct Discard {
    reader: BodyReader,
    /// Bytes that are still taken.
    left: u64,
    /// Bytes taken since others had a turn.
    turn: usize,
}

/// No more is taken: there was too much of it, or its end is unknown.
pub(in crate::shard) struct Unending;

impl Discard {
    /// The rest of the body that `reader` is in the middle of.
    pub fn new(reader: BodyReader, limits: &Limits) -> Self {
        Discard { reader, left: limits.max_discarded_bytes, turn: 0 }
    }

    /// Whatever comes behind the last request, or behind one of which nobody knows where it ends.
    fn stray(limits: &Limits) -> Self {
        let rest = Discard::new(BodyReader::new(Framing::Length(u64::MAX), 0), limits);
        Discard { left: rest.left.max(STRAY_BYTES), ..rest }
    }

    /// True unless the request has declared more than is taken: by its length, or by that of the chunk that is coming.
    pub fn fits(&self) -> bool {
        let declared = self.reader.remaining_length().unwrap_or_else(|| self.reader.content_run().max(1));
        declared <= self.left
    }

    /// True when nothing more is taken.
    fn is_used_up(&self) -> bool {
        self.left == 0
    }

    /// True when most of what is to come can be dropped unseen.
    pub fn is_unseen(&self) -> bool {
        self.reader.content_run() >= DISCARD_UNSEEN_BYTES
    }

    /// True when enough was taken for a turn.
    pub fn ends_turn(&mut self) -> bool {
        let ends = self.turn >= DISCARD_TURN_BYTES;
        if ends {
            self.turn = 0;
        }
        ends
    }

    /// Takes what belongs to the body off `input`.
    pub fn take(&mut self, input: &[u8]) -> Result<Step, Unending> {
        let step = self.reader.skip(input).map_err(|_| Unending)?;
        self.turn += step.consumed;
        match self.left.checked_sub(step.consumed as u64) {
            Some(left) => {
                self.left = left;
                Ok(step)
            }
            None => {
                self.left = 0;
                Err(Unending)
            }
        }
    }

    /// Drops what lies in the receive buffer of `conn`, as far as it is nothing but content; true when the body is complete.
    pub fn take_unseen(&mut self, shard: &Shard, conn: &Conn) -> bool {
        if conn.is_dead() || !self.is_unseen() {
            return false;
        }
        let most = self.reader.content_run().min(self.left).min(UNSEEN_BYTES as u64) as usize;
        let bytes = shard.unseen.drop_input(conn.socket(), most);
        conn.count_bytes(bytes, shard.now_ms());
        self.turn += bytes;
        self.left -= bytes as u64;
        self.reader.pass_unseen(bytes as u64)
    }
}

/// Reads on after the last request, of which `rest` is still to come, so that the client can finish sending and read the
/// last answer (RFC 9112 9.6).
pub(in crate::shard) async fn discard(
    shard: &Shard,
    conn: &Conn,
    socket: &mut ReadHalf,
    rest: Option<Discard>,
    buffer: BytesMut,
) {
    let limits = &shard.limits;
    let mut rest = match rest {
        Some(rest) => {
            enter(shard, conn, Phase::Skip);
            rest
        }
        None => {
            enter(shard, conn, Phase::Stray);
            Discard::stray(limits)
        }
    };
    let mut buffer = lean(buffer);
    while !rest.is_used_up() {
        conn.hold_input(held_by(&buffer));
        let (read, used) = socket.read(buffer).await;
        buffer = used;
        shard.touch();
        match read {
            Ok(0) if !conn.service().half_closes => {
                shard.cut_off(conn);
                return;
            }
            Ok(0) => {
                if !conn.settled() {
                    conn.enter(Phase::HalfClosed, shard.now_ms());
                }
                return;
            }
            Ok(bytes) => conn.count_bytes(bytes, shard.now_ms()),
            Err(_) => {
                shard.cut_off(conn);
                return;
            }
        }
        let complete = match rest.take(&buffer) {
            Ok(step) => step.done || rest.take_unseen(shard, conn),
            Err(Unending) if rest.is_used_up() => break,
            Err(Unending) => true,
        };
        if complete {
            rest = Discard::stray(limits);
            enter(shard, conn, Phase::Stray);
        }
        let full = buffer.len() == buffer.capacity();
        buffer.clear();
        if rest.is_unseen() {
            buffer = lean(buffer);
        } else if full {
            // Small chunks are read, many at a time.
            buffer.reserve(READ_BUFFER_MAX_BYTES);
        }
        if rest.ends_turn() {
            shard.next_tick().await;
        }
    }
    // Too much: the answers still go out, but the rest of the input meets a reset.
    conn.set_unread(true);
    conn.socket().shutdown(Shutdown::Read);
}

/// A buffer for a read that only waits: what a large one was for is over. Most have nothing more to say than that they leave.
fn lean(mut buffer: BytesMut) -> BytesMut {
    if buffer.capacity() > CONN_BUFFER_KEEP_BYTES {
        buffer = BytesMut::new();
    }
    buffer.clear();
    buffer.reserve(LEAN_READ_BUFFER_BYTES);
    buffer
}

/// Enters a phase, unless the connection is late already: then its time is over, whatever it sends.
fn enter(shard: &Shard, conn: &Conn, phase: Phase) {
    if conn.phase().0 != Phase::Linger {
        conn.enter(phase, shard.now_ms());
    }
}
