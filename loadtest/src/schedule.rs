//! The open loop's timetable: when each request should be sent, whatever the server does.

/// Request `i` is due at `start + i / rate`. Times are nanoseconds since the run began.
#[derive(Debug)]
pub struct Schedule {
    rate: u64,
    start_ns: u64,
    taken: u64,
}

impl Schedule {
    /// A timetable of `rate` requests a second from `start_ns` on.
    pub fn new(rate: u32, start_ns: u64) -> Schedule {
        Schedule { rate: u64::from(rate.max(1)), start_ns, taken: 0 }
    }

    /// When request `index` is due. Computed from its index, so that no rounding adds up.
    fn time_of(&self, index: u64) -> u64 {
        let since = u128::from(index) * 1_000_000_000 / u128::from(self.rate);
        self.start_ns + u64::try_from(since).unwrap_or(u64::MAX / 2)
    }

    /// The time of the next request that nobody has taken.
    pub fn next_time(&self) -> u64 {
        self.time_of(self.taken)
    }

    /// The time of the request behind the next `count` ones.
    pub fn time_behind(&self, count: u64) -> u64 {
        self.time_of(self.taken + count)
    }

    /// Takes the next request if it is due; its intended time.
    pub fn take(&mut self, now_ns: u64) -> Option<u64> {
        let due = self.next_time();
        (due <= now_ns).then(|| {
            self.taken += 1;
            due
        })
    }

    /// Requests that are due and not taken.
    pub fn waiting(&self, now_ns: u64) -> u64 {
        let Some(since) = now_ns.checked_sub(self.start_ns) else { return 0 };
        let due = u128::from(since) * u128::from(self.rate) / 1_000_000_000 + 1;
        u64::try_from(due).unwrap_or(u64::MAX).saturating_sub(self.taken)
    }

    /// The ages of the requests that are due and not taken, in at most 1000 groups: `(age, how many)`.
    pub fn ages(&self, now_ns: u64) -> impl Iterator<Item = (u64, u64)> {
        let waiting = self.waiting(now_ns);
        let group = waiting.div_ceil(1000).max(1);
        (0..waiting.div_ceil(group)).map(move |index| {
            let first = index * group;
            (now_ns.saturating_sub(self.time_of(self.taken + first)), group.min(waiting - first))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_a_constant_rate() {
        let mut schedule = Schedule::new(3, 1_000);
        assert_eq!(schedule.waiting(999), 0);
        assert_eq!(schedule.take(999), None);
        assert_eq!(schedule.take(1_000), Some(1_000));
        assert_eq!(schedule.take(1_000), None);
        assert_eq!(schedule.next_time(), 333_334_333);
        assert_eq!(schedule.waiting(2_000_001_000), 6);
        let times: Vec<_> = std::iter::from_fn(|| schedule.take(1_000_001_000)).collect();
        assert_eq!(times, [333_334_333, 666_667_666, 1_000_001_000]);
    }

    #[test]
    fn what_was_not_sent_is_counted_with_its_age() {
        let schedule = Schedule::new(1_000_000, 0);
        let ages: Vec<_> = schedule.ages(1_000_000_000).collect();
        assert!(ages.len() <= 1000);
        assert_eq!(ages.iter().map(|(_, count)| count).sum::<u64>(), 1_000_001);
        assert_eq!(ages.first().map(|(age, _)| *age), Some(1_000_000_000));
    }
}
