//! When samples fall due, and when to look up from them.

use crate::stage::conv::Ended;
use crate::stage::world::World;

const MILLISECOND: u64 = 1_000_000;

/// A backlog up to here is caught up, however short the interval.
const PATIENCE: u64 = 100 * MILLISECOND;

/// The absolute schedule of a paced stream. All instants are nanoseconds of one clock.
#[derive(Debug)]
pub(super) struct Schedule {
    next_at: u64,
    interval: u64,
}

impl Schedule {
    /// The first sample is due at `now`; an `interval` of 0 makes every sample due at once.
    pub(super) fn new(now: u64, interval: u64) -> Self {
        Self { next_at: now, interval }
    }

    pub(super) fn is_paced(&self) -> bool {
        self.interval > 0
    }

    pub(super) fn next_at(&self) -> u64 {
        self.next_at
    }

    /// How many samples are due at `now`. A backlog beyond patience is forgiven: the next sample is due now.
    pub(super) fn due(&mut self, now: u64) -> u64 {
        if !self.is_paced() {
            return u64::MAX;
        }
        let Some(late) = now.checked_sub(self.next_at) else { return 0 };
        if late > self.interval.max(PATIENCE) {
            self.next_at = now;
            return 1;
        }
        late / self.interval + 1
    }

    /// `samples` samples were taken.
    pub(super) fn advance(&mut self, samples: usize) {
        self.next_at = self.next_at.saturating_add(self.interval.saturating_mul(samples as u64));
    }
}

/// So many samples may pass between two looks at the clock: dear beside one sample, cheap beside these, and
/// a send that blocks is far from a millisecond even so.
pub(super) const LOOK_EVERY: usize = 16;

/// So long between two questions whether to stop, and between two calls of progress.
const ASK_EVERY: u64 = MILLISECOND;
const SHOW_EVERY: u64 = 100 * MILLISECOND;

/// What is looked at now and then while samples flow: the clock, the deadline, the stop, the progress.
#[derive(Debug)]
pub(super) struct Lookout<P> {
    pub(super) now: u64,
    pub(super) deadline: Option<u64>,
    progress: P,
    unseen: usize,
    ask_at: u64,
    show_at: u64,
    shown: u64,
}

impl<P: FnMut(u64)> Lookout<P> {
    pub(super) fn new(now: u64, duration: Option<u64>, progress: P) -> Self {
        let deadline = duration.map(|duration| now.saturating_add(duration));
        Self { now, deadline, progress, unseen: LOOK_EVERY, ask_at: now, show_at: now + SHOW_EVERY, shown: 0 }
    }

    /// The end: shows the last number, whatever the time.
    pub(super) fn close(&mut self, produced: u64) {
        self.shown = produced;
        (self.progress)(produced);
    }

    /// Notes that samples passed; a turn that brought none counts as one.
    pub(super) fn passed(&mut self, samples: usize) {
        self.unseen += samples.max(1);
    }

    pub(super) fn is_due(&self) -> bool {
        self.unseen >= LOOK_EVERY
    }

    /// Looks at everything that is due to be looked at; tells if that ends the stream.
    pub(super) fn look(&mut self, world: &mut impl World, produced: u64) -> Option<Ended> {
        self.unseen = 0;
        self.now = world.now_ns();
        if self.now >= self.show_at {
            self.show(produced);
        }
        if self.deadline.is_some_and(|deadline| self.now >= deadline) {
            return Some(Ended::Duration);
        }
        if self.now >= self.ask_at {
            self.ask_at = self.now + ASK_EVERY;
            return world.stopped().then_some(Ended::Stopped);
        }
        None
    }

    /// A wait until `at` is over that a stop would have ended: there is no need to ask for one so soon.
    pub(super) fn asked(&mut self, at: u64) {
        self.ask_at = at.saturating_add(ASK_EVERY);
    }

    /// The earlier of `at` and the deadline.
    pub(super) fn limit(&self, at: u64) -> u64 {
        self.deadline.map_or(at, |deadline| deadline.min(at))
    }

    /// A wait until `until` begins: shows what would otherwise be shown too late, and looks up after it.
    pub(super) fn before_wait(&mut self, until: u64, produced: u64) {
        self.unseen = LOOK_EVERY;
        if until > self.show_at {
            self.show(produced);
        }
    }

    fn show(&mut self, produced: u64) {
        if produced != self.shown {
            self.shown = produced;
            self.show_at = self.now + SHOW_EVERY;
            (self.progress)(produced);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_absolute_and_takes_all_that_is_due() {
        let mut schedule = Schedule::new(50, 10);
        assert_eq!(schedule.due(50), 1);
        schedule.advance(1);
        assert_eq!((schedule.due(59), schedule.next_at()), (0, 60));
        assert_eq!(schedule.due(85), 3);
        schedule.advance(3);
        assert_eq!((schedule.due(89), schedule.next_at()), (0, 90));
    }

    #[test]
    fn a_long_backlog_is_forgiven_and_a_short_one_caught_up() {
        let mut schedule = Schedule::new(0, MILLISECOND);
        assert_eq!(schedule.due(PATIENCE), 101);
        assert_eq!(schedule.due(PATIENCE + 1), 1);
        assert_eq!(schedule.next_at(), PATIENCE + 1);
    }

    #[test]
    fn patience_is_an_interval_where_that_is_longer() {
        let mut schedule = Schedule::new(0, 1_000 * MILLISECOND);
        assert_eq!(schedule.due(999 * MILLISECOND), 1);
        schedule.advance(1);
        assert_eq!(schedule.next_at(), 1_000 * MILLISECOND);
    }

    #[test]
    fn an_interval_of_zero_is_always_due() {
        let mut schedule = Schedule::new(7, 0);
        schedule.advance(1_000);
        assert_eq!(schedule.due(7), u64::MAX);
    }
}
