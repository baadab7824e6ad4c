//! One holder at a time, who may take the lock again.
//!
//! Kill points: all of them are the mutex's, which see; the lock counts how often its holder has it in its own memory, and
//! the next taker after a death starts at one.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::died::{OwnerDied, TryLockError, with_deadline, without_deadline};
use crate::mp::Result;
use crate::mp::attempt::{self, Attempt, Verb};
use crate::mp::handed::{Handed, by_descriptor};
use crate::sys::shared::{Kind, MutexGuard, Object, Shape, deadline_in};

/// A lock that the thread which holds it may take again, as often as it gives it back; see [`Lock`](super::Lock) for the
/// rest.
///
/// Its guard gives no right to change anything by itself, since there may be two of them.
///
/// ```
/// use ipcpipe::mp::RLock;
///
/// let lock = RLock::new()?;
/// let outer = lock.lock()?;
/// let inner = lock.lock()?;
/// drop(outer);
/// let elsewhere = std::thread::scope(|scope| scope.spawn(|| lock.try_lock().is_ok()).join());
/// assert_eq!(elsewhere.unwrap(), false);
/// # drop(inner);
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RLock(Arc<Object>);

const SHAPE: Shape = Shape { kind: *b"rloc", element: 0, count: 0 };

impl RLock {
    /// A new lock, free.
    ///
    /// # Errors
    /// [`Error::System`](crate::mp::Error::System): out of memory or of descriptors.
    pub fn new() -> Result<Self> {
        Ok(Self(Arc::new(Object::create(SHAPE, Kind::Recursive)?)))
    }

    /// Takes the lock; blocks until no other thread of any process holds it.
    ///
    /// # Errors
    /// [`OwnerDied`] if its last holder died: the lock is held, by the guard in the error.
    pub fn lock(&self) -> Result<RLockGuard<'_>, OwnerDied<RLockGuard<'_>>> {
        without_deadline(self.0.lock(None).map(RLockGuard::new), || self.attempt())
    }

    /// Takes the lock if no other thread holds it; does not block.
    ///
    /// # Errors
    /// [`TryLockError::TimedOut`] if another thread holds it; [`TryLockError::OwnerDied`].
    pub fn try_lock(&self) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        with_deadline(self.0.try_lock().map(RLockGuard::new), Duration::ZERO, || self.attempt())
    }

    /// Takes the lock; blocks for `time` at most.
    ///
    /// # Errors
    /// [`TryLockError::TimedOut`] when the time is over; [`TryLockError::OwnerDied`].
    pub fn lock_timeout(&self, time: Duration) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        let Some(deadline) = deadline_in(time) else { return Ok(self.lock()?) };
        with_deadline(self.0.lock(Some(deadline)).map(RLockGuard::new), time, || self.attempt())
    }

    fn attempt(&self) -> Attempt {
        Attempt::new(Verb::Take, attempt::Kind::RLock, self.0.region().inode())
    }
}

impl Handed for RLock {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    fn attach(file: OwnedFd) -> Result<Self, crate::Error> {
        Object::open(file, SHAPE.kind, Some(0)).map(|object| Self(Arc::new(object)))
    }
}

by_descriptor!(RLock);

/// Holds an [`RLock`] once, until it is dropped, on the thread that took it.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub struct RLockGuard<'a> {
    _mutex: MutexGuard<'a>,
}

impl<'a> RLockGuard<'a> {
    fn new(mutex: MutexGuard<'a>) -> Self {
        Self { _mutex: mutex }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b32_a_thread_may_take_its_lock_again_and_others_may_not() {
        let lock = RLock::new().unwrap();
        let elsewhere = || std::thread::scope(|scope| scope.spawn(|| lock.try_lock().is_ok()).join().unwrap());
        let first = lock.lock().unwrap();
        let second = lock.lock_timeout(Duration::ZERO).unwrap();
        drop(first);
        assert!(!elsewhere());
        drop(second);
        assert!(elsewhere());
    }

    #[test]
    fn b32_a_death_is_reported_whatever_the_depth() {
        let lock = RLock::new().unwrap();
        std::thread::scope(|scope| {
            let holder = scope.spawn(|| (0..2).for_each(|_| std::mem::forget(lock.lock().unwrap())));
            holder.join().unwrap();
        });
        let guard = lock.lock().unwrap_err().into_inner();
        assert!(lock.try_lock().is_ok());
        drop(guard);
        let other = std::thread::scope(|scope| scope.spawn(|| lock.try_lock().is_ok()).join().unwrap());
        assert!(other);
    }
}
