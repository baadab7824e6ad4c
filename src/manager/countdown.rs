//! A timer that stands still while what it is for is paused.

use std::time::{Duration, Instant};

/// Time that runs out, with pauses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Countdown {
    left: Duration,
    running_since: Option<Instant>,
}

impl Countdown {
    /// `left` from `now` on.
    pub(crate) fn new(left: Duration, now: Instant) -> Self {
        Self { left, running_since: Some(now) }
    }

    /// `left` that does not run yet.
    pub(crate) fn standing(left: Duration) -> Self {
        Self { left, running_since: None }
    }

    /// What is left at `now`.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        let ran = self.running_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.left.saturating_sub(ran)
    }

    /// Stands still from `now` on.
    pub(crate) fn pause(&mut self, now: Instant) {
        *self = Self::standing(self.left(now));
    }

    /// Runs from `now` on.
    pub(crate) fn resume(&mut self, now: Instant) {
        *self = Self::new(self.left(now), now);
    }

    /// When it runs out; None while it stands still, and for a time beyond what the clock holds.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.running_since?.checked_add(self.left)
    }

    /// True if it has run out at `now`; never while it stands still.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.at().is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_still_in_a_pause() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut countdown = Countdown::new(Duration::from_secs(10), start);
        countdown.pause(at(4));
        assert_eq!(countdown.left(at(100)), Duration::from_secs(6));
        assert!(!countdown.is_over(at(100)) && countdown.at().is_none());
        countdown.resume(at(100));
        assert!(!countdown.is_over(at(105)) && countdown.is_over(at(106)));
    }
}
