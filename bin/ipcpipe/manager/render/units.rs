//! Times and sizes as the manager's tables show them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `0:12`, `1:02:03`, `2d 03:04`.
pub(super) fn uptime(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}d {hours:02}:{minutes:02}"),
    }
}

/// Memory, `1.9M`.
pub(super) fn memory(kib: u64) -> String {
    let mut size = kib as f64;
    for unit in ["K", "M", "G"] {
        if size < 1023.5 {
            return if size < 9.95 && unit != "K" { format!("{size:.1}{unit}") } else { format!("{size:.0}{unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1}T")
}

/// `0.4 ms`, `3 ms`, `1.50 s`.
pub(super) fn milliseconds(ms: f64) -> String {
    match ms {
        _ if ms < 0.95 => format!("{ms:.1} ms"),
        _ if ms < 999.5 => format!("{ms:.0} ms"),
        _ => format!("{:.2} s", ms / 1e3),
    }
}

/// Local time of day to the millisecond.
pub(crate) fn clock(ts_ns: u64) -> String {
    at(ts_ns, "%H:%M:%S.%3f")
}

/// Nanoseconds since the epoch.
pub(crate) fn now_ns() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default()
}

/// Local date and time.
pub(super) fn date(ts_ns: u64) -> String {
    at(ts_ns, "%Y-%m-%d %H:%M:%S")
}

fn at(ts_ns: u64, format: &str) -> String {
    // 64 bits of nanoseconds end in 2554, which jiff still knows.
    let timestamp = Timestamp::from_nanosecond(ts_ns.into()).unwrap_or(Timestamp::MAX);
    timestamp.to_zoned(TimeZone::system()).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_take_the_unit_that_fits() {
        assert_eq!([12.9, 3723.0, 183_840.0].map(uptime), ["0:12", "1:02:03", "2d 03:04"]);
        assert_eq!([0, 999, 1946, 20_480, 1_048_576].map(memory), ["0K", "999K", "1.9M", "20M", "1.0G"]);
        assert_eq!([0.42, 3.2, 1_500.0].map(milliseconds), ["0.4 ms", "3 ms", "1.50 s"]);
        assert!(clock(u64::MAX).len() == "00:00:00.000".len() && date(0).starts_with("19"));
    }
}
