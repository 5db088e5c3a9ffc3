//! A token bucket, as one number: when it will be full again. Nothing has to be refilled, and a bucket that is full is as good as
//! none (the generic cell rate algorithm).

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Nanoseconds in which there is one more to take; at least 1.
    pub interval_ns: u64,
    /// Requests that may come at once; at least 1.
    pub burst: u32,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// It may go on.
    pub passed: bool,
    /// How many more may come now.
    pub left: u32,
    /// Nanoseconds until the next may, where none may now; else until the bucket is full.
    pub wait_ns: u64,
}

impl Bucket {
    /// Reads a rate in requests a second.
    #[must_use]
    pub fn new(rate: f64, burst: u32) -> Bucket {
        // `as` saturates, at both ends.
        Bucket { interval_ns: ((1e9 / rate) as u64).max(1), burst: burst.max(1) }
    }

    /// Nanoseconds in which an empty one becomes full.
    #[must_use]
    pub fn window_ns(&self) -> u64 {
        self.interval_ns.saturating_mul(u64::from(self.burst))
    }

    /// Takes one of the bucket that is full at `full_ns`, unless it is empty.
    #[must_use]
    pub fn take(&self, full_ns: &mut u64, now_ns: u64) -> Taken {
        let owed = full_ns.saturating_sub(now_ns);
        let after = owed.saturating_add(self.interval_ns);
        let passed = after <= self.window_ns();
        if passed {
            *full_ns = now_ns.saturating_add(after);
        }
        Taken { passed, ..self.look(*full_ns, now_ns) }
    }

    /// What the next request would find: it may go on, unless none is left.
    #[must_use]
    pub fn look(&self, full_ns: u64, now_ns: u64) -> Taken {
        let owed = full_ns.saturating_sub(now_ns);
        let left = self.window_ns().saturating_sub(owed) / self.interval_ns;
        let next = owed.saturating_add(self.interval_ns).saturating_sub(self.window_ns());
        let wait_ns = if left > 0 { owed } else { next };
        Taken { passed: left > 0, left: u32::try_from(left).unwrap_or(u32::MAX), wait_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_passes_at_once_and_the_rest_at_its_rate() {
        let bucket = Bucket::new(10.0, 3);
        assert_eq!((bucket.interval_ns, bucket.window_ns()), (SECOND / 10, 3 * SECOND / 10));
        let mut full = 0;
        let mut take = |now| {
            let Taken { passed, left, wait_ns } = bucket.take(&mut full, now);
            (passed, left, wait_ns / 1_000_000)
        };
        let start = 50 * SECOND;
        assert_eq!([take(start), take(start), take(start)], [(true, 2, 100), (true, 1, 200), (true, 0, 100)]);
        assert_eq!(
            [take(start), take(start + SECOND / 20)],
            [(false, 0, 100), (false, 0, 50)],
            "refusals cost nothing"
        );
        assert_eq!(take(start + SECOND / 10), (true, 0, 100));
        assert_eq!(take(start + SECOND / 10), (false, 0, 100));
        assert_eq!(take(start + 10 * SECOND), (true, 2, 100), "it is full again, and not fuller");
    }

    #[test]
    fn over_a_long_time_no_more_pass_than_rate_and_burst_say() {
        for (rate, burst) in [(1.0, 1), (7.0, 5), (1000.0, 1), (0.5, 2), (333.3, 100)] {
            let bucket = Bucket::new(rate, burst);
            let (mut full, mut passed, mut now) = (0, 0u64, SECOND);
            while now < 11 * SECOND {
                passed += u64::from(bucket.take(&mut full, now).passed);
                now += 100_003;
            }
            let most = 10.0 * rate + f64::from(burst);
            assert!(
                (passed as f64) <= most + 1.0 && (passed as f64) >= most - 2.0 - 10.0 * rate * 0.11,
                "{rate} {burst}: {passed}"
            );
        }
    }

    #[test]
    fn the_ends_of_the_range_do_not_overflow() {
        for bucket in
            [Bucket::new(f64::MAX, u32::MAX), Bucket::new(1e-30, u32::MAX), Bucket::new(1e-30, 1), Bucket::new(1e9, 1)]
        {
            let mut full = 0;
            for now in [0, 1, u64::MAX - 1, u64::MAX] {
                let taken = bucket.take(&mut full, now);
                assert!(taken.left <= bucket.burst, "{bucket:?} {taken:?}");
            }
        }
    }
}
