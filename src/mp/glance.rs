//! Looking for what will come before sleeping until it has.
//!
//! To wake a thread on another, idle core takes some 20 µs, several times what a request takes. Whoever looks in vain,
//! because the other side is slow or has no core to run on, looks less and less often.

use std::sync::OnceLock;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// How long one looks: a little longer than it takes to wake the other side.
const MOMENT: Duration = Duration::from_micros(50);

/// How many times one sleeps at once, at most, before the next look.
const MOST_SKIPPED: u32 = 63;

/// Decides whether to look before sleeping.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    /// How many more times one sleeps at once.
    skip: u32,
    /// How many those were, the last time.
    skipped: u32,
}

impl Glance {
    /// Calls `look` for a moment, until it finds something. None if it is time to sleep.
    pub(crate) fn at<T>(&mut self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        if self.skip > 0 || !has_cores() {
            self.skip = self.skip.saturating_sub(1);
            return None;
        }
        let start = Instant::now();
        loop {
            if let Some(found) = look() {
                self.skipped = 0;
                return Some(found);
            }
            if start.elapsed() >= MOMENT {
                break;
            }
            std::hint::spin_loop();
        }
        self.skipped = (2 * self.skipped + 1).min(MOST_SKIPPED);
        self.skip = self.skipped;
        None
    }
}

/// True if the other side can run while this one looks.
fn has_cores() -> bool {
    static HAS_CORES: OnceLock<bool> = OnceLock::new();
    *HAS_CORES.get_or_init(|| available_parallelism().is_ok_and(|cores| cores.get() > 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_in_vain_looks_less_often() {
        let mut glance = Glance::default();
        let mut looks = |found: Option<()>, times: usize| {
            let mut count = 0;
            for _ in 0..times {
                let mut has_looked = false;
                glance.at(|| {
                    has_looked = true;
                    found
                });
                count += usize::from(has_looked);
            }
            count
        };
        if has_cores() {
            assert_eq!(looks(Some(()), 5), 5);
            // After 1, 3, 7, 15 and 31 times without.
            assert_eq!(looks(None, 63), 6);
        }
    }
}
