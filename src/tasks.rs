//! Tasks that come with the program, for pools, `map` and demonstrations. Text goes in and text comes out; what is no
//! argument of a task, and what has no result, is an error in words.

use std::hint::black_box;

use crate::mp::Task;
use crate::task;

/// A task that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// Primes up to a number, and as much arithmetic.
    Primes,
    /// The sum of all whole numbers up to one.
    Sum,
    /// One number divided by another.
    Div,
}

impl Builtin {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Primes, Self::Sum, Self::Div];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Primes => "primes",
            Self::Sum => "sum",
            Self::Div => "div",
        }
    }

    /// Runs it here.
    ///
    /// # Errors
    /// For text that is no argument of it, or has no result.
    pub fn run(self, text: String) -> Result<String, String> {
        match self {
            Self::Primes => primes(text),
            Self::Sum => sum(text),
            Self::Div => div(text),
        }
    }

    /// What another process can be asked to run.
    #[must_use]
    #[allow(unsafe_code, reason = "the entry of a task has a link section")]
    pub fn task(self) -> Task<(String,), Result<String, String>> {
        match self {
            Self::Primes => task!(primes),
            Self::Sum => task!(sum),
            Self::Div => task!(div),
        }
    }
}

/// The largest number up to which primes are looked for: nobody would wait for more, and it bounds the memory.
const MOST: u64 = 1_000_000_000_000;

/// Numbers whose primes are looked for at a time, so that the memory does not grow with them.
const WINDOW: u64 = 1 << 16;

/// Work for a processor. `text` is a number: how many primes there are up to it, which is the largest, and the sum of
/// `sqrt(i) * sin(i) * cos(i) * ln(i + 1)` for all numbers i up to it.
///
/// # Errors
/// For text that is no number up to 10^12.
#[allow(clippy::needless_pass_by_value, reason = "a task owns its arguments")]
pub fn primes(text: String) -> Result<String, String> {
    let size = number(&text)?;
    if size > MOST {
        return Err(format!("expected a number from 0 to {MOST} and got {size}"));
    }
    let (count, largest) = count_primes(size);
    let term = |i: u64| (i as f64).sqrt() * (i as f64).sin() * (i as f64).cos() * (i as f64 + 1.0).ln();
    let sum: f64 = (1..=size).map(term).sum();
    let primes = match largest {
        None => format!("0 primes up to {size}"),
        Some(largest) => {
            format!("{count} {} up to {size}, largest {largest}", if count == 1 { "prime" } else { "primes" })
        }
    };
    Ok(format!("{primes}; sum {sum:.6}"))
}

/// The number of primes up to `size`, and the largest.
fn count_primes(size: u64) -> (u64, Option<u64>) {
    let root = size.isqrt();
    let small = if root < 2 { Vec::new() } else { small_primes(root) };
    let (mut count, mut largest) = (0, None);
    let mut first = 2;
    while first <= size {
        let last = size.min(first.saturating_add(WINDOW - 1));
        let mut is_composite = vec![false; (last - first + 1) as usize];
        for &prime in small.iter().take_while(|prime| *prime * *prime <= last) {
            let from = (prime * prime).max(first.div_ceil(prime) * prime);
            (from..=last).step_by(prime as usize).for_each(|n| is_composite[(n - first) as usize] = true);
        }
        let found = (first..=last).zip(&is_composite).filter(|(_, is_composite)| !**is_composite);
        for (prime, _) in found {
            count += 1;
            largest = Some(prime);
        }
        let Some(next) = last.checked_add(1) else { break };
        first = next;
    }
    (count, largest)
}

fn small_primes(bound: u64) -> Vec<u64> {
    let mut is_composite = vec![false; bound as usize + 1];
    let mut primes = Vec::new();
    for n in 2..=bound {
        if !is_composite[n as usize] {
            primes.push(n);
            (n * n..=bound).step_by(n as usize).for_each(|multiple| is_composite[multiple as usize] = true);
        }
    }
    primes
}

/// The sum of 1 to the number that `text` is, really added.
///
/// # Errors
/// For text that is no number.
#[allow(clippy::needless_pass_by_value, reason = "a task owns its arguments")]
pub fn sum(text: String) -> Result<String, String> {
    let last = number(&text)?;
    // Without the box the compiler knows the formula and adds nothing.
    let sum = (1..=last).fold(0_u128, |sum, n| sum + u128::from(black_box(n)));
    Ok(sum.to_string())
}

/// Divides the two numbers that `text` is, as `4,2`.
///
/// # Errors
/// For text that is not two numbers, and for a division by zero.
#[allow(clippy::needless_pass_by_value, reason = "a task owns its arguments")]
pub fn div(text: String) -> Result<String, String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|it| it.trim().parse::<f64>()).collect();
    match numbers.as_deref() {
        Ok([_, divisor]) if *divisor == 0.0 => Err("division by zero".to_owned()),
        Ok([dividend, divisor]) => Ok(format!("Quotient is {}.", dividend / divisor)),
        _ => Err(format!("expected two numbers such as 4,2 and got '{}'", shortened(&text))),
    }
}

fn number(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a number from 0 to {} and got '{}'", u64::MAX, shortened(text));
    text.trim().parse().map_err(|_| wrong())
}

/// Enough of a text to know it again.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(100)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_primes_are_counted_as_by_hand() {
        let is_prime = |n: u64| n > 1 && (2..n).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
        let (mut count, mut largest) = (0, None);
        for size in 0..1000 {
            if is_prime(size) {
                (count, largest) = (count + 1, Some(size));
            }
            assert_eq!(count_primes(size), (count, largest), "{size}");
        }
        assert_eq!(count_primes(1_000_000), (78_498, Some(999_983)));
        assert_eq!(count_primes(WINDOW + 1), (6543, Some(65_537)));
        assert_eq!(primes("10".into()).unwrap(), "4 primes up to 10, largest 7; sum 1.313405");
    }

    #[test]
    fn e16_sums_and_quotients_are_those_of_the_lesson() {
        assert_eq!(sum("10000".into()).unwrap(), "50005000");
        assert_eq!(sum(" 0 ".into()).unwrap(), "0");
        assert_eq!(div("4,2".into()).unwrap(), "Quotient is 2.");
        assert_eq!(div("1, 8".into()).unwrap(), "Quotient is 0.125.");
        assert_eq!(div("1,0".into()).unwrap_err(), "division by zero");
    }

    #[test]
    fn what_is_no_argument_is_an_error_in_words() {
        for text in ["", "x", "-1", "1.5", "99999999999999999999"] {
            assert!(sum(text.into()).unwrap_err().starts_with("expected a number from 0 to "), "{text}");
            assert!(primes(text.into()).is_err(), "{text}");
        }
        assert!(primes("18446744073709551615".into()).unwrap_err().contains("from 0 to 1000000000000"));
        for text in ["", "4", "4,2,1", "a,b", "4;2"] {
            assert!(div(text.into()).unwrap_err().starts_with("expected two numbers such as 4,2"), "{text}");
        }
        assert!(sum("é".repeat(1000)).unwrap_err().len() < 250);
    }
}
