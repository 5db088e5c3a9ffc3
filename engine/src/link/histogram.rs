//! Histograms that one thread writes and any thread reads: log-linear, of a fixed size, nothing to set up.
//!
//! A value costs three loads and stores of the writer's own memory, so that they can always be on. Eight buckets to every
//! power of two: a quantile is at most an eighth more than the value that it stands for, never less.

use super::counter::Counter;

/// Buckets to a power of two, as a power of two.
const PARTS_LOG2: u32 = 3;
const PARTS: u64 = 1 << PARTS_LOG2;

/// Values up to two to this power have buckets of their own; what is larger is in the last bucket, and in the sum and
/// the maximum as it is. Nanoseconds: 18 minutes.
const LARGEST_LOG2: u32 = 40;

const BUCKETS: usize = ((LARGEST_LOG2 - PARTS_LOG2 + 1) << PARTS_LOG2) as usize;

/// How often which values were seen. Starts empty.
#[derive(Debug)]
pub struct Histogram {
    buckets: [Counter; BUCKETS],
    sum: Counter,
    max: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: [const { Counter::new() }; BUCKETS], sum: Counter::default(), max: Counter::default() }
    }
}

impl Histogram {
    /// Counts `value`, `times` times. Only on the owner's thread.
    #[inline]
    pub fn record(&self, value: u64, times: u64) {
        if times > 0 {
            if let Some(bucket) = self.buckets.get(bucket_of(value)) {
                bucket.add(times);
            }
            self.sum.add(value.wrapping_mul(times));
            self.max.raise(value);
        }
    }

    /// What was counted, a moment ago. While the owner counts on, sum and maximum may be ahead by a value.
    #[must_use]
    pub fn snapshot(&self) -> HistogramSnapshot {
        let buckets: Vec<u64> = self.buckets.iter().map(Counter::get).collect();
        HistogramSnapshot { count: buckets.iter().sum(), sum: self.sum.get(), max: self.max.get(), buckets }
    }
}

/// A histogram at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// Values seen.
    pub count: u64,
    /// All of them together; begins again at 0 beyond `u64::MAX`.
    pub sum: u64,
    /// The largest; 0 when there was none.
    pub max: u64,
    buckets: Vec<u64>,
}

impl HistogramSnapshot {
    /// Counts what another has counted as well.
    pub fn add(&mut self, other: &HistogramSnapshot) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.max = self.max.max(other.max);
        let most = self.buckets.len().max(other.buckets.len());
        self.buckets.resize(most, 0);
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(bucket, more)| *bucket += more);
    }

    /// The value that `share` of all values (0.5 for the median) do not exceed: at most an eighth too much. 0 when there
    /// was none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        // A float becomes an integer by saturation: any share has an answer.
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                // The last bucket has no bound.
                return if bucket + 1 == BUCKETS { self.max } else { upper_bound(bucket).min(self.max) };
            }
        }
        self.max
    }

    /// How many values did not exceed two to the power of each of `logs`, which grow: that power, and the number.
    pub fn up_to_powers(&self, logs: impl IntoIterator<Item = u32>) -> impl Iterator<Item = (u64, u64)> {
        let (mut bucket, mut seen) = (0, 0);
        logs.into_iter().map(move |log| {
            let bound = 1_u64.checked_shl(log).unwrap_or(u64::MAX);
            // The last bucket has no bound.
            while bucket + 1 < BUCKETS && upper_bound(bucket) <= bound {
                seen += self.buckets.get(bucket).copied().unwrap_or(0);
                bucket += 1;
            }
            (bound, seen)
        })
    }
}

/// The bucket of a value. Buckets include their upper bound, so that powers of two are bounds: 0 and 1, then 2 … 8 one by
/// one, then (8, 9], (9, 10] … (15, 16], (16, 18] and so on.
#[inline]
fn bucket_of(value: u64) -> usize {
    let below = value.saturating_sub(1);
    if below < PARTS {
        return below as usize;
    }
    let log = below.ilog2();
    let part = (below >> (log - PARTS_LOG2)) & (PARTS - 1);
    let bucket = (u64::from(log - PARTS_LOG2 + 1) << PARTS_LOG2) + part;
    (bucket as usize).min(BUCKETS - 1)
}

/// The largest value of a bucket; the last one holds larger values as well.
fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let (row, part) = (bucket >> PARTS_LOG2, bucket & (PARTS - 1));
    match row {
        0 => part + 1,
        row => (PARTS + part + 1) << (row - 1),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    #[test]
    fn the_first_buckets_hold_one_value_each() {
        assert_eq!((bucket_of(0), bucket_of(1)), (0, 0));
        for value in 1..=16 {
            assert_eq!((bucket_of(value), upper_bound(bucket_of(value))), (value as usize - 1, value));
        }
    }

    #[test]
    fn bounds() {
        for (value, bound) in
            [(17, 18), (18, 18), (19, 20), (32, 32), (33, 36), (1000, 1024), (1024, 1024), (1025, 1152)]
        {
            assert_eq!(upper_bound(bucket_of(value)), bound, "{value}");
        }
        for log in 0..=LARGEST_LOG2 {
            let power = 1_u64 << log;
            assert_eq!(upper_bound(bucket_of(power)), power, "every power of two is a bound");
        }
    }

    #[test]
    fn what_is_too_large_is_in_the_last_bucket() {
        let histogram = Histogram::default();
        let large = 1_u64 << LARGEST_LOG2;
        for value in [large, large + 1, u64::MAX] {
            assert_eq!(bucket_of(value), BUCKETS - 1);
        }
        histogram.record(large + 1, 2);
        let snapshot = histogram.snapshot();
        assert_eq!((snapshot.count, snapshot.sum, snapshot.max), (2, 2 * (large + 1), large + 1));
        assert_eq!(snapshot.quantile(0.5), large + 1);
        let upto: Vec<_> = snapshot.up_to_powers([10, LARGEST_LOG2]).collect();
        assert_eq!(upto, [(1024, 0), (large, 0)], "they exceed every bound");
    }

    #[test]
    fn an_empty_one_is_all_zeros() {
        let snapshot = Histogram::default().snapshot();
        assert_eq!((snapshot.count, snapshot.sum, snapshot.max, snapshot.quantile(0.99)), (0, 0, 0, 0));
        Histogram::default().record(5, 0);
        assert!(snapshot.up_to_powers(0..20).all(|(_, count)| count == 0));
    }

    #[test]
    fn quantiles() {
        let histogram = Histogram::default();
        histogram.record(1, 90);
        histogram.record(1000, 9);
        histogram.record(5000, 1);
        let snapshot = histogram.snapshot();
        for (share, value) in [
            (0.0, 1),
            (0.5, 1),
            (0.9, 1),
            (0.91, 1024),
            (0.99, 1024),
            (0.991, 5000),
            (1.0, 5000),
            (7.0, 5000),
            (f64::NAN, 1),
        ] {
            assert_eq!(snapshot.quantile(share), value, "{share}");
        }
    }

    #[test]
    fn a_reader_sees_a_count_that_only_grows() {
        const VALUES: u64 = 200_000;
        let histogram = Arc::new(Histogram::default());
        let writer = histogram.clone();
        let writing = std::thread::spawn(move || (1..=VALUES).for_each(|value| writer.record(value, 1)));
        let mut before = 0;
        while before < VALUES {
            let count = histogram.snapshot().count;
            assert!((before..=VALUES).contains(&count), "{count} after {before}");
            before = count;
        }
        writing.join().unwrap();
        assert_eq!(histogram.snapshot().sum, VALUES * (VALUES + 1) / 2);
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_values(value in prop_oneof![0..10_000_u64, 0..=1_u64 << LARGEST_LOG2]) {
            let bucket = bucket_of(value);
            let upper = upper_bound(bucket);
            prop_assert!(value <= upper && upper <= value.max(1) + value / PARTS);
            prop_assert!(bucket == 0 || upper_bound(bucket - 1) < value);
        }

        #[test]
        fn a_quantile_is_the_value_or_an_eighth_more(
            mut values in prop::collection::vec((0..1_u64 << 20, 1..5_u64), 1..60),
            share in 0.0..=1.0_f64,
        ) {
            let histogram = Histogram::default();
            values.iter().for_each(|(value, times)| histogram.record(*value, *times));
            let snapshot = histogram.snapshot();
            values.sort_unstable();
            let all: Vec<u64> = values.iter().flat_map(|(value, times)| (0..*times).map(move |_| *value)).collect();
            prop_assert_eq!(snapshot.count, all.len() as u64);
            prop_assert_eq!(snapshot.sum, all.iter().sum::<u64>());
            prop_assert_eq!(snapshot.max, *all.last().unwrap());
            let rank = ((share * all.len() as f64).ceil() as usize).max(1);
            let (exact, said) = (all[rank - 1], snapshot.quantile(share));
            prop_assert!(exact <= said && said <= exact.max(1) + exact / PARTS, "{} for {}", said, exact);
            for (bound, count) in snapshot.up_to_powers(0..30) {
                prop_assert_eq!(count, all.iter().filter(|value| **value <= bound).count() as u64);
            }
        }
    }
}
