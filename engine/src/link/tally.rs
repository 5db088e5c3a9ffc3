//! What several hosts have measured of the calls of one shard, together.

use super::histogram::HistogramSnapshot;
use super::host::Host;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Times the shard woke a host.
    pub host_wakes: u64,
    /// Batches that wait.
    pub waiting: u64,
    /// The most that have waited for one host at once.
    pub most_waiting: u64,
    /// See [`super::meter::HostMeter`].
    pub queue_ns: HistogramSnapshot,
    /// See [`super::meter::HostMeter`].
    pub host_ns: HistogramSnapshot,
}

impl Tally {
    /// One more host.
    pub fn add(&mut self, host: &Host, shard: usize) {
        let (Some(handover), Some(meter)) = (host.handover_meter(shard), host.meter(shard)) else { return };
        self.host_wakes += handover.host_wakes.get();
        self.waiting += host.waiting(shard) as u64;
        self.most_waiting = self.most_waiting.max(handover.most_waiting.get());
        self.queue_ns.add(&meter.queue_ns.snapshot());
        self.host_ns.add(&meter.host_ns.snapshot());
    }
}
