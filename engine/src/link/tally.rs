//! What several hosts have measured of the calls of one shard, together.

use super::histogram::HistogramSnapshot;

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
