//! Deadlines: one coarse timer per shard looks at every connection and at overdue calls. No timer per request.

use rustix::event::PollFlags;

use crate::limits::{ENDS_PER_TURN, HALF_CLOSE_GRACE_MS, IDLE_GRACE_MS, LINGER_MS, Limits, TIMER_MS, UNREAD_GRACE_MS};
use crate::link::batch::{AnswerBatch, Outcome};
use crate::shard::Shard;
use crate::shard::connection::conn::{Conn, Origin, Phase};
use crate::shard::exchange::own_fields::OwnFields;
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

impl Verdict {
    /// True when the connection ends by it, which is work.
    fn ends(self) -> bool {
        matches!(self, Verdict::TimedOut | Verdict::Close | Verdict::Cut)
    }
}

impl Shard {
    /// Ends what is over time, [`ENDS_PER_TURN`] connections at a time.
    pub(in crate::shard) fn sweep(&self) {
        let now = self.now_ms();
        // Late is who was late a turn ago: what had come by then has been read since. And what happens between two turns is
        // noted with the time of the first, so nothing ends before its time.
        let before = self.swept_ms.replace(now);
        self.sweep_calls(now);
        self.look_for_departed(before);
        self.make_room(now);
        if self.stopping() && self.life.stopping_for_ms(now) >= IDLE_GRACE_MS {
            self.let_idle_go();
        }
        let drain_over = self.life.is_drain_over(now);
        let conns: Vec<_> = self.conns.borrow().iter().map(|(_, conn)| conn.clone()).collect();
        let mut ends = 0;
        for conn in conns {
            let cut = drain_over && conn.origin() != Origin::Admin;
            let verdict = if cut { Verdict::Cut } else { self.judge(&conn, now, before) };
            if verdict.ends() && !cut {
                ends += 1;
                if ends > ENDS_PER_TURN {
                    continue;
                }
            }
            match verdict {
                Verdict::Wait => self.rest_if_idle(&conn, now),
                Verdict::TimedOut if conn.inflow().is_some() => {
                    self.break_body(self.next_exchange(&conn), Refusal::RequestTimeout)
                }
                Verdict::TimedOut => {
                    self.counters.protocol_errors.add(1);
                    // Behind the last answer none follows: where that ends with the connection, it would become a part of it.
                    if !conn.closing() {
                        self.refuse(self.next_exchange(&conn), Refusal::RequestTimeout, OwnFields::NONE, true);
                    }
                    conn.begin_close();
                    conn.restart(Phase::Linger, now);
                }
                Verdict::Close => {
                    conn.begin_close();
                    conn.restart(Phase::Linger, now);
                }
                Verdict::Forsake => {
                    conn.incoming().set_inflow(None);
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
                conn.origin() == Origin::Network
                    && !conn.closing()
                    && !conn.incoming().is_asking()
                    && conn.asks_nothing()
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
    fn look_for_departed(&self, before: u64) {
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
                // It has come since the turn before.
                conn.enter(Phase::HalfClosed, before);
            }
        }
    }

    /// `before`: the turn of the timer before this one.
    fn judge(&self, conn: &Conn, now: u64, before: u64) -> Verdict {
        let limits = &self.limits;
        if conn.writing_since_ms().is_some_and(|since| before.saturating_sub(since) >= limits.write_timeout_ms) {
            return Verdict::Cut;
        }
        let (phase, since, bytes) = conn.phase();
        let elapsed = now.saturating_sub(since);
        // Noted at the last turn of the timer, and the FIN has come later than that.
        let half_closed = before.saturating_sub(since);
        let (time, verdict) = match phase {
            Phase::Fresh => (limits.head_timeout_ms, Verdict::Close),
            Phase::Idle if conn.settled() => (limits.idle_timeout_ms, Verdict::Close),
            Phase::Head => (limits.head_timeout_ms, Verdict::TimedOut),
            Phase::Stream => (limits.body_timeout_ms, Verdict::TimedOut),
            // Of a form, which its call reads as it comes.
            Phase::Body if conn.inflow().is_some() => (rate_time_ms(limits, bytes), Verdict::TimedOut),
            Phase::Body => (body_time_ms(limits, bytes), Verdict::TimedOut),
            // Nothing waits for it any more but the engine, which stops.
            Phase::Skip | Phase::Stray if self.stopping() && conn.settled() => (LINGER_MS, Verdict::Cut),
            Phase::Skip => (discard_time_ms(limits, limits.discard_timeout_ms, conn, bytes), Verdict::Close),
            Phase::Stray if conn.settled() => (discard_time_ms(limits, LINGER_MS, conn, bytes), Verdict::Cut),
            Phase::HalfClosed if half_closed < HALF_CLOSE_GRACE_MS || conn.pending() == 0 => return Verdict::Wait,
            Phase::HalfClosed if half_closed < HALF_CLOSE_GRACE_MS + TIMER_MS => return Verdict::Forsake,
            Phase::HalfClosed => return Verdict::Cut,
            Phase::Linger if elapsed >= LINGER_MS && conn.settled() => return Verdict::Cut,
            Phase::Idle | Phase::Held | Phase::Stray | Phase::Linger => return Verdict::Wait,
        };
        if conn.is_unread() {
            // It waits for us.
            conn.incoming().clock.hold(now.saturating_sub(before), now);
            return Verdict::Wait;
        }
        let elapsed = before.saturating_sub(since);
        let in_time = elapsed < time || (elapsed < time.saturating_add(UNREAD_GRACE_MS) && conn.has_input());
        if in_time { Verdict::Wait } else { verdict }
    }

    /// The deadlines of calls are exact: a handler may have less time than a turn of the timer takes.
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

/// Milliseconds that a body may take of which `bytes` have come, for all that its speed says.
fn rate_time_ms(limits: &Limits, bytes: u64) -> u64 {
    limits.body_timeout_ms.saturating_add(pace_ms(limits, bytes))
}

/// Milliseconds in which so many bytes come at the slowest pace.
fn pace_ms(limits: &Limits, bytes: u64) -> u64 {
    bytes.saturating_mul(1000) / limits.min_body_bytes_per_s.max(1)
}

/// Milliseconds that a body may take of which `bytes` have come: by its speed, and within the time of any body.
fn body_time_ms(limits: &Limits, bytes: u64) -> u64 {
    rate_time_ms(limits, bytes).min(longest_ms(limits))
}

fn longest_ms(limits: &Limits) -> u64 {
    limits.max_body_time_ms.max(limits.body_timeout_ms)
}

/// Milliseconds for what nobody wants: as long as it comes and keeps up its pace, but for `quiet_ms`, and within the time
/// of any body.
fn discard_time_ms(limits: &Limits, quiet_ms: u64, conn: &Conn, bytes: u64) -> u64 {
    quiet_ms.saturating_add(conn.incoming().clock.progressed_ms().min(pace_ms(limits, bytes))).min(longest_ms(limits))
}
