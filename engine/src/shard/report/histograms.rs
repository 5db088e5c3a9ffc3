//! The bounds of buckets that are told. The same for all time, as metrics systems want it.

use std::iter::StepBy;
use std::ops::RangeInclusive;

/// Of durations: 1.024 µs to 69 s, as powers of two, in nanoseconds.
pub(super) const DURATION_LOGS: RangeInclusive<u32> = 10..=36;

/// Of sizes of batches: 1 to 16384, as powers of two.
pub(super) const SIZE_LOGS: RangeInclusive<u32> = 0..=14;

/// Of the durations of single tasks, of which there are many: 4.096 µs to 69 s, as powers of four.
pub(super) fn task_logs() -> StepBy<RangeInclusive<u32>> {
    (12..=36).step_by(2)
}
