//! What an event loop says of itself from time to time. Whoever reads it learns how old it is: a loop that is busy says
//! nothing.

use super::clock;
use super::counter::Counter;

/// What is said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Beat {
    /// Which of the tunnel's workers it is; none: the event loop that opened the tunnel.
    pub worker: Option<u32>,
    /// Times that this worker was started again.
    pub restarts: u64,
    /// How late the loop was for its last timer.
    pub delay_us: u64,
    /// The most that was.
    pub delay_max_us: u64,
    /// Of a million parts of the time since the last beat, those in which the loop was not waiting for events.
    pub utilization_ppm: u64,
}

/// Where an event loop says it; any thread reads.
#[derive(Debug, Default)]
#[repr(align(128))] // apart from what the shards write
pub(super) struct Heart {
    /// 0 before the first.
    beaten_ns: Counter,
    /// One more than the number; 0 for none.
    worker: Counter,
    restarts: Counter,
    delay_us: Counter,
    delay_max_us: Counter,
    utilization_ppm: Counter,
}

impl Heart {
    pub fn beat(&self, beat: &Beat) {
        self.worker.set(beat.worker.map_or(0, |number| u64::from(number) + 1));
        self.restarts.set(beat.restarts);
        self.delay_us.set(beat.delay_us);
        self.delay_max_us.set(beat.delay_max_us);
        self.utilization_ppm.set(beat.utilization_ppm.min(1_000_000));
        self.beaten_ns.set(clock::now_ns().max(1));
    }

    /// The last one, and its age in nanoseconds; none before the first.
    pub fn last(&self) -> Option<(Beat, u64)> {
        let since = Some(self.beaten_ns.get()).filter(|since| *since > 0)?;
        let beat = Beat {
            worker: self.worker.get().checked_sub(1).map(|number| number as u32),
            restarts: self.restarts.get(),
            delay_us: self.delay_us.get(),
            delay_max_us: self.delay_max_us.get(),
            utilization_ppm: self.utilization_ppm.get(),
        };
        Some((beat, clock::now_ns().saturating_sub(since)))
    }
}
