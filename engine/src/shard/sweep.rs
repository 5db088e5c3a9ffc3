//! Deadlines: one coarse timer per shard looks at every connection and at overdue calls. No timer per request.

use rustix::event::PollFlags;

use super::Shard;
use super::conn::{Conn, Origin, Phase};
use crate::limits::{BODY_MIN_BYTES_PER_S, HALF_CLOSE_GRACE_MS, IDLE_GRACE_MS, LINGER_MS, TIMER_MS};
use crate::link::batch::{AnswerBatch, Outcome};
use crate::sys;
use crate::tunnel::envelope::Refusal;

/// What a deadline demands of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Wait,
    /// 408, then close.
    TimedOut,
    /// The client counts as gone: its calls are abandoned. The connection is cut off at the next turn, so that whoever
    /// works for it has heard of it before the client sees the end, as in the reference.
    Forsake,
    /// Close without a word: nothing was asked, or everything is answered.
    Close,
    /// Cut off: the peer does not play along, or is gone.
    Cut,
}

impl Shard {
    /// Ends what is over time.
    pub(super) fn sweep(&self) {
        let now = self.now_ms();
        self.sweep_calls(now);
        self.look_for_departed();
        if self.stopping() && now.saturating_sub(self.stopped_ms.get()) >= IDLE_GRACE_MS {
            self.let_idle_go();
        }
        let drain_over = self.drain_deadline_ms.get().is_some_and(|deadline| now >= deadline);
        let conns: Vec<_> = self.conns.borrow().iter().map(|(_, conn)| conn.clone()).collect();
        for conn in conns {
            match if drain_over && conn.origin() != Origin::Admin { Verdict::Cut } else { self.judge(&conn, now) } {
                Verdict::Wait => self.rest_if_idle(&conn, now),
                Verdict::TimedOut if conn.inflow().is_some() => self.break_body(&conn, Refusal::RequestTimeout),
                Verdict::TimedOut => {
                    self.counters.protocol_errors.add(1);
                    conn.answer_now(|out| self.write_refusal(out, Refusal::RequestTimeout, b"", false, true));
                    conn.begin_close();
                    conn.restart(Phase::Linger, now);
                }
                Verdict::Close => {
                    conn.begin_close();
                    conn.restart(Phase::Linger, now);
                }
                Verdict::Forsake => {
                    conn.set_inflow(None);
                    self.abandon(&conn.waiting());
                }
                Verdict::Cut => self.cut_off(&conn),
            }
        }
    }

    /// The engine stops: closes the connections that ask nothing. What has come just now is answered, since nobody could
    /// tell it from what was never read.
    fn let_idle_go(&self) {
        let (idle, sockets): (Vec<_>, Vec<_>) = {
            let conns = self.conns.borrow();
            let idle = conns.iter().filter(|(_, conn)| {
                conn.origin() == Origin::Network && !conn.closing() && !conn.is_asking() && conn.asks_nothing()
            });
            idle.filter_map(|(_, conn)| Some((conn.clone(), conn.open_socket()?))).unzip()
        };
        for (conn, flags) in idle.iter().zip(sys::arrivals(&sockets)) {
            if !flags.contains(PollFlags::IN) {
                conn.begin_close();
            }
        }
    }

    /// Looks whether the clients are still there whose sockets nobody reads: only a read would tell.
    fn look_for_departed(&self) {
        let (unread, sockets): (Vec<_>, Vec<_>) = {
            let conns = self.conns.borrow();
            conns.iter().filter_map(|(_, conn)| Some((conn.clone(), conn.unread_socket()?))).unzip()
        };
        if sockets.is_empty() {
            return;
        }
        for (conn, flags) in unread.iter().zip(sys::departures(&sockets)) {
            if flags.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                // A connection that lingers may have hung up itself.
                if !conn.closing() || conn.pending() > 0 {
                    self.cut_off(conn);
                }
            } else if flags.contains(PollFlags::RDHUP) && !conn.closing() {
                // FIN. Should there be room within the grace, the reader sees what came before it.
                conn.enter(Phase::HalfClosed, self.now_ms());
            }
        }
    }

    fn judge(&self, conn: &Conn, now: u64) -> Verdict {
        let limits = &self.limits;
        if conn.writing_since_ms().is_some_and(|since| now.saturating_sub(since) >= limits.write_timeout_ms) {
            return Verdict::Cut;
        }
        let (phase, since, bytes) = conn.phase();
        let elapsed = now.saturating_sub(since);
        match phase {
            Phase::Fresh if elapsed >= limits.head_timeout_ms => Verdict::Close,
            Phase::Idle if elapsed >= limits.idle_timeout_ms && conn.settled() => Verdict::Close,
            Phase::Head if elapsed >= limits.head_timeout_ms => Verdict::TimedOut,
            Phase::Stream if elapsed >= limits.body_timeout_ms => Verdict::TimedOut,
            Phase::Body if elapsed >= body_time_ms(limits.body_timeout_ms, bytes) => Verdict::TimedOut,
            Phase::Skip if elapsed >= body_time_ms(limits.body_timeout_ms, bytes) => Verdict::Close,
            Phase::HalfClosed if elapsed < HALF_CLOSE_GRACE_MS || conn.pending() == 0 => Verdict::Wait,
            Phase::HalfClosed if elapsed < HALF_CLOSE_GRACE_MS + TIMER_MS => Verdict::Forsake,
            Phase::HalfClosed => Verdict::Cut,
            Phase::Linger if elapsed >= LINGER_MS && conn.settled() => Verdict::Cut,
            _ => Verdict::Wait,
        }
    }

    fn sweep_calls(&self, now: u64) {
        if self.limits.handler_timeout_ms == 0 {
            return;
        }
        let mut overdue = Vec::new();
        self.slots.borrow().overdue(now, &mut overdue);
        if overdue.is_empty() {
            return;
        }
        self.counters.handler_timeouts.add(overdue.len() as u64);
        // The backend is told first, so that the call's signal aborts; then the client gets its answer.
        self.open.borrow_mut().gone.extend_from_slice(&overdue);
        let mut answers = AnswerBatch::default();
        for key in overdue {
            answers.push(key, Outcome::TimedOut, b"");
        }
        self.take_answers(&answers);
        self.touch();
    }
}

/// Milliseconds that a body of which `bytes` have come may take.
fn body_time_ms(grace_ms: u64, bytes: u64) -> u64 {
    grace_ms.saturating_add(bytes.saturating_mul(1000) / BODY_MIN_BYTES_PER_S)
}
