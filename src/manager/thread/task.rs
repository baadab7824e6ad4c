//! The built-in tasks.

use std::hint::black_box;
use std::time::Duration;

use super::control::{Control, Stopped};
use crate::manager::spec::Task;

/// Performs `task` to its end, and says what came out.
///
/// # Errors
/// [`Stopped`] when it is to end before.
pub(super) fn perform(task: Task, control: &Control) -> Result<String, Stopped> {
    match task {
        Task::Tick { every } => tick(every, control),
        Task::Primes(limit) => {
            let count = primes(limit, &|| control.checkpoint())?;
            Ok(format!("{count} {} below {limit}", if count == 1 { "prime" } else { "primes" }))
        }
        Task::Sum(last) => {
            let sum = sum(last, &|| control.checkpoint())?;
            Ok(format!("the sum of 1 to {last} is {sum}"))
        }
    }
}

/// The lines of the job `tick`, without end: `tick 1`, `tick 2`, and so on. Whoever prints them waits in between.
pub fn tick_lines() -> impl Iterator<Item = String> {
    (1_u64..).map(|number| format!("tick {number}"))
}

fn tick(every: Duration, control: &Control) -> Result<String, Stopped> {
    for line in tick_lines() {
        control.print(line);
        control.sleep(every)?;
    }
    Ok(String::new())
}

/// Terms between two checkpoints: some 50 µs of adding.
const TERMS: u64 = 1 << 16;

fn sum(last: u64, checkpoint: &dyn Fn() -> Result<(), Stopped>) -> Result<u128, Stopped> {
    let mut total = 0;
    let mut done = 0;
    while done < last {
        checkpoint()?;
        let end = last.min(done.saturating_add(TERMS));
        // A compiler that sees through the loop makes a formula of it, and there is nothing left to pause.
        total += (done + 1..=end).map(|term| u128::from(black_box(term))).sum::<u128>();
        done = end;
    }
    Ok(total)
}

/// Odd numbers that are sieved at once: they fit a first-level cache.
const WINDOW: usize = 1 << 15;

/// Counts the primes below `limit`, a window of odd numbers at a time, so that the memory does not grow with it.
fn primes(limit: u64, checkpoint: &dyn Fn() -> Result<(), Stopped>) -> Result<u64, Stopped> {
    let mut count = u64::from(limit > 2);
    let mut small = SmallPrimes::new();
    let mut is_composite = vec![false; WINDOW];
    let mut first = 3;
    while first < limit {
        let length = (limit - first).div_ceil(2).min(WINDOW as u64) as usize;
        let last = first + 2 * (length as u64 - 1);
        let window = &mut is_composite[..length];
        window.fill(false);
        for &prime in small.up_to_root_of(last, checkpoint)? {
            checkpoint()?;
            strike_out(window, first, prime);
        }
        count += window.iter().filter(|&&is_composite| !is_composite).count() as u64;
        first = last.saturating_add(2);
    }
    Ok(count)
}

/// Marks the odd multiples of `prime` in the window of odd numbers from `first` on, from its square.
fn strike_out(window: &mut [bool], first: u64, prime: u64) {
    let from = first.max(prime * prime).checked_next_multiple_of(prime);
    let odd = from.and_then(|from| if from.is_multiple_of(2) { from.checked_add(prime) } else { Some(from) });
    if let Some(start) = odd.and_then(|odd| usize::try_from((odd - first) / 2).ok()) {
        // Two odd multiples are 2 * prime apart, which is `prime` places.
        window.iter_mut().skip(start).step_by(prime as usize).for_each(|place| *place = true);
    }
}

/// The odd primes up to a bound that grows as it is needed.
struct SmallPrimes {
    bound: u64,
    primes: Vec<u64>,
}

impl SmallPrimes {
    fn new() -> Self {
        Self { bound: 2, primes: Vec::new() }
    }

    /// Those whose square is not above `number`.
    fn up_to_root_of(&mut self, number: u64, checkpoint: &dyn Fn() -> Result<(), Stopped>) -> Result<&[u64], Stopped> {
        let root = number.isqrt();
        if root > self.bound {
            *self = Self::sieved(root.saturating_mul(2).min(u64::from(u32::MAX)), checkpoint)?;
        }
        Ok(&self.primes[..self.primes.partition_point(|&prime| prime <= root)])
    }

    fn sieved(bound: u64, checkpoint: &dyn Fn() -> Result<(), Stopped>) -> Result<Self, Stopped> {
        let mut is_composite = vec![false; (bound as usize).saturating_sub(1) / 2];
        let mut primes = Vec::new();
        for place in 0..is_composite.len() {
            if !is_composite[place] {
                checkpoint()?;
                let prime = 2 * place as u64 + 3;
                primes.push(prime);
                strike_out(&mut is_composite, 3, prime);
            }
        }
        Ok(Self { bound, primes })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn on() -> Result<(), Stopped> {
        Ok(())
    }

    #[test]
    fn primes_are_counted_as_by_hand() {
        let is_prime = |n: u64| n > 1 && (2_u64..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
        let mut expected = 0;
        for limit in 0..2000 {
            assert_eq!(primes(limit, &on), Ok(expected), "{limit}");
            expected += u64::from(is_prime(limit));
        }
        // Around the first border of a window, and with small primes that had to be sieved anew.
        for limit in [65_537, 65_538, 65_539, 65_540, 131_073] {
            assert_eq!(primes(limit, &on).unwrap(), (0..limit).filter(|&n| is_prime(n)).count() as u64, "{limit}");
        }
        assert_eq!(primes(1_000_000, &on), Ok(78_498));
    }

    #[test]
    fn sums_are_those_of_the_formula() {
        for last in [0, 1, 2, 100, TERMS - 1, TERMS, TERMS + 1, 10 * TERMS + 7] {
            assert_eq!(sum(last, &on), Ok(u128::from(last) * u128::from(last + 1) / 2), "{last}");
        }
    }

    #[test]
    fn the_largest_tasks_stop_when_they_are_told() {
        let calls = Cell::new(0);
        let stop = || {
            calls.set(calls.get() + 1);
            if calls.get() > 1000 { Err(Stopped) } else { Ok(()) }
        };
        assert_eq!(primes(u64::MAX, &stop), Err(Stopped));
        calls.set(990);
        assert_eq!(sum(u64::MAX, &stop), Err(Stopped));
    }

    #[test]
    fn ticks_are_numbered_from_one() {
        assert!(tick_lines().take(2).eq(["tick 1", "tick 2"]));
    }
}
