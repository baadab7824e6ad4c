//! The news that a holder died, together with the lock that the news comes with.

use std::fmt;
use std::time::Duration;

use crate::mp::Error;
use crate::mp::attempt::Attempt;
use crate::sys::shared::Acquired;

/// Whoever held the lock died while he did. It is held again, by the guard in here, but what it protects may be half
/// written.
///
/// Only one taker hears of each death, the next one: those after him find an ordinary lock, so he is the one to put in
/// order what it protects. (The poison of [`std::sync::Mutex`] stays instead.) With `?` it becomes [`Error::OwnerDied`] and
/// the lock is free again.
///
/// The technique is that of pthread_mutexattr_setrobust(3).
pub struct OwnerDied<G> {
    guard: G,
    attempt: Attempt,
}

impl<G> OwnerDied<G> {
    pub(crate) fn new(guard: G, attempt: Attempt) -> Self {
        Self { guard, attempt }
    }

    /// The guard, to look at what it protects and go on.
    pub fn into_inner(self) -> G {
        self.guard
    }

    /// A look through the guard.
    pub fn get_ref(&self) -> &G {
        &self.guard
    }

    /// The same with the right to change.
    pub fn get_mut(&mut self) -> &mut G {
        &mut self.guard
    }
}

impl<G> fmt::Debug for OwnerDied<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnerDied").field(&self.attempt).finish()
    }
}

impl<G> fmt::Display for OwnerDied<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Error::OwnerDied(self.attempt).fmt(f)
    }
}

impl<G> std::error::Error for OwnerDied<G> {}

impl<G> From<OwnerDied<G>> for Error {
    fn from(died: OwnerDied<G>) -> Self {
        Self::OwnerDied(died.attempt)
    }
}

/// Why an attempt that does not wait for ever gave no lock, or no ordinary one.
pub enum TryLockError<G> {
    /// It gave the lock, but whoever held it before died: see [`OwnerDied`].
    OwnerDied(OwnerDied<G>),
    /// Somebody else holds it, and the time that was given is over. Zero: an attempt that does not wait.
    TimedOut(Attempt, Duration),
}

impl<G> fmt::Debug for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnerDied(died) => died.fmt(f),
            Self::TimedOut(attempt, time) => f.debug_tuple("TimedOut").field(attempt).field(time).finish(),
        }
    }
}

impl<G> fmt::Display for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnerDied(died) => died.fmt(f),
            Self::TimedOut(attempt, time) => Error::TimedOut(*attempt, *time).fmt(f),
        }
    }
}

impl<G> std::error::Error for TryLockError<G> {}

impl<G> From<OwnerDied<G>> for TryLockError<G> {
    fn from(died: OwnerDied<G>) -> Self {
        Self::OwnerDied(died)
    }
}

impl<G> From<TryLockError<G>> for Error {
    fn from(error: TryLockError<G>) -> Self {
        match error {
            TryLockError::OwnerDied(died) => died.into(),
            TryLockError::TimedOut(attempt, time) => Self::TimedOut(attempt, time),
        }
    }
}

/// How an attempt ended, for whoever waits as long as it takes.
#[inline(always)]
pub(crate) fn without_deadline<G>(acquired: Acquired<G>, attempt: impl FnOnce() -> Attempt) -> Result<G, OwnerDied<G>> {
    match acquired {
        Acquired::Locked(guard) => Ok(guard),
        Acquired::AfterDeath(guard) => Err(OwnerDied::new(guard, attempt())),
        Acquired::TimedOut => unreachable!("a wait without a deadline timed out"),
    }
}

/// How an attempt ended, for whoever does not.
#[inline(always)]
pub(crate) fn with_deadline<G>(
    acquired: Acquired<G>,
    time: Duration,
    attempt: impl FnOnce() -> Attempt,
) -> Result<G, TryLockError<G>> {
    match acquired {
        Acquired::Locked(guard) => Ok(guard),
        Acquired::AfterDeath(guard) => Err(OwnerDied::new(guard, attempt()).into()),
        Acquired::TimedOut => Err(TryLockError::TimedOut(attempt(), time)),
    }
}
