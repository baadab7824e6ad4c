//! Sleeping on a word of memory that processes share (futex(2), without FUTEX_PRIVATE_FLAG).
//!
//! A wake-up is a hint and never the truth: whoever is woken may be killed before he can act on it. So the truth is in the
//! memory, sleepers look at it again, and nobody sleeps for longer than [`PATIENCE`](super::PATIENCE) at a time.

use std::sync::atomic::AtomicU32;
use std::time::Instant;

use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Timespec};

/// Sleeps until somebody wakes those who sleep on `word`, unless it is not `expected` any more. False when the deadline
/// has passed. It may also return true for no reason, after a signal for one, so look at the word again.
///
/// # Panics
/// Never on a word that is mapped: the system has no other answer.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> bool {
    let time = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    // Measured on CLOCK_MONOTONIC, so that a person who sets the date cannot stretch it.
    let time = time.and_then(|time| Timespec::try_from(time).ok());
    match futex::wait(word, Flags::empty(), expected, time.as_ref()) {
        Ok(()) | Err(Errno::AGAIN | Errno::INTR) => true,
        Err(Errno::TIMEDOUT) => false,
        Err(error) => unreachable!("a futex answered {error}"),
    }
}

/// Wakes at most `number` of those who sleep on `word`, in this and in other processes, and answers how many it woke.
pub(crate) fn futex_wake(word: &AtomicU32, number: u32) -> usize {
    // The kernel counts in a signed number.
    let number = number.min(i32::MAX as u32);
    futex::wake(word, Flags::empty(), number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use super::*;
    use crate::sys::shared::Region;
    use crate::sys::testing::eventually;

    #[test]
    fn a_sleeper_sees_that_the_word_has_changed_or_that_time_is_over() {
        let region = Region::create("test", 64).unwrap();
        let word = region.atomic_u32(0);
        assert!(futex_wait(word, 1, None), "the word is not 1");
        assert!(!futex_wait(word, 0, Some(Instant::now())));
        assert!(!futex_wait(word, 0, Some(Instant::now() + Duration::from_millis(1))));
        assert_eq!(futex_wake(word, u32::MAX), 0);
    }

    #[test]
    fn a_wake_reaches_a_sleeper_through_another_mapping() {
        let region = Region::create("test", 64).unwrap();
        let other = Region::open(region.fd().try_clone_to_owned().unwrap(), 64).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while other.atomic_u32(0).load(Ordering::Acquire) == 0 && futex_wait(other.atomic_u32(0), 0, None) {}
            });
            eventually(|| futex_wake(region.atomic_u32(0), 1) == 1);
            region.atomic_u32(0).store(1, Ordering::Release);
            futex_wake(region.atomic_u32(0), 1);
        });
    }
}
