//! What becomes of one started job: a pure machine, to which the clock and what was seen are parameters.

use std::time::{Duration, Instant};

/// How long a job whose first process has ended is waited for when somebody else still holds its output: long enough for
/// a `tee` behind it, and not as long as a daemon lives that it has left behind.
const LINGER: Duration = Duration::from_millis(100);

/// Time from one look to the next at a group whose leader has ended; nobody tells when the last of it ends.
const TICK: Duration = Duration::from_millis(5);

/// After this time what survived SIGKILL is not waited for any more: the kernel holds it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a job does not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It took too long.
    Timeout,
    /// Nobody wants it any more.
    Cancelled,
}

/// What is known of a job.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Its first process has ended.
    pub(super) leader_ended: bool,
    /// Nobody can write to its output any more.
    pub(super) output_ended: bool,
    /// Nobody is in its process group; looked at only where [`Course::asks_for_group`].
    pub(super) group_gone: bool,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing, until something happens or [`Course::deadline`].
    Wait,
    /// Ask the group to end.
    Terminate,
    /// End the group.
    Kill,
    /// The job is over.
    Finish,
}

/// The way of one attempt from its start to its end.
#[derive(Debug)]
pub(super) struct Course {
    timeout_at: Option<Instant>,
    /// What is left of the time while it stands still.
    held: Option<Option<Duration>>,
    grace: Duration,
    /// Since when its first process was seen ended.
    ended_at: Option<Instant>,
    end: Option<End>,
    /// The last look at a group whose leader has ended.
    looked_at: Option<Instant>,
}

/// An end that the job does not come to by itself.
#[derive(Clone, Copy, Debug)]
struct End {
    cut: Cut,
    /// When SIGTERM is enough; None once SIGKILL was sent.
    kill_at: Option<Instant>,
    /// When to give up; None beyond what the clock can hold.
    give_up_at: Option<Instant>,
}

impl Course {
    /// That of a job which starts `now`.
    pub(super) fn new(now: Instant, timeout: Option<Duration>, grace: Duration) -> Self {
        let timeout_at = timeout.and_then(|timeout| now.checked_add(timeout));
        Self { timeout_at, held: None, grace, ended_at: None, end: None, looked_at: None }
    }

    /// Why the job was ended, if it did not end by itself.
    pub(super) fn cut(&self) -> Option<Cut> {
        self.end.map(|end| end.cut)
    }

    /// True if whoever is left in the group concerns us: a job that ends by itself may leave a daemon.
    pub(super) fn asks_for_group(&self) -> bool {
        self.end.is_some()
    }

    /// Ends the job, at once if `hard`; one that has ended already is left alone.
    pub(super) fn cancel(&mut self, now: Instant, hard: bool) -> Act {
        match &mut self.end {
            None if self.ended_at.is_some() => Act::Wait,
            None => self.begin_end(Cut::Cancelled, now, hard),
            Some(End { kill_at: Some(_), .. }) if hard => self.kill(now),
            Some(_) => Act::Wait,
        }
    }

    /// Has its time stand still from `now` on.
    pub(super) fn pause(&mut self, now: Instant) {
        self.held.get_or_insert_with(|| self.timeout_at.take().map(|at| at.saturating_duration_since(now)));
    }

    /// Has its time go on.
    pub(super) fn resume(&mut self, now: Instant) {
        if let Some(left) = self.held.take() {
            self.timeout_at = left.and_then(|left| now.checked_add(left));
        }
    }

    /// What to do `now`.
    pub(super) fn step(&mut self, now: Instant, seen: Seen) -> Act {
        let has_come = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if seen.leader_ended {
            self.ended_at.get_or_insert(now);
            self.looked_at = Some(now);
        }
        match self.end {
            None if seen.leader_ended => {
                let over = seen.output_ended || has_come(self.linger_until());
                if over { Act::Finish } else { Act::Wait }
            }
            None if has_come(self.timeout_at) => self.begin_end(Cut::Timeout, now, false),
            None => Act::Wait,
            Some(_) if seen.leader_ended && seen.group_gone => Act::Finish,
            Some(End { kill_at: Some(at), .. }) if at <= now => self.kill(now),
            Some(End { kill_at: None, give_up_at, .. }) if has_come(give_up_at) => Act::Finish,
            Some(_) => Act::Wait,
        }
    }

    /// When to call [`step`](Self::step) again though nothing has happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let look = self.looked_at.and_then(|at| at.checked_add(TICK));
        match self.end {
            None if self.ended_at.is_some() => self.linger_until(),
            None => self.timeout_at,
            Some(End { kill_at, give_up_at, .. }) => kill_at.or(give_up_at).into_iter().chain(look).min(),
        }
    }

    fn linger_until(&self) -> Option<Instant> {
        self.ended_at.and_then(|at| at.checked_add(LINGER))
    }

    fn begin_end(&mut self, cut: Cut, now: Instant, hard: bool) -> Act {
        let kill_at = now.checked_add(self.grace);
        self.end = Some(End { cut, kill_at, give_up_at: None });
        if hard || self.grace.is_zero() { self.kill(now) } else { Act::Terminate }
    }

    fn kill(&mut self, now: Instant) -> Act {
        if let Some(end) = &mut self.end {
            end.kill_at = None;
            end.give_up_at = now.checked_add(PATIENCE);
        }
        Act::Kill
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const GOING: Seen = Seen { leader_ended: false, output_ended: false, group_gone: false };
    const ENDED: Seen = Seen { leader_ended: true, output_ended: true, group_gone: false };
    const ALL_GONE: Seen = Seen { leader_ended: true, output_ended: true, group_gone: true };

    fn course(timeout: Option<Duration>) -> (Course, Instant) {
        let now = Instant::now();
        (Course::new(now, timeout, 2 * SECOND), now)
    }

    #[test]
    fn a_job_that_ends_by_itself_waits_for_nothing_but_its_output() {
        let (mut it, now) = course(None);
        assert_eq!((it.step(now + SECOND, GOING), it.deadline()), (Act::Wait, None));
        assert_eq!(it.step(now + SECOND, ENDED), Act::Finish);
        let (mut it, now) = course(Some(SECOND));
        let held = Seen { output_ended: false, ..ENDED };
        assert_eq!((it.step(now, held), it.deadline()), (Act::Wait, Some(now + LINGER)));
        assert_eq!((it.step(now + LINGER, held), it.cut()), (Act::Finish, None));
    }

    #[test]
    fn a_timeout_asks_waits_kills_and_sees_that_nobody_is_left() {
        let (mut it, now) = course(Some(SECOND));
        assert_eq!(it.deadline(), Some(now + SECOND));
        assert_eq!(it.step(now + SECOND, GOING), Act::Terminate);
        assert_eq!((it.deadline(), it.cut()), (Some(now + 3 * SECOND), Some(Cut::Timeout)));
        // The leader has ended; somebody of its group has not.
        let at = now + SECOND + TICK;
        assert_eq!((it.step(at, ENDED), it.deadline()), (Act::Wait, Some(at + TICK)));
        assert_eq!(it.step(now + 3 * SECOND, ENDED), Act::Kill);
        assert_eq!(it.step(now + 3 * SECOND, ENDED), Act::Wait);
        assert_eq!(it.step(now + 3 * SECOND + TICK, ALL_GONE), Act::Finish);
    }

    #[test]
    fn what_survives_a_kill_is_waited_for_with_an_end() {
        let (mut it, now) = course(None);
        assert_eq!(it.cancel(now, true), Act::Kill);
        assert_eq!((it.step(now, GOING), it.deadline()), (Act::Wait, Some(now + PATIENCE)));
        assert_eq!(it.step(now + PATIENCE, GOING), Act::Finish);
    }

    #[test]
    fn a_second_cancel_is_harder_and_one_after_the_end_is_none() {
        let (mut it, now) = course(Some(SECOND));
        assert_eq!([it.cancel(now, false), it.cancel(now, false)], [Act::Terminate, Act::Wait]);
        assert_eq!([it.cancel(now, true), it.cancel(now, true)], [Act::Kill, Act::Wait]);
        assert_eq!((it.step(now, ALL_GONE), it.cut()), (Act::Finish, Some(Cut::Cancelled)));
        let (mut it, now) = course(None);
        it.step(now, Seen { output_ended: false, ..ENDED });
        assert_eq!((it.cancel(now, true), it.cut()), (Act::Wait, None));
    }

    #[test]
    fn a_pause_takes_no_time() {
        let (mut it, now) = course(Some(SECOND));
        it.pause(now + SECOND / 2);
        assert_eq!((it.step(now + 9 * SECOND, GOING), it.deadline()), (Act::Wait, None));
        it.pause(now + 9 * SECOND);
        it.resume(now + 10 * SECOND);
        assert_eq!(it.deadline(), Some(now + 10 * SECOND + SECOND / 2));
        assert_eq!(it.step(now + 11 * SECOND, GOING), Act::Terminate);
    }

    #[test]
    fn without_a_grace_there_is_no_question() {
        let now = Instant::now();
        let mut it = Course::new(now, Some(SECOND), Duration::ZERO);
        assert_eq!(it.step(now + SECOND, GOING), Act::Kill);
    }
}
