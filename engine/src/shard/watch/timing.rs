//! How long the shard's parts of a call take: one reading of the clock for a round of tasks, one for the batch that
//! ends it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::link::batch::CallBatch;
use crate::link::clock;
use crate::link::histogram::Histogram;

/// What the shard measures: one thread writes, anyone reads.
#[derive(Debug, Default)]
#[repr(align(128))] // two shards never share a cache line
pub struct ShardMeter {
    /// Nanoseconds of a call from the beginning of the round in which the last of it was received to its handover:
    /// reading, parsing, checks, and what else was done in that round.
    pub parse_ns: Histogram,
    /// Nanoseconds from the answer of a call until the kernel has it, and all that was sent with it. Begins when it is the
    /// answer's turn on its connection. Without answers that are streams, or were sent together with one.
    pub write_ns: Histogram,
    /// Calls in one batch; batches without calls are left out.
    pub calls_per_batch: Histogram,
    /// Answers that came home in one batch; batches without whole answers are left out.
    pub answers_per_batch: Histogram,
}

/// Answers of one connection that are to be sent, or are being sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::shard) struct Answered {
    /// When the first of them was given; 0 before its turn has come.
    since_ns: u64,
    answers: u32,
}

impl Answered {
    /// One more, given at `since_ns`; `in_turn` when it need not wait for answers before it.
    #[inline]
    pub fn add(mut self, since_ns: u64, in_turn: bool) -> Self {
        self.answers += 1;
        if in_turn && self.since_ns == 0 {
            self.since_ns = since_ns;
        }
        self
    }

    /// True when the turn of the first has come.
    pub fn is_due(self) -> bool {
        self.since_ns != 0
    }
}

/// The time stamps of a shard. Single-threaded.
#[derive(Debug)]
pub(in crate::shard) struct Timing {
    meter: Arc<ShardMeter>,
    /// The driver tells of what it has done before the round begins; otherwise it is done within the round.
    done_before: bool,
    round_ns: Cell<u64>,
    last_ns: Cell<u64>,
    /// Calls of the open batch that the backend had no room for: their parse time is known.
    offered: Cell<usize>,
    /// Sends that have ended in this round, equal times as one. At most one for a connection.
    sent: RefCell<Vec<Answered>>,
}

impl Timing {
    pub fn new(meter: Arc<ShardMeter>, done_before: bool) -> Self {
        let now = clock::now_ns();
        Timing {
            meter,
            done_before,
            round_ns: Cell::new(now),
            last_ns: Cell::new(now),
            offered: Cell::new(0),
            sent: RefCell::default(),
        }
    }

    fn read_clock(&self) -> u64 {
        self.last_ns.set(clock::now_ns());
        self.last_ns.get()
    }

    /// The first task of a round runs.
    pub fn begin_round(&self) {
        self.round_ns.set(self.read_clock());
    }

    /// The clock as it was read last.
    pub fn last_ns(&self) -> u64 {
        self.last_ns.get()
    }

    /// A batch is offered to the backend.
    pub fn offer(&self, batch: &mut CallBatch) {
        let now = self.read_clock();
        let fresh = batch.calls().saturating_sub(self.offered.get());
        self.meter.parse_ns.record(now.saturating_sub(self.round_ns.get()), fresh as u64);
        if batch.handed_over_ns == 0 {
            batch.handed_over_ns = now;
        }
    }

    /// The backend had no room for a batch with so many calls: it stays open.
    pub fn refused(&self, calls: usize) {
        self.offered.set(calls);
    }

    /// The backend has taken a batch with so many calls.
    pub fn handed_over(&self, calls: usize) {
        self.offered.set(0);
        if calls > 0 {
            self.meter.calls_per_batch.record(calls as u64, 1);
        }
    }

    /// A batch has brought so many whole answers.
    pub fn answers_came(&self, answers: usize) {
        if answers > 0 {
            self.meter.answers_per_batch.record(answers as u64, 1);
        }
    }

    /// The kernel has taken these answers.
    pub fn note_sent(&self, answered: Answered) {
        if answered.answers == 0 {
            return;
        }
        let mut sent = self.sent.borrow_mut();
        match sent.last_mut() {
            Some(last) if last.since_ns == answered.since_ns => last.answers += answered.answers,
            _ => sent.push(answered),
        }
    }

    /// The round is over: what was sent in it is recorded.
    pub fn end_round(&self) {
        let mut sent = self.sent.borrow_mut();
        if sent.is_empty() {
            return;
        }
        let end = if self.done_before { self.round_ns.get() } else { self.read_clock() };
        for Answered { since_ns, answers } in sent.drain(..) {
            self.meter.write_ns.record(end.saturating_sub(since_ns), u64::from(answers));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(done_before: bool) -> (Timing, Arc<ShardMeter>) {
        let meter = Arc::<ShardMeter>::default();
        (Timing::new(meter.clone(), done_before), meter)
    }

    #[test]
    fn answers_out_of_turn_wait_for_the_first() {
        let answered = Answered::default().add(5, false);
        assert!(!answered.is_due());
        let answered = answered.add(9, true).add(11, true);
        assert_eq!(answered, Answered { since_ns: 9, answers: 3 });
    }

    #[test]
    fn sends_are_recorded_when_the_round_is_over() {
        for done_before in [true, false] {
            let (timing, meter) = timing(done_before);
            timing.begin_round();
            let since_ns = timing.last_ns().saturating_sub(1_000_000);
            for answers in [1, 3] {
                timing.note_sent(Answered { since_ns, answers });
            }
            timing.note_sent(Answered::default());
            assert_eq!(timing.sent.borrow().len(), 1, "equal times as one");
            assert_eq!(meter.write_ns.snapshot().count, 0);
            timing.end_round();
            timing.end_round();
            let written = meter.write_ns.snapshot();
            assert_eq!(written.count, 4);
            assert!(written.max >= 1_000_000 && (written.max == 1_000_000) == done_before, "{written:?}");
        }
    }

    #[test]
    fn a_refused_batch_is_parsed_once() {
        let (timing, meter) = timing(true);
        let mut batch = CallBatch::default();
        timing.offer(&mut batch);
        let first = batch.handed_over_ns;
        assert!(first > 0);
        timing.refused(0);
        timing.begin_round();
        timing.offer(&mut batch);
        assert_eq!(batch.handed_over_ns, first, "it has waited since");
        timing.handed_over(0);
        assert_eq!(meter.calls_per_batch.snapshot().count, 0, "it had no calls");
        timing.handed_over(7);
        assert_eq!(meter.calls_per_batch.snapshot().sum, 7);
    }
}
