//! Dates for logs.

/// `ns` nanoseconds since the epoch as RFC 3339 has it, in UTC: `2026-11-20T16:00:00.123456789Z`.
pub(crate) fn rfc3339(ns: u64) -> String {
    let (seconds, fraction) = (ns / 1_000_000_000, ns % 1_000_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}

/// Year, month and day of a day, counted from 1970-01-01: Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>) for days that are not negative.
///
/// Its years begin in March, so that the leap day is the last one, and repeat every 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_ERA: u64 = 146_097;
    let since_march_0000 = days + 719_468;
    let era = since_march_0000 / DAYS_OF_ERA;
    let day_of_era = since_march_0000 % DAYS_OF_ERA;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_have_their_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_234_567_890, "2009-02-13T23:31:30"),
            (1_709_164_800, "2024-02-29T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (1_795_190_400, "2026-11-20T16:00:00"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (18_446_744_073, "2554-07-21T23:34:33"),
        ] {
            assert_eq!(rfc3339(seconds * 1_000_000_000 + 123_456_789), format!("{expected}.123456789Z"));
        }
    }

    #[test]
    fn the_days_follow_each_other() {
        let mut last = civil(0);
        for days in 1..200_000 {
            let (year, month, day) = civil(days);
            let is_next = (year, month, day) == (last.0, last.1, last.2 + 1)
                || (year, month, day) == (last.0, last.1 + 1, 1) && last.2 >= 28
                || (year, month, day) == (last.0 + 1, 1, 1) && (last.1, last.2) == (12, 31);
            assert!(is_next, "{last:?} {year} {month} {day}");
            last = (year, month, day);
        }
    }
}
