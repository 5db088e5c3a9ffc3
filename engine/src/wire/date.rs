//! The Date field: IMF-fixdate (RFC 9110 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.

const DAYS: &[u8; 21] = b"ThuFriSatSunMonTueWed";
/// Their names, three letters each.
pub(crate) const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
const SECONDS_PER_DAY: u64 = 86_400;
/// 9999-12-31 23:59:59, the last second with a four-digit year.
const LAST_SECOND: u64 = 253_402_300_799;

/// A date as it is sent: 29 bytes. Rendered once a second, copied into every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDate([u8; 29]);

impl HttpDate {
    /// The date so many seconds after 1970-01-01 00:00:00 UTC. Later than the year 9999: its last second.
    #[must_use]
    pub fn from_unix(seconds: u64) -> HttpDate {
        let seconds = seconds.min(LAST_SECOND);
        let (days, second) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
        let (year, month, day) = civil(days);
        let weekday = (days % 7) as usize * 3;
        let mut text = *b"Ddd, dd Mmm yyyy hh:mm:ss GMT";
        text[..3].copy_from_slice(&DAYS[weekday..weekday + 3]);
        put_two(&mut text, 5, day);
        text[8..11].copy_from_slice(&MONTHS[month * 3..month * 3 + 3]);
        put_two(&mut text, 12, year / 100);
        put_two(&mut text, 14, year % 100);
        put_two(&mut text, 17, second / 3600);
        put_two(&mut text, 20, second / 60 % 60);
        put_two(&mut text, 23, second % 60);
        HttpDate(text)
    }

    /// The 29 bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 29] {
        &self.0
    }
}

fn put_two(text: &mut [u8; 29], at: usize, number: u64) {
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

/// Year, month (January is 0) and day of the month, in the Gregorian calendar. Counted in years that begin in March,
/// so that the leap day is the last one.
pub(crate) fn civil(days_since_1970: u64) -> (u64, usize, u64) {
    // From 0000-03-01; an era is 400 years, always 146097 days.
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(HttpDate::from_unix(seconds).as_bytes().escape_ascii().to_string(), text);
        }
    }
}
