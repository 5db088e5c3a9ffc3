//! Where all figures of an engine are: each written by one thread, and read by any.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::link::access_log::AccessLog;
use crate::link::backend::Backend;
use crate::shard::reactor::driver::Driver;
use crate::shard::report::process::ProcessReader;
use crate::shard::watch::counters::Counters;
use crate::shard::watch::timing::ShardMeter;

/// See the module.
pub struct Figures {
    /// Of each shard that serves.
    pub counters: Vec<Arc<Counters>>,
    /// The same.
    pub meters: Vec<Arc<ShardMeter>>,
    /// Set of those that were given up. One more than the others: of the shard that has the admin listener and nothing else.
    pub failed: Vec<Arc<AtomicBool>>,
    pub(super) driver: Driver,
    pub(super) inline: bool,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) log: Option<Arc<AccessLog>>,
    pub(super) started: Instant,
    pub(super) process: ProcessReader,
}

impl Figures {
    /// All zero, of an engine of `shards` shards. `inline`: they have no threads.
    #[must_use]
    pub fn new(
        shards: usize,
        driver: Driver,
        inline: bool,
        backend: Arc<dyn Backend>,
        log: Option<Arc<AccessLog>>,
    ) -> Self {
        Figures {
            counters: (0..shards).map(|_| Arc::default()).collect(),
            meters: (0..shards).map(|_| Arc::default()).collect(),
            failed: (0..=shards).map(|_| Arc::default()).collect(),
            driver,
            inline,
            backend,
            log,
            started: Instant::now(),
            process: ProcessReader::default(),
        }
    }

    /// Shards that were given up.
    #[must_use]
    pub fn failed_shards(&self) -> usize {
        self.failed.iter().filter(|flag| flag.load(Ordering::Relaxed)).count()
    }
}
