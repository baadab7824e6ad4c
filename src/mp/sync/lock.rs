//! One holder at a time, in all processes together.
//!
//! Kill points: all of them are the mutex's, which see; a killed holder frees the lock and the next taker hears of it.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::died::{OwnerDied, TryLockError, with_deadline, without_deadline};
use crate::mp::Result;
use crate::mp::attempt::{self, Attempt, Verb};
use crate::mp::handed::{Handed, by_descriptor};
use crate::sys::shared::{Kind, MutexGuard, Object, Shape, deadline_in};

/// A lock that processes share: one thread of one process holds it at a time.
///
/// A clone is another handle of the same lock. A holder that is killed does not keep it: the next one gets it together with
/// the news, as [`OwnerDied`]. Taking a free lock and giving it back costs some 15 ns; a taker tries for a few microseconds
/// before he sleeps. It is not fair: who waits longest is not first.
///
/// ```
/// use ipcpipe::mp::Lock;
///
/// let lock = Lock::new()?;
/// {
///     let _guard = lock.lock()?;
///     assert!(lock.try_lock().is_err());
/// }
/// assert!(lock.try_lock().is_ok());
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lock(pub(super) Arc<Object>);

const KIND: [u8; 4] = *b"lock";

impl Lock {
    /// A new lock, free.
    ///
    /// # Errors
    /// [`Error::System`](crate::mp::Error::System): out of memory or of descriptors.
    pub fn new() -> Result<Self> {
        let shape = Shape { kind: KIND, element: 0, count: 0 };
        Ok(Self(Arc::new(Object::create(shape, Kind::Plain)?)))
    }

    /// Takes the lock; blocks until nobody else holds it.
    ///
    /// # Errors
    /// [`OwnerDied`] if its last holder died: the lock is held, by the guard in the error.
    ///
    /// # Panics
    /// When this thread holds it already, since it would wait for itself for ever.
    #[inline(always)]
    pub fn lock(&self) -> Result<LockGuard<'_>, OwnerDied<LockGuard<'_>>> {
        without_deadline(self.0.lock(None).map(|mutex| LockGuard { lock: self, _mutex: mutex }), || self.attempt())
    }

    /// Takes the lock if it is free; does not block.
    ///
    /// # Errors
    /// [`TryLockError::TimedOut`] if somebody holds it, this thread for one; [`TryLockError::OwnerDied`].
    #[inline]
    pub fn try_lock(&self) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
        with_deadline(self.0.try_lock().map(|mutex| LockGuard { lock: self, _mutex: mutex }), Duration::ZERO, || {
            self.attempt()
        })
    }

    /// Takes the lock; blocks for `time` at most.
    ///
    /// # Errors
    /// [`TryLockError::TimedOut`] when the time is over, and at once if this thread holds it;
    /// [`TryLockError::OwnerDied`].
    pub fn lock_timeout(&self, time: Duration) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
        let Some(deadline) = deadline_in(time) else { return Ok(self.lock()?) };
        with_deadline(self.0.lock(Some(deadline)).map(|mutex| LockGuard { lock: self, _mutex: mutex }), time, || {
            self.attempt()
        })
    }

    fn attempt(&self) -> Attempt {
        Attempt::new(Verb::Take, attempt::Kind::Lock, self.0.region().inode())
    }
}

impl Handed for Lock {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    fn attach(file: OwnedFd) -> Result<Self, crate::Error> {
        Object::open(file, KIND, Some(0)).map(|object| Self(Arc::new(object)))
    }
}

by_descriptor!(Lock);

/// Holds a [`Lock`] until it is dropped, on the thread that took it.
///
/// One that is forgotten ([`std::mem::forget`]) keeps the lock until the thread ends.
#[derive(Debug)]
#[must_use = "the lock is free again when this is dropped"]
pub struct LockGuard<'a> {
    pub(super) lock: &'a Lock,
    _mutex: MutexGuard<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp::memory::Unlocked;
    use crate::mp::testing::{given, partner};
    use crate::sys::testing::eventually;

    #[test]
    fn b32_a_lock_is_held_by_one_at_a_time() {
        let lock = Lock::new().unwrap();
        let guard = lock.lock().unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| lock.lock_timeout(Duration::from_millis(1)).map(drop).unwrap_err().to_string());
            let number = lock.0.region().inode();
            let expected = format!("cannot take Lock {number} within 1ms: it is held");
            assert_eq!(other.join().unwrap(), expected);
            let waits = scope.spawn(|| drop(lock.lock().unwrap()));
            drop(guard);
            waits.join().unwrap();
        });
    }

    #[test]
    fn b32_a_killed_holder_frees_the_lock_and_one_taker_hears_of_it() {
        let test = "mp::sync::lock::tests::b32_a_killed_holder_frees_the_lock_and_one_taker_hears_of_it";
        if let Some(lock) = given::<Lock>(0) {
            let _guard = lock.lock().unwrap();
            given::<Unlocked<bool>>(1).unwrap().store(true);
            loop {
                std::thread::park();
            }
        }
        let (lock, held) = (Lock::new().unwrap(), Unlocked::new(false).unwrap());
        let holder = partner(test, &[lock.fd(), held.fd()]);
        eventually(|| held.load());
        assert!(matches!(lock.try_lock(), Err(TryLockError::TimedOut(..))));
        std::thread::scope(|scope| {
            // Asleep already when it happens, perhaps.
            let waits = scope.spawn(|| lock.lock().is_err_and(|died| died.into_inner().lock.try_lock().is_err()));
            holder.kill();
            assert!(waits.join().unwrap(), "nobody said that the holder died");
        });
        assert!(lock.try_lock().is_ok());
    }
}
