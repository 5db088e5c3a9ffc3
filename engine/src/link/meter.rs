//! What the link measures of one shard's calls.

use super::counter::Counter;
use super::histogram::Histogram;
use crate::stated::{Kind, Statistic};

/// What the shard's thread counts when it hands a batch over.
#[derive(Debug, Default)]
#[repr(align(128))] // apart from what the host writes
pub struct HandoverMeter {
    /// Times this shard woke the host.
    pub host_wakes: Counter,
    /// The most batches of this shard that have waited for the host at once.
    pub most_waiting: Counter,
    /// Calls of this shard that were handed over.
    pub calls: Counter,
}

/// What users are told of the handover of a shard's batches: times that it woke the host, what waits, and the most that
/// has waited.
pub const STATED: [Statistic; 3] = [
    statistic("host_wakes", Kind::Counter, "Times JavaScript slept and was woken by this shard."),
    statistic(
        "queue_depth",
        Kind::Gauge,
        "Batches that wait for JavaScript now; at 64 the shard keeps the next one open.",
    ),
    statistic("queue_depth_max", Kind::Gauge, "The most batches that have waited at once."),
];

const fn statistic(name: &'static str, kind: Kind, says: &'static str) -> Statistic {
    Statistic { name, kind, says }
}

/// What the host's thread counts.
#[derive(Debug, Default)]
#[repr(align(128))] // apart from what the shard writes
pub struct HostMeter {
    /// Nanoseconds from the handover of a call until the host took it.
    pub queue_ns: Histogram,
    /// Nanoseconds from then until the host gave its answer, or the head of a streamed one.
    pub host_ns: Histogram,
    /// Calls that the host has taken.
    pub taken: Counter,
}

/// Calls in a row that were taken at one time, and are recorded as one: those of a batch often end together.
#[derive(Debug, Default)]
pub struct Run {
    shard: u32,
    since_ns: u64,
    calls: u64,
}

impl Run {
    /// One more call, of `shard` and taken at `since_ns`. What came before it goes to `record` (shard, time, calls) when
    /// the call is no part of it.
    #[inline]
    pub fn add(&mut self, shard: u32, since_ns: u64, record: impl FnOnce(u32, u64, u64)) {
        if (self.since_ns, self.shard) != (since_ns, shard) {
            self.end(record);
            (self.since_ns, self.shard) = (since_ns, shard);
        }
        self.calls += 1;
    }

    /// There are no more calls.
    pub fn end(&mut self, record: impl FnOnce(u32, u64, u64)) {
        match std::mem::take(&mut self.calls) {
            0 => {}
            calls => record(self.shard, self.since_ns, calls),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_calls_are_recorded_as_one() {
        let (mut run, mut seen) = (Run::default(), Vec::new());
        for (shard, since_ns) in [(0, 7), (0, 7), (1, 7), (0, 7), (0, 9), (0, 9)] {
            run.add(shard, since_ns, |shard, since_ns, calls| seen.push((shard, since_ns, calls)));
        }
        run.end(|shard, since_ns, calls| seen.push((shard, since_ns, calls)));
        run.end(|_, _, _| unreachable!("nothing is left"));
        assert_eq!(seen, [(0, 7, 2), (1, 7, 1), (0, 7, 1), (0, 9, 2)]);
    }
}
