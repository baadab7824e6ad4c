//! The values that options take, read from text: counts, integers, rates, durations and names.
//!
//! Each parser answers in one sentence that says what would have been right; clap puts the option's name and the
//! rejected text in front of it.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use ipcpipe::stage::log::Fsync;
use jiff::SignedDuration;

/// The longest duration an option takes: a hundred years, whose nanoseconds still fit in 63 bits.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The largest magnitude below which every integer is a double: 2^53.
const EXACT: i128 = 1 << 53;

/// A whole number of things: `16`, `1_000_000`, `10k`, `1M`.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    scaled(text)
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| format!("expected a whole number from 0 to {}, such as 16, 1_000, 10k or 1M", u64::MAX))
}

/// An integer that a 64-bit float holds exactly: `-40`, `1_000`, `2k`.
pub(crate) fn integer(text: &str) -> Result<i64, String> {
    scaled(text)
        .filter(|number| (-EXACT..=EXACT).contains(number))
        .and_then(|number| i64::try_from(number).ok())
        .ok_or_else(|| format!("expected an integer from -{EXACT} to {EXACT} (2^53), such as -40 or 1_000"))
}

/// Reads digits, `_` between them, and a decimal suffix; `None` if it is anything else or beyond 128 bits.
fn scaled(text: &str) -> Option<i128> {
    let (digits, factor) = split_suffix(text);
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    if unsigned.starts_with('_') || unsigned.ends_with('_') || unsigned.starts_with('+') {
        return None;
    }
    digits.replace('_', "").parse::<i128>().ok()?.checked_mul(factor.into())
}

/// Takes `k`, `M` or `G` off the end of a number.
fn split_suffix(text: &str) -> (&str, u32) {
    match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1_000),
        Some((at, 'M')) => (&text[..at], 1_000_000),
        Some((at, 'G')) => (&text[..at], 1_000_000_000),
        _ => (text, 1),
    }
}

/// Samples a second, finite and above zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate(f64);

impl Rate {
    /// The time from one sample to the next; zero, which is flat out, where it would be less than a nanosecond.
    pub(crate) fn interval(self) -> Duration {
        if self.0 > 1e9 { Duration::ZERO } else { Duration::from_secs_f64(self.0.recip()) }
    }
}

/// A rate: `1000`, `0.5`, `20k`, `1M`, `10/s`.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    let (digits, factor) = split_suffix(text.strip_suffix("/s").unwrap_or(text));
    let slowest = LONGEST.as_secs_f64().recip();
    digits
        .parse::<f64>()
        .ok()
        .map(|number| number * f64::from(factor))
        .filter(|rate| rate.is_finite() && *rate >= slowest)
        .map(Rate)
        .ok_or_else(|| "expected a number of samples a second above 0, such as 1000, 0.5 or 20k".into())
}

/// A length of time: `800ms`, `2s`, `1m30s`, `0`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text.bytes().all(|byte| byte == b'0') && !text.is_empty() {
        return Ok(Duration::ZERO);
    }
    if text.parse::<f64>().is_ok_and(|number| number > 0.0 && number.is_finite()) {
        return Err(format!("a duration needs a unit: {text}ms or {text}s"));
    }
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|signed| Duration::try_from(signed).ok())
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| "expected a duration of 0 to 100 years, such as 800ms, 2s, 1m30s or 0".into())
}

/// When the log is forced to the disk: `never`, `end`, `always` or a duration.
pub(crate) fn fsync(text: &str) -> Result<Fsync, String> {
    match text {
        "never" => Ok(Fsync::Never),
        "end" => Ok(Fsync::End),
        "always" => Ok(Fsync::Always),
        _ => match duration(text) {
            Ok(Duration::ZERO) => Ok(Fsync::Always),
            Ok(period) => Ok(Fsync::Every(period)),
            Err(_) => Err("expected never, end, always or a duration such as 1s".into()),
        },
    }
}

/// How many samples travel in one frame; `None` leaves it to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch(pub(crate) Option<NonZeroUsize>);

/// A batch size: `auto` or a number of samples.
pub(crate) fn batch(text: &str) -> Result<Batch, String> {
    if text == "auto" {
        return Ok(Batch(None));
    }
    position(text).map(|size| Batch(Some(size))).map_err(|_| "expected auto or a number of samples above 0".into())
}

/// A number counted from 1, as columns are.
pub(crate) fn position(text: &str) -> Result<NonZeroUsize, String> {
    scaled(text)
        .and_then(|number| usize::try_from(number).ok())
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| "expected a whole number above 0".into())
}

/// What stands between two columns: one character, or `\t` for a tab.
pub(crate) fn delimiter(text: &str) -> Result<char, String> {
    let mut characters = text.chars();
    match (text, characters.next(), characters.next()) {
        (r"\t", ..) => Ok('\t'),
        (_, Some(one), None) => Ok(one),
        _ => Err(r"expected one character, such as ',' or '\t'".into()),
    }
}

/// A parser that takes the names of `choices` and lists them when given another one.
pub(crate) fn one_of<T, const N: usize>(
    choices: [T; N],
    name: impl Fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    let names = choices.map(name);
    PossibleValuesParser::new(names).map(move |typed| {
        let known = names.iter().zip(choices).find(|(name, _)| **name == typed);
        known.expect("clap lets only the listed names through").1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_take_separators_and_decimal_suffixes() {
        let read = ["0", "16", "1_000", "10k", "1M", "2G", "18446744073709551615"].map(|text| count(text).unwrap());
        assert_eq!(read, [0, 16, 1_000, 10_000, 1_000_000, 2_000_000_000, u64::MAX]);
    }

    #[test]
    fn counts_refuse_everything_else() {
        for text in ["", "-1", "abc", "1e9", "1.5", "18446744073709551616", "k", "_1", "1_", "+1", " 1", "9G9"] {
            assert!(count(text).is_err(), "{text:?}");
        }
        assert!(count(&"9".repeat(60)).is_err());
    }

    #[test]
    fn integers_end_where_doubles_become_coarse() {
        assert_eq!(integer("-9007199254740992"), Ok(-9_007_199_254_740_992));
        assert_eq!(integer("-4k"), Ok(-4_000));
        for text in ["9007199254740993", "--1", "-_1", "1.0", "-"] {
            assert!(integer(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_rate_is_positive_and_finite() {
        let intervals = ["1", "0.5", "1k", "10/s", "2M/s", "1e3"].map(|text| rate(text).unwrap().interval());
        assert_eq!(
            intervals.map(|d| d.as_nanos()),
            [1_000_000_000, 2_000_000_000, 1_000_000, 100_000_000, 500, 1_000_000]
        );
        for text in ["0", "-1", "nan", "inf", "-inf", "1e-300", "", "/s", "fast", "1e308G"] {
            assert!(rate(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_rate_no_clock_can_pace_is_flat_out() {
        assert_eq!(rate("1e9").unwrap().interval(), Duration::from_nanos(1));
        assert_eq!(rate("1e300").unwrap().interval(), Duration::ZERO);
    }

    #[test]
    fn durations_need_a_unit_unless_they_are_zero() {
        let read = ["0", "800ms", "2s", "1m30s", "1.5s", "50us", "2h"].map(|text| duration(text).unwrap().as_micros());
        assert_eq!(read, [0, 800_000, 2_000_000, 90_000_000, 1_500_000, 50, 7_200_000_000]);
        assert_eq!(duration("800"), Err("a duration needs a unit: 800ms or 800s".into()));
        for text in ["", "-1s", "2s ago", "abc", "inf", "nan", "1000000h", "99999999999999999999s"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn fsync_is_a_word_or_a_period() {
        let read = ["never", "end", "always", "0", "2s"].map(|text| fsync(text).unwrap());
        let period = Fsync::Every(Duration::from_secs(2));
        assert_eq!(read, [Fsync::Never, Fsync::End, Fsync::Always, Fsync::Always, period]);
        assert!(fsync("sometimes").is_err());
    }

    #[test]
    fn batches_columns_and_delimiters() {
        assert_eq!(batch("auto"), Ok(Batch(None)));
        assert_eq!(batch("256"), Ok(Batch(NonZeroUsize::new(256))));
        assert!(batch("0").is_err() && position("0").is_err() && position("-1").is_err());
        assert_eq!([",", r"\t", "é"].map(|text| delimiter(text).unwrap()), [',', '\t', 'é']);
        assert!(delimiter("").is_err() && delimiter(",,").is_err());
    }
}
