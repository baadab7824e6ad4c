//! Waiting, under a lock, until others have changed something.
//!
//! A notification changes a word that every waiter has read under the lock, and returns all who see the change when they
//! wake, which is every 100 ms at the latest. So a notification that was meant for a waiter who is killed is seen by the
//! others, and a notifier who is killed between the change and the wake-up delays them only. The lock's deaths are the
//! lock's. (pthread_cond_wait(3) is not used, because a killed waiter can hang its others.)

use std::ops::Deref;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Lock, LockGuard, OwnerDied};
use crate::mp::Result;
use crate::mp::handed::{Handed, by_descriptor};
use crate::sys::shared::futex::{futex_wait, futex_wake};
use crate::sys::shared::{Kind, Object, Shape, deadline_in, is_over, nap};

/// A place to wait for a change that others make under a [`Lock`].
///
/// Sent to another process, it takes its lock along. A wait can end without a notification, as with
/// [`std::sync::Condvar`], and more than the notified ones may return; so look at what you wait for again, or use
/// [`wait_while`](Self::wait_while).
///
/// ```
/// use ipcpipe::mp::{Condition, Lock, Value};
///
/// let condition = Condition::new(&Lock::new()?)?;
/// let ready = Value::unlocked(false)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let _guard = condition.lock().unwrap();
///         ready.store(true);
///         condition.notify_one();
///     });
///     let guard = condition.lock()?;
///     let _guard = condition.wait_while(guard, || !ready.load())?;
///     Ok::<(), ipcpipe::mp::Error>(())
/// })?;
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Condition {
    lock: Lock,
    news: News,
}

/// What the waiters sleep on.
#[derive(Clone, Debug)]
struct News(Arc<Object>);

const SHAPE: Shape = Shape { kind: *b"cond", element: 8, count: 1 };

impl News {
    /// Changes with every notification. A waiter would miss one only if there were 2^32 of them while he is not running.
    fn sequence(&self) -> &AtomicU32 {
        self.0.region().atomic_u32(Object::DATA)
    }

    /// How many sleep, or more: one that was killed is counted for good, which costs a system call now and then.
    fn sleepers(&self) -> &AtomicU32 {
        self.0.region().atomic_u32(Object::DATA + 4)
    }
}

impl Condition {
    /// A new condition of this lock; one lock may have several.
    ///
    /// # Errors
    /// [`Error::System`](crate::mp::Error::System): out of memory or of descriptors.
    pub fn new(lock: &Lock) -> Result<Self> {
        Ok(Self { lock: lock.clone(), news: News(Arc::new(Object::create(SHAPE, Kind::Plain)?)) })
    }

    /// Gives the lock back, blocks until somebody notifies, and takes the lock again, for as long as that takes.
    ///
    /// # Errors
    /// [`OwnerDied`] if a holder died meanwhile: the lock is held, by the guard in the error.
    ///
    /// # Panics
    /// When the guard is that of another lock.
    pub fn wait<'a>(&self, guard: LockGuard<'a>) -> Result<LockGuard<'a>, OwnerDied<LockGuard<'a>>> {
        self.sleep(guard, None).0
    }

    /// The same, but waits for a notification for `time` at most, and answers whether there was one. To take the lock again
    /// may take longer.
    ///
    /// # Errors
    /// [`OwnerDied`] if a holder died meanwhile.
    ///
    /// # Panics
    /// When the guard is that of another lock.
    pub fn wait_timeout<'a>(
        &self,
        guard: LockGuard<'a>,
        time: Duration,
    ) -> Result<(LockGuard<'a>, bool), OwnerDied<LockGuard<'a>>> {
        let (guard, notified) = self.sleep(guard, deadline_in(time));
        guard.map(|guard| (guard, notified))
    }

    /// Blocks as long as `condition` holds, which is called under the lock.
    ///
    /// # Errors
    /// [`OwnerDied`] if a holder died meanwhile; whether the condition holds is not known then.
    ///
    /// # Panics
    /// When the guard is that of another lock.
    pub fn wait_while<'a>(
        &self,
        mut guard: LockGuard<'a>,
        mut condition: impl FnMut() -> bool,
    ) -> Result<LockGuard<'a>, OwnerDied<LockGuard<'a>>> {
        while condition() {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// The same for `time` at most; answers whether the condition came to an end.
    ///
    /// # Errors
    /// [`OwnerDied`] if a holder died meanwhile.
    ///
    /// # Panics
    /// When the guard is that of another lock.
    pub fn wait_while_timeout<'a>(
        &self,
        mut guard: LockGuard<'a>,
        time: Duration,
        mut condition: impl FnMut() -> bool,
    ) -> Result<(LockGuard<'a>, bool), OwnerDied<LockGuard<'a>>> {
        let deadline = deadline_in(time);
        while condition() {
            if is_over(deadline) {
                return Ok((guard, false));
            }
            guard = self.sleep(guard, deadline).0?;
        }
        Ok((guard, true))
    }

    fn sleep<'a>(
        &self,
        guard: LockGuard<'a>,
        deadline: Option<Instant>,
    ) -> (Result<LockGuard<'a>, OwnerDied<LockGuard<'a>>>, bool) {
        let lock = guard.lock;
        assert!(lock.0.id() == self.lock.0.id(), "a guard of another lock than the condition's");
        // Read before the lock is given back, so that what happens from then on is seen.
        let before = self.news.sequence().load(Ordering::SeqCst);
        self.news.sleepers().fetch_add(1, Ordering::SeqCst);
        drop(guard);
        let mut notified = false;
        while !notified && !is_over(deadline) {
            futex_wait(self.news.sequence(), before, Some(nap(deadline)));
            notified = self.news.sequence().load(Ordering::SeqCst) != before;
        }
        self.news.sleepers().fetch_sub(1, Ordering::SeqCst);
        (lock.lock(), notified)
    }

    /// Wakes one who waits, or more. Never blocks. The lock need not be held, but what he waits for has to be changed
    /// under it.
    pub fn notify_one(&self) {
        self.notify_n(1);
    }

    /// Wakes `number` of those who wait, or more. Never blocks.
    pub fn notify_n(&self, number: usize) {
        if number == 0 {
            return;
        }
        self.news.sequence().fetch_add(1, Ordering::SeqCst);
        if self.news.sleepers().load(Ordering::SeqCst) != 0 {
            futex_wake(self.news.sequence(), u32::try_from(number).unwrap_or(u32::MAX));
        }
    }

    /// Wakes all who wait. Never blocks.
    pub fn notify_all(&self) {
        self.notify_n(usize::MAX);
    }
}

/// The lock itself, to take it where only the condition is at hand.
impl Deref for Condition {
    type Target = Lock;

    fn deref(&self) -> &Lock {
        &self.lock
    }
}

impl Handed for News {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    fn attach(file: OwnedFd) -> Result<Self, crate::Error> {
        Object::open(file, SHAPE.kind, Some(SHAPE.element)).map(|object| Self(Arc::new(object)))
    }
}

by_descriptor!(News);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp::memory::Unlocked;
    use crate::mp::testing::{given, partner};
    use crate::sys::testing::eventually;

    fn asleep(condition: &Condition) -> u32 {
        condition.news.sleepers().load(Ordering::SeqCst)
    }

    #[test]
    fn b32_a_waiter_gives_the_lock_back_and_has_it_again_after_a_notification() {
        let condition = Condition::new(&Lock::new().unwrap()).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let guard = condition.lock().unwrap();
                let _guard = condition.wait(guard).unwrap();
                condition.try_lock().is_err()
            });
            eventually(|| asleep(&condition) == 1);
            drop(condition.lock().unwrap());
            condition.notify_one();
            assert!(waiter.join().unwrap(), "it returned without the lock");
        });
    }

    #[test]
    fn b32_a_wait_for_a_condition_ends_in_time() {
        let condition = Condition::new(&Lock::new().unwrap()).unwrap();
        let time = Duration::from_millis(1);
        let (guard, notified) = condition.wait_timeout(condition.lock().unwrap(), time).unwrap();
        assert!(!notified);
        let (guard, ended) = condition.wait_while_timeout(guard, time, || true).unwrap();
        assert!(!ended);
        let (_guard, ended) = condition.wait_while_timeout(guard, time, || false).unwrap();
        assert!(ended);
    }

    #[test]
    #[should_panic = "a guard of another lock"]
    fn b32_a_guard_of_another_lock_is_refused() {
        let (lock, other) = (Lock::new().unwrap(), Lock::new().unwrap());
        let condition = Condition::new(&lock).unwrap();
        drop(condition.wait(other.lock().unwrap()));
    }

    /// The notification may reach the one that is killed; the others must not wait for another.
    #[test]
    fn b32_a_notification_is_not_lost_with_a_killed_waiter() {
        let test = "mp::sync::condition::tests::b32_a_notification_is_not_lost_with_a_killed_waiter";
        if let (Some(lock), Some(news), Some(go)) = (given(0), given(1), given::<Unlocked<bool>>(2)) {
            let condition = Condition { lock, news };
            let guard = condition.lock().unwrap();
            // The killed one may have died with the lock, which is news and no failure.
            drop(condition.wait_while(guard, || !go.load()));
            return assert!(go.load());
        }
        for _ in 0..10 {
            let condition = Condition::new(&Lock::new().unwrap()).unwrap();
            let go = Unlocked::new(false).unwrap();
            let start = || partner(test, &[condition.lock.fd(), condition.news.fd(), go.fd()]);
            let (mut killed, released) = (start(), start());
            eventually(|| asleep(&condition) == 2);
            let guard = condition.lock().unwrap();
            go.store(true);
            condition.notify_one();
            drop(guard);
            killed.kill_only();
            released.join();
        }
    }
}
