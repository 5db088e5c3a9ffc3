//! The memory of all connections of a shard together: what they hold, and who makes room when that is too much.

use std::cell::Cell;
use std::rc::Rc;

use crate::limits::MEMORY_GRACE_MS;
use crate::link::batch::CallBatch;
use crate::link::weight::Scales;
use crate::shard::Shard;
use crate::shard::connection::conn::{Conn, Phase};
use crate::shard::exchange::own_fields::OwnFields;
use crate::tunnel::envelope::Refusal;

/// What is held beside the buffers of connections, and what may be held in all.
pub(in crate::shard) struct Ledger {
    /// Bytes that the shard may hold.
    most: usize,
    /// What is on its way to the host, or waits there.
    pub with_host: Scales,
    /// When something was refused last for want of memory.
    short_ms: Cell<Option<u64>>,
}

impl Ledger {
    pub fn new(most: usize, with_host: Scales) -> Self {
        Ledger { most, with_host, short_ms: Cell::default() }
    }
}

impl Shard {
    /// Bytes that the shard holds: what has come of requests, calls in the open batch and with the host, and answers that
    /// are not sent.
    #[inline]
    pub(in crate::shard) fn held_bytes(&self, open: &CallBatch) -> usize {
        self.buffers.held() + self.ledger.with_host.bytes() + open.unweighed_bytes()
    }

    /// True when it holds all that it may: no further call is taken, nor a large answer. Whoever asks is refused, so room
    /// is to be made.
    pub(in crate::shard) fn holds_too_much(&self, open: &CallBatch) -> bool {
        let full = self.held_bytes(open) >= self.ledger.most;
        if full {
            self.ledger.short_ms.set(Some(self.now_ms()));
        }
        full
    }

    pub(in crate::shard) fn count_held(&self) {
        self.counters.held_bytes.set(self.held_bytes(&self.open.borrow()) as u64);
    }

    /// When the shard holds too much, or something was refused lately because it did, ends the connections that hold most
    /// of it and make no progress, until connections hold no more than half of what is allowed: who reads and writes
    /// should not pay for who does not.
    pub(in crate::shard) fn make_room(&self, now: u64) {
        let lately = |at: u64| now.saturating_sub(at) <= 2 * MEMORY_GRACE_MS;
        if !self.ledger.short_ms.get().is_some_and(lately) && !self.holds_too_much(&self.open.borrow()) {
            return;
        }
        let mut idlers = Vec::new();
        // What those hold that are on their way out comes back without further ado.
        let mut staying = 0;
        for (_, conn) in self.conns.borrow().iter().filter(|(_, conn)| !leaves(conn)) {
            let bytes = conn.held_bytes();
            staying += bytes;
            if bytes > 0 && makes_no_progress(conn, now) {
                idlers.push((bytes, Rc::clone(conn)));
            }
        }
        idlers.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        for (bytes, conn) in idlers {
            if staying <= self.ledger.most / 2 {
                break;
            }
            staying -= bytes;
            self.counters.evicted.add(1);
            self.evict(&conn, now);
        }
    }

    fn evict(&self, conn: &Conn, now: u64) {
        if conn.writing_since_ms().is_some() {
            return self.cut_off(conn);
        }
        // Its request is answered, or others before it are not: nobody waits for that.
        if conn.closing() || conn.phase().0 == Phase::Skip || (conn.pending() > 0 && conn.inflow().is_none()) {
            return self.cut_off(conn);
        }
        // Its call has not begun, so it may be sent again.
        if conn.inflow().is_some() {
            self.break_body(self.next_exchange(conn), Refusal::ServiceUnavailable);
            // What it holds is to come back soon.
            return conn.restart(Phase::Linger, now);
        }
        self.refuse(self.next_exchange(conn), Refusal::ServiceUnavailable, OwnFields::NONE, true);
        conn.begin_close();
        conn.restart(Phase::Linger, now);
    }
}

/// True for a connection that ends without further ado, within [`crate::limits::LINGER_MS`].
fn leaves(conn: &Conn) -> bool {
    conn.is_dead() || (conn.phase().0 == Phase::Linger && conn.settled())
}

/// True for a client that has taken nothing of its answer, or has not sent all of a head or a body, for
/// [`MEMORY_GRACE_MS`]; of a stream: nothing at all.
fn makes_no_progress(conn: &Conn, now: u64) -> bool {
    if let Some(since) = conn.writing_since_ms() {
        return now.saturating_sub(since) >= MEMORY_GRACE_MS;
    }
    let (phase, since, _) = conn.phase();
    matches!(phase, Phase::Head | Phase::Body | Phase::Stream | Phase::Skip | Phase::Stray)
        && now.saturating_sub(since) >= MEMORY_GRACE_MS
}
