//! Says when calls have waited too long for the host. It has no clock of its own.
//!
//! A queue that is long for a moment is no overload: after a pause of the host it holds what came meanwhile, and the host
//! may be through with it in no time. Only when the host finds a call that is over its time whenever it looks, for as long
//! as such a call may wait, has it fallen behind. From then on it sheds what is over its time, until what is left has
//! waited half as long: those that it does run come in time to somebody who still waits.

use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub(super) struct Shedder {
    limit: Duration,
    /// Whenever the host has looked since then, a call was over its time.
    behind_since: Option<Instant>,
    shedding: bool,
}

impl Shedder {
    /// Calls may wait for `limit_ms`; 0: for however long.
    pub fn new(limit_ms: u64) -> Self {
        Shedder { limit: Duration::from_millis(limit_ms), behind_since: None, shedding: false }
    }

    /// The host looks at its queue, where the first call waits since `oldest`. What has come before the time that is
    /// returned is to be shed.
    #[inline]
    pub fn look(&mut self, now: Instant, oldest: Option<Instant>) -> Option<Instant> {
        if self.limit.is_zero() {
            return None;
        }
        let waited = oldest.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        if waited > self.limit {
            let since = *self.behind_since.get_or_insert(now);
            self.shedding |= now.saturating_duration_since(since) >= self.limit;
        } else if !self.shedding || waited < self.limit / 2 {
            (self.behind_since, self.shedding) = (None, false);
        }
        if self.shedding { now.checked_sub(self.limit) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::Shedder;
    use std::time::{Duration, Instant};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_backlog_that_is_worked_off_in_time_is_kept() {
        let (mut shedder, start) = (Shedder::new(100), Instant::now());
        let now = start + ms(10_000);
        for after in [0, 50, 99] {
            assert_eq!(shedder.look(now + ms(after), Some(start)), None);
        }
        assert_eq!(shedder.look(now + ms(100), None), None);
        // It counts from the start, the next time.
        assert_eq!(shedder.look(now + ms(150), Some(start)), None);
        assert_eq!(shedder.look(now + ms(249), Some(start)), None);
        assert_eq!(shedder.look(now + ms(250), Some(start)), Some(now + ms(150)));
    }

    #[test]
    fn the_limit_itself_is_in_time() {
        let (mut shedder, start) = (Shedder::new(100), Instant::now());
        for at in (100..1000).step_by(10) {
            assert_eq!(shedder.look(start + ms(at), Some(start + ms(at - 100))), None);
        }
        for at in (1000..1100).step_by(10) {
            assert_eq!(shedder.look(start + ms(at), Some(start + ms(at - 101))), None);
        }
        assert!(shedder.look(start + ms(1100), Some(start + ms(999))).is_some());
    }

    #[test]
    fn sheds_until_the_wait_is_half_as_long() {
        let (mut shedder, start) = (Shedder::new(100), Instant::now());
        let mut look = |at: u64, waited: u64| shedder.look(start + ms(at), Some(start + ms(at - waited)));
        assert_eq!(look(1000, 200), None);
        assert_eq!(look(1100, 200), Some(start + ms(1000)));
        assert_eq!(look(1110, 50), Some(start + ms(1010)));
        assert_eq!(look(1120, 49), None);
        assert_eq!(look(1130, 200), None);
    }

    #[test]
    fn without_a_limit_nothing_is_shed() {
        let (mut shedder, start) = (Shedder::new(0), Instant::now());
        assert_eq!(shedder.look(start + ms(5000), Some(start)), None);
        assert_eq!(shedder.look(start + ms(50_000), Some(start)), None);
    }
}
