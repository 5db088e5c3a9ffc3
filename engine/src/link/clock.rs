//! The clock of the time stamps that travel with batches.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the system's monotonic clock: the same on every thread, never 0. Read once per batch or tick (some
/// 25 ns), never per call.
#[inline]
#[must_use]
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64).max(1)
}

/// Nanoseconds of processor time that the calling thread has used.
#[must_use]
pub fn thread_cpu_ns() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    (used.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(used.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::{now_ns, thread_cpu_ns};

    #[test]
    fn counts_work_and_no_sleep_of_the_own_thread() {
        let before = thread_cpu_ns();
        std::thread::sleep(std::time::Duration::from_millis(50));
        let slept = thread_cpu_ns() - before;
        assert!(slept < 25_000_000, "{slept}");
        let began = now_ns();
        while thread_cpu_ns() - before < 2_000_000 {
            assert!(now_ns() - began < 10_000_000_000, "working does not count");
        }
    }

    #[test]
    fn goes_forward() {
        let before = now_ns();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let between = now_ns() - before;
        assert!((2_000_000..60_000_000_000).contains(&between), "{between}");
    }
}
