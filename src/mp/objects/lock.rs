//! Locks that are held by a thread of a process.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::client::Remote;
use super::protocol::{Limit, LockOperation, Operation};
use super::proxy::proxy;
use crate::mp::attempt::{Attempt, Kind, Verb};
use crate::mp::{Error, OwnerDied, Result};

proxy! {
    /// A lock that a [`Manager`](super::Manager) keeps: one thread of one process holds it at a time.
    ///
    /// A holder that is killed does not keep it: the next one gets it together with the news, as [`OwnerDied`]. It is not
    /// fair: who waits longest is not first. [`Lock`](crate::mp::Lock) is hundreds of times as fast.
    ///
    /// ```standalone_crate
    /// # fn main() -> ipcpipe::mp::Result<()> {
    /// # ipcpipe::init();
    /// let manager = ipcpipe::mp::Manager::start()?;
    /// let lock = manager.lock()?;
    /// {
    ///     let _guard = lock.lock()?;
    ///     assert!(lock.try_lock().is_err());
    /// }
    /// assert!(lock.try_lock().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    LockProxy
}

proxy! {
    /// A lock that a [`Manager`](super::Manager) keeps, which its holder can take again and again.
    ///
    /// It is free when all guards of the thread are dropped. A holder that is killed does not keep it, as with
    /// [`LockProxy`].
    ///
    /// ```standalone_crate
    /// # fn main() -> ipcpipe::mp::Result<()> {
    /// # ipcpipe::init();
    /// let manager = ipcpipe::mp::Manager::start()?;
    /// let lock = manager.rlock()?;
    /// let _guard = lock.lock()?;
    /// let _again = lock.lock()?;
    /// # Ok(())
    /// # }
    /// ```
    RLockProxy
}

/// What both of them can do.
macro_rules! lock {
    ($name:ident $guard:ident $of_own:literal) => {
        impl $name {
            /// Takes the lock; blocks until nobody else holds it.
            ///
            /// # Errors
            /// [`LockProxyError::OwnerDied`] if its last holder died: the lock is held, by the guard in the error.
            /// [`LockProxyError::Failed`] with [`Error::ManagerGone`] after the end of the manager and [`Error::Refused`]
            /// when the object was removed
            #[doc = $of_own]
            pub fn lock(&self) -> Result<$guard<'_>, LockProxyError<$guard<'_>>> {
                self.take(None)
            }

            /// Takes the lock if it is free; does not block.
            ///
            /// # Errors
            /// [`LockProxyError::Failed`] with [`Error::TimedOut`] if it is not, and those of [`lock`](Self::lock).
            pub fn try_lock(&self) -> Result<$guard<'_>, LockProxyError<$guard<'_>>> {
                self.take(Some(Duration::ZERO))
            }

            /// Takes the lock; blocks for `time` at most.
            ///
            /// # Errors
            /// [`LockProxyError::Failed`] with [`Error::TimedOut`] when the time is over, and those of [`lock`](Self::lock).
            pub fn lock_timeout(&self, time: Duration) -> Result<$guard<'_>, LockProxyError<$guard<'_>>> {
                self.take(Some(time))
            }

            fn take(&self, limit: Limit) -> Result<$guard<'_>, LockProxyError<$guard<'_>>> {
                let has_died = self.remote.call(Operation::Lock(LockOperation::Lock(limit)))?;
                held($guard { lock: self, stays: PhantomData }, &self.remote, has_died)
            }
        }

        /// Holds the lock until it is dropped, on the thread that took it.
        #[derive(Debug)]
        #[must_use = "the lock is free again when this is dropped"]
        pub struct $guard<'a> {
            pub(super) lock: &'a $name,
            /// The lock is held by the connection of this thread.
            stays: PhantomData<*const ()>,
        }

        impl Drop for $guard<'_> {
            fn drop(&mut self) {
                // When the manager is gone there is no lock that could be kept.
                let _ = self.lock.remote.call::<()>(Operation::Lock(LockOperation::Unlock));
            }
        }
    };
}

lock!(LockProxy LockProxyGuard "or this thread holds the lock already.");
lock!(RLockProxy RLockProxyGuard ".");

impl<'a> LockProxyGuard<'a> {
    /// The guard of a lock that this thread holds.
    pub(super) fn of(lock: &'a LockProxy) -> Self {
        Self { lock, stays: PhantomData }
    }
}

/// The guard, with the news if there is some.
pub(super) fn held<G>(guard: G, lock: &Remote, has_died: bool) -> Result<G, LockProxyError<G>> {
    if !has_died {
        return Ok(guard);
    }
    let attempt = Attempt::new(Verb::Take, Kind::LockProxy, lock.object());
    Err(LockProxyError::OwnerDied(OwnerDied::new(guard, attempt)))
}

/// Why there is no lock, or no ordinary one.
pub enum LockProxyError<G> {
    /// The lock is held, but whoever held it before died: see [`OwnerDied`].
    OwnerDied(OwnerDied<G>),
    /// There is no lock.
    Failed(Error),
}

impl<G> fmt::Debug for LockProxyError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnerDied(died) => died.fmt(f),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl<G> fmt::Display for LockProxyError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnerDied(died) => died.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<G> std::error::Error for LockProxyError<G> {}

impl<G> From<Error> for LockProxyError<G> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// With `?`, which gives the lock back if it is held.
impl<G> From<LockProxyError<G>> for Error {
    fn from(error: LockProxyError<G>) -> Self {
        match error {
            LockProxyError::OwnerDied(died) => died.into(),
            LockProxyError::Failed(error) => error,
        }
    }
}
