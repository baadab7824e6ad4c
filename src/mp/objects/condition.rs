//! Conditions.

use std::ops::Deref;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::client::Remote;
use super::lock::held;
use super::protocol::{ConditionOperation, Limit, Operation};
use super::proxy::Proxy;
use super::{LockProxy, LockProxyError, LockProxyGuard};
use crate::mp::{Error, Result};

/// What a thread waits for that has a lock of a [`Manager`](super::Manager): it gives the lock back until somebody notifies
/// it. It can be used as its lock, too.
///
/// A notification for a thread whose process was killed goes to another one that waits. What is waited for may be over when
/// the lock is held again, so look anew, as [`wait_while`](Self::wait_while) does.
///
/// ```standalone_crate
/// use ipcpipe::mp::{ConditionProxy, Manager, Process, Result, ValueProxy};
/// use ipcpipe::task;
///
/// fn give(condition: ConditionProxy, ready: ValueProxy<bool>) {
///     let _guard = condition.lock().unwrap();
///     ready.set(&true).unwrap();
///     condition.notify_all().unwrap();
/// }
///
/// fn main() -> Result<()> {
///     ipcpipe::init();
///     let manager = Manager::start()?;
///     let (condition, ready) = (manager.condition()?, manager.value(false)?);
///     let giver = Process::spawn(task!(give), (condition.clone(), ready.clone()))?;
///     let guard = condition.lock()?;
///     drop(condition.wait_while(guard, || Ok(!ready.get()?))?);
///     giver.join()
/// }
/// ```
///
/// Operations fail with [`Error::ManagerGone`] after the end of the manager and with [`Error::Refused`] when the object was
/// removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionProxy {
    lock: LockProxy,
    news: Remote,
}

impl ConditionProxy {
    pub(super) fn of(lock: LockProxy, remote: Remote) -> Self {
        Self { lock, news: remote }
    }

    /// Gives the lock back until there is a notification, and takes it again.
    ///
    /// # Errors
    /// [`LockProxyError::OwnerDied`] if a holder died meanwhile: the lock is held, by the guard in the error.
    /// [`LockProxyError::Failed`] with the errors said above, and with [`Error::Refused`] for the guard of another lock,
    /// and then the lock is not held.
    pub fn wait<'a>(
        &self,
        guard: LockProxyGuard<'a>,
    ) -> Result<LockProxyGuard<'a>, LockProxyError<LockProxyGuard<'a>>> {
        self.sleep(guard, None).map(|(guard, _)| guard)
    }

    /// The same, but waits for a notification for `time` at most, and answers whether there was one. To take the lock again
    /// may take longer.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_timeout<'a>(
        &self,
        guard: LockProxyGuard<'a>,
        time: Duration,
    ) -> Result<(LockProxyGuard<'a>, bool), LockProxyError<LockProxyGuard<'a>>> {
        self.sleep(guard, Some(time))
    }

    /// Waits as long as `condition` holds, which is called while the lock is held.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), and [`LockProxyError::Failed`] with an error of `condition`.
    pub fn wait_while<'a>(
        &self,
        mut guard: LockProxyGuard<'a>,
        mut condition: impl FnMut() -> Result<bool>,
    ) -> Result<LockProxyGuard<'a>, LockProxyError<LockProxyGuard<'a>>> {
        while condition()? {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// The same for `time` at most; answers whether the condition came to an end.
    ///
    /// # Errors
    /// As [`wait_while`](Self::wait_while).
    pub fn wait_while_timeout<'a>(
        &self,
        mut guard: LockProxyGuard<'a>,
        time: Duration,
        mut condition: impl FnMut() -> Result<bool>,
    ) -> Result<(LockProxyGuard<'a>, bool), LockProxyError<LockProxyGuard<'a>>> {
        let start = Instant::now();
        while condition()? {
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok((guard, false));
            }
            (guard, _) = self.wait_timeout(guard, left)?;
        }
        Ok((guard, true))
    }

    /// Has one thread go on that waits, if there is one. The lock need not be held.
    ///
    /// # Errors
    /// As said above.
    pub fn notify_one(&self) -> Result<()> {
        self.notify_n(1)
    }

    /// Has so many threads go on, the longest waiting first.
    ///
    /// # Errors
    /// As said above.
    pub fn notify_n(&self, number: usize) -> Result<()> {
        self.news.call(Operation::Condition(ConditionOperation::Notify(number as u64)))
    }

    /// Has all threads go on that wait.
    ///
    /// # Errors
    /// As said above.
    pub fn notify_all(&self) -> Result<()> {
        self.notify_n(usize::MAX)
    }

    fn sleep<'a>(
        &self,
        guard: LockProxyGuard<'a>,
        limit: Limit,
    ) -> Result<(LockProxyGuard<'a>, bool), LockProxyError<LockProxyGuard<'a>>> {
        let lock = guard.lock;
        if *lock != self.lock {
            return Err(Error::Refused("the guard is of another lock than the condition's".to_owned()).into());
        }
        let wait = Operation::Condition(ConditionOperation::Wait(limit));
        // An error says that the lock is not held, but to give it back twice does no harm, so the guard may do so.
        let (notified, has_died) = self.news.call::<(bool, bool)>(wait)?;
        std::mem::forget(guard);
        held(LockProxyGuard::of(lock), &lock.remote, has_died).map(|guard| (guard, notified))
    }
}

/// Its lock.
impl Deref for ConditionProxy {
    type Target = LockProxy;

    fn deref(&self) -> &LockProxy {
        &self.lock
    }
}

impl Proxy for ConditionProxy {
    fn remote(&self) -> &Remote {
        &self.news
    }
}
