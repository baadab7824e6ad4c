//! Numbers as text: one rule for the input, the log and the report.
//!
//! An integer is written as an integer (exactly, below 2^63 in magnitude), anything else as the shortest
//! decimal that reads back as the same float; the exponent form is for magnitudes from 2^63 up and below
//! 10^-5. Negative zero is written `0`.

use std::io::Write;

/// The most bytes that one number takes, and the room that [`put`] wants.
pub(super) const ROOM: usize = 32;

/// Integers from 0 to here, exclusive, are ready in a table.
const SMALL: usize = 1024;

/// From here up an integer need not fit an `i64`: 2^63.
const INTEGER_LIMIT: f64 = 9_223_372_036_854_775_808.0;

/// Below this magnitude a fraction is written with an exponent.
const TINY: f64 = 1e-5;

/// 2^52: added to a small non-negative float it leaves the rounded integer in the low bits of the sum.
const SHIFT: f64 = 4_503_599_627_370_496.0;

/// Each small integer with a newline in the low bytes, and the number of those bytes in the highest.
static SMALL_LINES: [u64; SMALL] = small_lines();

const fn small_lines() -> [u64; SMALL] {
    let mut lines = [0; SMALL];
    let mut n = 0;
    while n < SMALL {
        lines[n] = small_line(n);
        n += 1;
    }
    lines
}

const fn small_line(n: usize) -> u64 {
    let digits = if n < 10 { 1 } else { n.ilog10() as usize + 1 };
    let mut line = [0; 8];
    let (mut at, mut rest) = (digits, n);
    while at > 0 {
        at -= 1;
        line[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    line[digits] = b'\n';
    line[7] = digits as u8 + 1;
    u64::from_le_bytes(line)
}

/// Appends `value` as text.
///
/// ```
/// let mut text = Vec::new();
/// for value in [812.0, -0.5, 1e300, 1e-7, 9007199254740993.0] {
///     ipcpipe::stage::number::append(&mut text, value);
///     text.push(b' ');
/// }
/// assert_eq!(text, b"812 -0.5 1e300 1e-7 9007199254740992 ");
/// ```
pub fn append(text: &mut Vec<u8>, value: f64) {
    let mut room = [0; ROOM];
    let end = put(&mut room, 0, value);
    text.extend_from_slice(&room[..end]);
}

/// Writes `value` at `out[at..]` and returns where it ends; `out` has [`ROOM`] bytes there.
pub(super) fn put(out: &mut [u8], at: usize, value: f64) -> usize {
    match integer(value) {
        Some(n) => put_signed(out, at, n),
        None => put_fraction(out, at, value),
    }
}

/// `value` as an integer, if it is one that fits.
fn integer(value: f64) -> Option<i64> {
    let n = value as i64;
    (n as f64 == value && value.abs() < INTEGER_LIMIT).then_some(n)
}

fn put_signed(out: &mut [u8], at: usize, n: i64) -> usize {
    out[at] = b'-';
    put_integer(out, at + usize::from(n < 0), n.unsigned_abs())
}

#[cold]
fn put_fraction(out: &mut [u8], at: usize, value: f64) -> usize {
    let mut rest = &mut out[at..];
    let before = rest.len();
    let magnitude = value.abs();
    let plain = !magnitude.is_finite() || (TINY..INTEGER_LIMIT).contains(&magnitude);
    if plain { write!(rest, "{value}") } else { write!(rest, "{value:e}") }.expect("the caller made room");
    let left = rest.len();
    at + before - left
}

/// Writes `n` at `out[at..]`, and perhaps a few bytes more, and returns where it ends.
pub(super) fn put_integer(out: &mut [u8], at: usize, n: u64) -> usize {
    const EIGHT: u64 = 100_000_000;
    const SIXTEEN: u64 = EIGHT * EIGHT;
    match n {
        ..EIGHT => put_leading(out, at, n as u32),
        EIGHT..SIXTEEN => {
            let at = put_leading(out, at, (n / EIGHT) as u32);
            put_eight(out, at, (n % EIGHT) as u32)
        }
        SIXTEEN.. => {
            let at = put_leading(out, at, (n / SIXTEEN) as u32);
            let at = put_eight(out, at, (n / EIGHT % EIGHT) as u32);
            put_eight(out, at, (n % EIGHT) as u32)
        }
    }
}

/// Writes a number below 10^8 without leading zeros, as one store of eight bytes.
fn put_leading(out: &mut [u8], at: usize, n: u32) -> usize {
    let digits = eight_digits(n);
    // The highest byte is the last digit, which is written even where it is 0.
    let zeros = (digits | 1 << 56).trailing_zeros() / 8;
    let text = (digits + ASCII_ZEROS) >> (8 * zeros);
    store(out, at, text.to_le_bytes());
    at + 8 - zeros as usize
}

/// Writes a number below 10^8 with its leading zeros.
pub(super) fn put_eight(out: &mut [u8], at: usize, n: u32) -> usize {
    store(out, at, (eight_digits(n) + ASCII_ZEROS).to_le_bytes());
    at + 8
}

const ASCII_ZEROS: u64 = u64::from_ne_bytes([b'0'; 8]);

/// The eight decimal digits of a number below 10^8, one a byte, the first in the lowest byte.
///
/// The number is halved three times, all parts at once, into quotients in the low halves of their places and
/// remainders in the high ones: with `q = n / d`, that is `q + ((n - q * d) << s)`, written as one product.
/// The factors and shifts divide by 10^4, 10^2 and 10, exactly so for parts below 10^8, 10^4 and 10^2.
fn eight_digits(n: u32) -> u64 {
    let n = u64::from(n);
    let quotient = (n * 109_951_163) >> 40;
    let fours = (n << 32) - quotient * ((10_000 << 32) - 1);
    let quotients = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = (fours << 16) - quotients * ((100 << 16) - 1);
    let quotients = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    (twos << 8) - quotients * ((10 << 8) - 1)
}

fn store(out: &mut [u8], at: usize, bytes: [u8; 8]) {
    out[at..at + 8].copy_from_slice(&bytes);
}

/// Whether every sample is an integer that the table has. Without a branch, so that it is vectorised.
pub(super) fn all_small(samples: &[f64]) -> bool {
    samples.iter().fold(true, |small, &x| small & (x >= 0.0) & (x < SMALL as f64) & ((x + SHIFT) - SHIFT == x))
}

/// Writes samples that are [`all_small`], one a line, at `out[at..]` and returns where they end; `out` has
/// eight bytes a sample there.
pub(super) fn put_small_lines(out: &mut [u8], mut at: usize, samples: &[f64]) -> usize {
    for x in samples {
        let line = SMALL_LINES[(x + SHIFT).to_bits() as usize % SMALL];
        store(out, at, line.to_le_bytes());
        at += (line >> 56) as usize;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64) -> String {
        let mut text = Vec::new();
        append(&mut text, value);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn extremes_fit_the_room_and_read_as_expected() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (99_999_999.0, "99999999"),
            (100_000_000.0, "100000000"),
            (-1e16, "-10000000000000000"),
            (9_223_372_036_854_774_784.0, "9223372036854774784"),
            (INTEGER_LIMIT, "9.223372036854776e18"),
            (-f64::MAX, "-1.7976931348623157e308"),
            (-f64::MIN_POSITIVE, "-2.2250738585072014e-308"),
            (-1.234_567_890_123_456_7e-5, "-0.000012345678901234568"),
            (0.1, "0.1"),
            (9.9e-6, "9.9e-6"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn the_table_holds_every_small_integer() {
        let samples: Vec<f64> = (0..SMALL).map(|n| n as f64).collect();
        let mut out = vec![0; 8 * SMALL];
        let end = put_small_lines(&mut out, 0, &samples);
        let expected: String = (0..SMALL).map(|n| format!("{n}\n")).collect();
        assert_eq!(out[..end], *expected.as_bytes());
    }

    #[test]
    fn small_means_an_integer_of_the_table() {
        assert!(all_small(&[0.0, -0.0, 1.0, 1023.0]));
        for x in [1024.0, -1.0, 0.5, 1022.5, 1e-300, f64::NAN, f64::INFINITY, 1e300] {
            assert!(!all_small(&[1.0, x]), "{x}");
        }
    }

    #[test]
    fn eight_digits_are_right_at_every_carry() {
        for n in (0..100_000_000).step_by(9_973).chain((0..8).flat_map(|e| [10u32.pow(e), 10u32.pow(e) * 10 - 1])) {
            let mut out = [0; 8];
            put_eight(&mut out, 0, n);
            assert_eq!(out, *format!("{n:08}").as_bytes());
        }
    }

    proptest! {
        #[test]
        fn integers_print_as_std_prints_them(n: i64, shift in 0..63) {
            let n = (n >> shift) as f64;
            prop_assume!(n < INTEGER_LIMIT);
            prop_assert_eq!(text(n), (n as i64).to_string());
        }

        #[test]
        fn every_float_reads_back(value: f64) {
            prop_assert_eq!(text(value).parse::<f64>().unwrap(), value);
        }
    }
}
