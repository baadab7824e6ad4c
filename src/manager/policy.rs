//! Whether and when a process that ended by itself is started again. Pure: the clock and the jitter are parameters.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::manager::spec::{Backoff, Intensity, Restart, duration_text};

/// The restarts of one process so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restarts {
    total: u32,
    /// Restarts that a limit on intensity may still count, oldest first.
    recent: VecDeque<Instant>,
    /// Restarts since the last stable run, which is what the delay grows with.
    streak: u32,
}

/// A run that has just ended by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Whether its end means success.
    pub(crate) ok: bool,
    /// How long it ran.
    pub(crate) lasted: Duration,
    /// When it ended.
    pub(crate) ended: Instant,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decision {
    /// It stays as it is.
    Rest,
    /// It is started again after this time.
    Again(Duration),
    /// It is started no more, though its policy says so, for this reason.
    GiveUp(String),
}

impl Restarts {
    /// All restarts so far, those that were asked for included.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    /// Takes over the count of an earlier manager.
    pub(crate) fn with_total(total: u32) -> Self {
        Self { total, ..Self::default() }
    }

    /// Counts one that was asked for: it says nothing about the health of the process.
    pub(crate) fn asked_for(&mut self) {
        self.total = self.total.saturating_add(1);
    }

    /// Decides by `policy` what follows on `run`. `jitter`, from 0 to 1, spreads restarts that began together.
    pub(crate) fn decide(&mut self, policy: Restart, backoff: Backoff, run: Run, jitter: f64) -> Decision {
        let intensity = match policy {
            Restart::OnFailure(intensity) if !run.ok => intensity,
            Restart::Always(intensity) => intensity,
            Restart::Never | Restart::OnFailure(_) => return Decision::Rest,
        };
        let Intensity { restarts, within } = intensity;
        while self.recent.front().is_some_and(|&at| run.ended.saturating_duration_since(at) > within) {
            self.recent.pop_front();
        }
        if self.recent.len() >= restarts as usize {
            let noun = if restarts == 1 { "restart" } else { "restarts" };
            return Decision::GiveUp(format!("{restarts} {noun} within {}", duration_text(within)));
        }
        if run.lasted > backoff.longest {
            self.streak = 0;
        }
        let delay = delay(backoff, self.streak, jitter);
        self.recent.push_back(run.ended);
        self.streak = self.streak.saturating_add(1);
        self.total = self.total.saturating_add(1);
        Decision::Again(delay)
    }
}

/// Doubles with each restart of a streak, up to the longest; up to a quarter comes on top by chance, and from the longest
/// it goes off.
fn delay(backoff: Backoff, streak: u32, jitter: f64) -> Duration {
    let full = backoff.first.saturating_mul(2u32.saturating_pow(streak));
    let chance = 0.25 * jitter.clamp(0.0, 1.0);
    if full < backoff.longest {
        full.mul_f64(1.0 + chance).min(backoff.longest)
    } else {
        backoff.longest.mul_f64(1.0 - chance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(1) };

    fn run(ok: bool, ended: Instant) -> Run {
        Run { ok, lasted: Duration::ZERO, ended }
    }

    #[test]
    fn the_policy_says_whether() {
        let now = Instant::now();
        let all = Intensity::default();
        let decide = |policy, ok| Restarts::default().decide(policy, BACKOFF, run(ok, now), 0.0);
        let again = Decision::Again(Duration::from_millis(100));
        assert_eq!(decide(Restart::Never, false), Decision::Rest);
        assert_eq!(decide(Restart::OnFailure(all), true), Decision::Rest);
        assert_eq!(decide(Restart::OnFailure(all), false), again);
        assert_eq!(decide(Restart::Always(all), true), again);
    }

    #[test]
    fn the_delay_doubles_and_a_stable_run_resets_it() {
        let mut restarts = Restarts::default();
        let policy = Restart::Always(Intensity { restarts: 100, within: Duration::from_secs(60) });
        let mut delays = Vec::new();
        for lasted in [0, 0, 0, 0, 0, 5, 0] {
            let run = Run { ok: false, lasted: Duration::from_secs(lasted), ended: Instant::now() };
            let Decision::Again(delay) = restarts.decide(policy, BACKOFF, run, 0.0) else { panic!() };
            delays.push(delay.as_millis());
        }
        assert_eq!(delays, [100, 200, 400, 800, 1000, 100, 200]);
        assert_eq!(restarts.total(), 7);
    }

    #[test]
    fn jitter_is_a_quarter_at_most_and_stays_between_first_and_longest() {
        assert_eq!(delay(BACKOFF, 0, 1.0), Duration::from_millis(125));
        assert_eq!(delay(BACKOFF, 40, 1.0), Duration::from_millis(750));
        assert_eq!(delay(BACKOFF, 40, 0.0), BACKOFF.longest);
    }

    #[test]
    fn a_storm_ends_and_a_slow_series_does_not() {
        let intensity = Intensity { restarts: 3, within: Duration::from_secs(10) };
        let start = Instant::now();
        let series = |gap: u64| {
            let mut restarts = Restarts::default();
            let at = |n: u64| start + Duration::from_secs(n * gap);
            (0..8)
                .map(|n| restarts.decide(Restart::Always(intensity), BACKOFF, run(false, at(n)), 0.0))
                .collect::<Vec<_>>()
        };
        let storm = series(1);
        assert!(storm[..3].iter().all(|decision| matches!(decision, Decision::Again(_))), "{storm:?}");
        assert_eq!(storm[3], Decision::GiveUp("3 restarts within 10s".into()));
        assert!(series(5).iter().all(|decision| matches!(decision, Decision::Again(_))));
    }
}
