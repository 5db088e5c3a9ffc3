//! The date against an independent implementation.

use fasttunnel_engine::wire::date::HttpDate;
use std::time::{Duration, UNIX_EPOCH};

#[test]
fn agrees_with_httpdate_over_the_whole_range() {
    const LAST_SECOND: u64 = 253_402_300_799;
    // Every 11 days and some seconds: all weekdays, months and leap years up to the year 9999.
    for seconds in (0..=LAST_SECOND).step_by(987_654).chain([LAST_SECOND]) {
        let expected = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(HttpDate::from_unix(seconds).as_bytes(), expected.as_bytes(), "{seconds}");
    }
}
