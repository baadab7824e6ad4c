//! The round trip of one cache line between two CPUs: the speed of the machine while the figure beside it was
//! measured. It differs fivefold between two placements of the same virtual machine, and everything that shares memory
//! differs with it.

use std::hint;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Two threads that spin take two CPUs away from everybody else, so they do it for no longer than this.
const LONGEST: Duration = Duration::from_millis(30);

/// How many times the trips are timed, and how many trips that is each.
const TIMES: usize = 200;
const TRIPS: u64 = 100;

/// A line that takes longer than this was not passed between CPUs but between two threads that took turns on one.
const SLOWEST_NS: f64 = 10_000.0;

/// What makes both threads stop.
const STOP: u64 = u64::MAX;

/// A number on a cache line that nothing else shares, prefetched neighbour included.
#[repr(align(128))]
struct Line(AtomicU64);

/// The round trip in nanoseconds, the fastest of some: a slower one was interrupted. None where only one CPU is ours,
/// or if the two threads never ran at the same time.
pub(super) fn round_trip_ns() -> Option<f64> {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return None;
    }
    let line = Line(AtomicU64::new(0));
    let deadline = Instant::now() + LONGEST;
    let fastest = thread::scope(|scope| {
        thread::Builder::new().spawn_scoped(scope, || echo(&line, deadline)).ok()?;
        let fastest = call(&line, deadline);
        line.0.store(STOP, Ordering::Release);
        fastest
    })?;
    Some(fastest.as_nanos() as f64 / TRIPS as f64).filter(|ns| *ns < SLOWEST_NS)
}

/// Sends odd numbers and waits for the even ones that follow.
fn call(line: &Line, deadline: Instant) -> Option<Duration> {
    let mut fastest = None;
    let mut number = 0;
    for _ in 0..TIMES {
        let start = Instant::now();
        for _ in 0..TRIPS {
            line.0.store(number + 1, Ordering::Release);
            number += 2;
            if !wait_for(line, number, deadline) {
                return fastest;
            }
        }
        let elapsed = start.elapsed();
        fastest = Some(fastest.map_or(elapsed, |least: Duration| least.min(elapsed)));
    }
    fastest
}

fn echo(line: &Line, deadline: Instant) {
    let mut number = 1;
    while wait_for(line, number, deadline) {
        // A plain store could overwrite STOP.
        let _ = line.0.compare_exchange(number, number + 1, Ordering::AcqRel, Ordering::Relaxed);
        number += 2;
    }
}

/// Spins until the line shows `number`; false when it is time to stop.
fn wait_for(line: &Line, number: u64, deadline: Instant) -> bool {
    for turn in 1_u64.. {
        match line.0.load(Ordering::Acquire) {
            STOP => return false,
            seen if seen == number => return true,
            _ if turn % 4096 == 0 && Instant::now() >= deadline => return false,
            _ => hint::spin_loop(),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_ends_and_answers_a_time_if_any() {
        let start = Instant::now();
        let answer = round_trip_ns();
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(answer.is_none_or(|ns| ns > 0.0), "{answer:?}");
    }

    #[test]
    fn nobody_waits_beyond_the_deadline() {
        assert!(!wait_for(&Line(AtomicU64::new(0)), 1, Instant::now()));
        assert!(!wait_for(&Line(AtomicU64::new(STOP)), 1, Instant::now() + LONGEST));
        assert_eq!(call(&Line(AtomicU64::new(0)), Instant::now()), None);
    }
}
