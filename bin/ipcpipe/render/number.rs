//! Numbers as they are printed: floats without noise, quantities in the unit that suits them.

use std::fmt;
use std::time::Duration;

use ipcpipe::stage::number::append;
use serde::{Serialize, Serializer};

/// A float as the whole program prints it, [`append`] for text and the same for JSON: integers as integers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl Number {
    /// Appends its text.
    pub(super) fn append_to(self, text: &mut Vec<u8>) {
        append(text, self.0);
    }

    /// Rounds to `decimals` places, which are counted from the first digit that is not 0 if the number is below 1: a
    /// small deviation is never shown as none.
    pub(super) fn rounded(self, decimals: i32) -> Self {
        let leading_zeros = if self.0 == 0.0 { 0.0 } else { (-1.0 - self.0.abs().log10().floor()).max(0.0) };
        let scale = 10_f64.powi(decimals + leading_zeros as i32);
        // The quotient of two integral floats is the float nearest to the decimal, so it prints as that decimal.
        let rounded = (self.0 * scale).round() / scale;
        Self(if rounded.is_finite() { rounded } else { self.0 })
    }

    fn integer(self) -> Option<i64> {
        let integer = self.0 as i64;
        (integer as f64 == self.0 && integer < i64::MAX).then_some(integer)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.append_to(&mut text);
        f.pad(&String::from_utf8_lossy(&text))
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.integer() {
            Some(integer) => serializer.serialize_i64(integer),
            None => serializer.serialize_f64(self.0),
        }
    }
}

/// A time in the unit that suits it: `820 ns`, `21.3 µs`, `12.8 s`, `1h 2m 5s`.
pub(crate) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => scaled(duration.as_secs_f64() * 1e9, 1e3, &["ns", "µs", "ms", "s"]),
        (0, _) => format!("{minutes}m {}s", seconds % 60),
        _ => format!("{hours}h {minutes}m {}s", seconds % 60),
    }
}

/// A frequency: `1.25 samples/s`, `84.3 M samples/s`.
pub(super) fn rate(per_second: f64) -> String {
    scaled(per_second, 1e3, &["samples/s", "k samples/s", "M samples/s", "G samples/s"])
}

/// An amount of memory: `48 B`, `2.25 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// Three digits of `value` and the largest of `units`, each `base` times the one before, that leaves a whole part.
fn scaled(mut value: f64, base: f64, units: &[&str]) -> String {
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    for larger in units {
        if three_digits(value).0 < base {
            break;
        }
        (value, unit) = (value / base, larger);
    }
    format!("{} {unit}", three_digits(value))
}

fn three_digits(value: f64) -> Number {
    match value {
        ..10.0 => Number(value).rounded(2),
        10.0..100.0 => Number(value).rounded(1),
        _ => Number(value).rounded(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_integers_floats_that_read_back_and_null() {
        let json = |value| serde_json::to_string(&Number(value)).unwrap();
        let printed = [812.0, -3.0, -0.0, 50.75, 9_007_199_254_740_992.0, f64::NAN, f64::INFINITY].map(json);
        assert_eq!(printed, ["812", "-3", "0", "50.75", "9007199254740992", "null", "null"]);
        for value in [9.3e18, -1e300, -2.5e-7, 1.0 / 3.0, f64::MIN_POSITIVE, f64::MAX] {
            assert_eq!(json(value).parse(), Ok(value));
        }
    }

    #[test]
    fn rounding_trims_but_never_to_nothing() {
        let rounded = |value, decimals| Number(value).rounded(decimals).to_string();
        assert_eq!(rounded(28.113_4, 2), "28.11");
        assert_eq!(rounded(28.999, 2), "29");
        assert_eq!(rounded(1.0 / 3.0, 6), "0.333333");
        assert_eq!(rounded(0.001_234, 2), "0.0012");
        assert_eq!(rounded(-0.001_234, 2), "-0.0012");
        assert_eq!(rounded(0.0, 2), "0");
        for untouched in [1e300, -5e-324, f64::INFINITY] {
            assert_eq!(rounded(untouched, 2), Number(untouched).to_string());
        }
        assert_eq!(rounded(f64::NAN, 2), "NaN");
    }

    #[test]
    fn quantities_change_unit_when_three_digits_are_full() {
        let times =
            [0, 820, 999_499, 999_600, 21_340, 12_800_000_000, 59_990_000_000].map(Duration::from_nanos).map(time);
        assert_eq!(times, ["0 ns", "820 ns", "999 µs", "1 ms", "21.3 µs", "12.8 s", "60 s"]);
        assert_eq!(time(Duration::from_secs(90)), "1m 30s");
        assert_eq!(time(Duration::from_secs(3725)), "1h 2m 5s");
        assert_eq!([1.25, 84_300_000.0, 5e12].map(rate), ["1.25 samples/s", "84.3 M samples/s", "5000 G samples/s"]);
        assert_eq!([48, 2_359_296, 1023].map(bytes), ["48 B", "2.25 MiB", "1023 B"]);
    }
}
