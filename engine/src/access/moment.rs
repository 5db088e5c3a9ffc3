//! Moments on the monotonic clock as dates.

use std::io::Write as _;

use crate::wire::date::{MONTHS, civil};

const SECONDS_PER_DAY: u64 = 86_400;

/// One moment on two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Nanoseconds of the monotonic clock.
    pub monotonic_ns: u64,
    /// Nanoseconds since 1970-01-01 00:00:00 UTC.
    pub unix_ns: u64,
}

impl Now {
    /// Nanoseconds since 1970 of a moment that the monotonic clock has measured.
    #[must_use]
    pub fn unix_ns_of(self, monotonic_ns: u64) -> u64 {
        self.unix_ns.saturating_sub(self.monotonic_ns.saturating_sub(monotonic_ns))
    }
}

/// As RFC 3339 has it: `2026-11-30T18:47:00.123Z`.
pub fn put_rfc3339(out: &mut Vec<u8>, unix_ns: u64) {
    let (ms, seconds) = (unix_ns / 1_000_000 % 1000, unix_ns / 1_000_000_000);
    let (year, month, day) = civil(seconds / SECONDS_PER_DAY);
    let (hour, minute, second) = time_of(seconds);
    let month = month + 1;
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z");
}

/// As the Common Log Format has it: `30/Nov/2026:18:47:00 +0000`.
pub fn put_clf(out: &mut Vec<u8>, unix_ns: u64) {
    let seconds = unix_ns / 1_000_000_000;
    let (year, month, day) = civil(seconds / SECONDS_PER_DAY);
    let (hour, minute, second) = time_of(seconds);
    let _ = write!(out, "{day:02}/");
    out.extend_from_slice(&MONTHS[month * 3..month * 3 + 3]);
    let _ = write!(out, "/{year:04}:{hour:02}:{minute:02}:{second:02} +0000");
}

fn time_of(seconds: u64) -> (u64, u64, u64) {
    let second = seconds % SECONDS_PER_DAY;
    (second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_both_forms() {
        for (unix_ns, rfc3339, clf) in [
            (0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000"),
            (784_111_777_009_999_999, "1994-11-06T08:49:37.009Z", "06/Nov/1994:08:49:37 +0000"),
            (951_782_400_123_000_000, "2000-02-29T00:00:00.123Z", "29/Feb/2000:00:00:00 +0000"),
        ] {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            put_rfc3339(&mut one, unix_ns);
            put_clf(&mut other, unix_ns);
            assert_eq!((&*String::from_utf8_lossy(&one), &*String::from_utf8_lossy(&other)), (rfc3339, clf));
        }
    }

    #[test]
    fn a_moment_is_found_on_the_other_clock() {
        let now = Now { monotonic_ns: 1_000, unix_ns: 50_000 };
        assert_eq!([now.unix_ns_of(400), now.unix_ns_of(1_000), now.unix_ns_of(2_000)], [49_400, 50_000, 50_000]);
    }
}
