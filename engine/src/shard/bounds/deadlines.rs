//! Deadlines: one coarse timer per shard looks at every resident and at overdue calls. No timer per request.

use crate::limits::{ENDS_PER_TURN, IDLE_GRACE_MS};
use crate::link::batch::{AnswerBatch, Outcome};
use crate::shard::Shard;
use crate::shard::bounds::judge::{Turn, judge, judge_departure};
use crate::shard::resident::{Resident, Verdict};
use crate::shard::service::AtStop;
use crate::shard::transport::socket::{arrivals, departures};

impl Shard {
    /// Ends what is over time, [`ENDS_PER_TURN`] connections at a time.
    pub(in crate::shard) fn sweep(&self) {
        let now = self.now_ms();
        let before = self.swept_ms.replace(now);
        self.sweep_calls(now);
        self.look_for_departed(before, now);
        self.make_room(now);
        if self.stopping() && self.life.stopping_for_ms(now) >= IDLE_GRACE_MS {
            self.let_idle_go(now);
        }
        let drain_over = self.life.is_drain_over(now);
        let turn = Turn { now_ms: now, before_ms: before, stopping: self.stopping() };
        let mut ends = 0;
        for resident in self.conns.residents(|_| true) {
            let cut = drain_over && resident.service().at_stop != AtStop::Stays;
            let has_input = || resident.socket().has_input();
            let verdict = if cut { Verdict::Cut } else { judge(&resident.standing(), &self.limits, turn, has_input) };
            if verdict.ends() && !cut {
                ends += 1;
                if ends > ENDS_PER_TURN {
                    continue;
                }
            }
            resident.carry_out(self, verdict, now);
            resident.judge_exchanges(self, &|standing| judge(standing, &self.limits, turn, || false));
        }
    }

    /// The engine stops: closes the connections that ask nothing. What has come just now is answered, since nobody could
    /// tell it from what was never read.
    fn let_idle_go(&self, now: u64) {
        let idle = |resident: &dyn Resident| {
            let standing = resident.standing();
            resident.service().at_stop == AtStop::Closes
                && !standing.closing
                && standing.asks_nothing()
                && !standing.partial
                && !standing.is_new(now)
        };
        let idle = self.conns.residents(idle).into_iter();
        let (idle, sockets): (Vec<_>, Vec<_>) = idle.filter_map(|it| it.socket().lend().map(|lent| (it, lent))).unzip();
        for (resident, _) in idle.iter().zip(arrivals(&sockets)).filter(|(_, has_arrived)| !has_arrived) {
            resident.carry_out(self, Verdict::LastAnswers, now);
        }
    }

    /// Looks whether the clients are still there whose sockets nobody reads: only a read would tell.
    fn look_for_departed(&self, before: u64, now: u64) {
        let unread = self.conns.residents(|resident| resident.socket().is_unread() && !resident.standing().dead);
        let unread = unread.into_iter().filter_map(|it| it.socket().lend().map(|lent| (it, lent)));
        let (unread, sockets): (Vec<_>, Vec<_>) = unread.unzip();
        if sockets.is_empty() {
            return;
        }
        for (resident, peer) in unread.iter().zip(departures(&sockets)) {
            resident.carry_out(self, judge_departure(&resident.standing(), peer, before), now);
        }
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
