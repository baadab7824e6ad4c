//! One value that processes share.
//!
//! Kill points: a holder that is killed while he writes leaves some bytes new and some old; every mixture is a value of the
//! type, and the next taker of the lock is told.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::Plain;
use crate::mp::Result;
use crate::mp::attempt::{Attempt, Kind, Verb};
use crate::mp::handed::{Handed, by_descriptor};
use crate::mp::sync::{OwnerDied, TryLockError, with_deadline, without_deadline};
use crate::sys::shared::{Guarded, Held, Object, Shape, deadline_in};

/// A value in shared memory, with a lock: what one process writes, all see.
///
/// A clone is another handle of the same value. A lone [`get`](Self::get) and [`set`](Self::set) are each whole, but what
/// somebody else does between the two is lost; so what depends on the old value is an [`update`](Self::update).
///
/// When a process dies while it holds the lock, the next call of any process answers
/// [`OwnerDied`](crate::mp::Error::OwnerDied), once; the calls after it go on as if nothing had happened. To see and mend
/// the value in that moment, take the [`lock`](Self::lock). A panic in an update frees the lock, with no news for anybody.
///
/// ```
/// use ipcpipe::mp::Value;
///
/// let n = Value::new(40_i32)?;
/// n.update(|v| *v += 1)?;
/// *n.lock()? += 1;
/// assert_eq!(n.get()?, 42);
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
pub struct Value<T> {
    shared: Arc<Guarded>,
    holds: PhantomData<fn() -> T>,
}

const KIND: [u8; 4] = *b"valu";

impl<T: Plain> Value<T> {
    const FITS: () = assert!(align_of::<T>() <= Object::DATA, "a type that wants to be aligned to more than 128 bytes");

    /// A new shared value.
    ///
    /// # Errors
    /// [`Error::System`](crate::mp::Error::System): out of memory or of descriptors.
    pub fn new(value: T) -> Result<Self> {
        let () = Self::FITS;
        let shape = Shape { kind: KIND, element: size_of::<T>(), count: 1 };
        let made = Self { shared: Arc::new(Guarded::create(shape)?), holds: PhantomData };
        *made.lock()? = value;
        Ok(made)
    }

    /// Takes the lock and gives access to the value; blocks while somebody else holds it.
    ///
    /// # Errors
    /// [`OwnerDied`] if the last holder died: the guard in it holds the lock.
    ///
    /// # Panics
    /// When this thread holds it already, since it would wait for itself for ever.
    #[inline(always)]
    pub fn lock(&self) -> Result<ValueGuard<'_, T>, OwnerDied<ValueGuard<'_, T>>> {
        without_deadline(self.shared.lock(None).map(ValueGuard::new), || self.attempt())
    }

    /// The same, but does not block.
    ///
    /// # Errors
    /// [`TryLockError::TimedOut`] if somebody holds the lock; [`TryLockError::OwnerDied`].
    pub fn try_lock(&self) -> Result<ValueGuard<'_, T>, TryLockError<ValueGuard<'_, T>>> {
        with_deadline(self.shared.try_lock().map(ValueGuard::new), Duration::ZERO, || self.attempt())
    }

    /// The same, but blocks for `time` at most.
    ///
    /// # Errors
    /// [`TryLockError::TimedOut`] when the time is over; [`TryLockError::OwnerDied`].
    pub fn lock_timeout(&self, time: Duration) -> Result<ValueGuard<'_, T>, TryLockError<ValueGuard<'_, T>>> {
        let Some(deadline) = deadline_in(time) else { return Ok(self.lock()?) };
        with_deadline(self.shared.lock(Some(deadline)).map(ValueGuard::new), time, || self.attempt())
    }

    fn attempt(&self) -> Attempt {
        Attempt::new(Verb::Take, Kind::Value, self.shared.inode())
    }

    /// Replaces the value; blocks while somebody holds the lock.
    ///
    /// # Errors
    /// [`Error::OwnerDied`](crate::mp::Error::OwnerDied) if the last holder died; the value is not replaced then.
    #[inline]
    pub fn set(&self, value: T) -> Result<()> {
        *self.lock()? = value;
        Ok(())
    }

    /// Changes the value by `change` and answers what that answers; nobody else sees or changes it meanwhile. Blocks while
    /// somebody holds the lock.
    ///
    /// # Errors
    /// [`Error::OwnerDied`](crate::mp::Error::OwnerDied) if the last holder died; `change` is not called then.
    #[inline(always)]
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R> {
        Ok(change(&mut *self.lock()?))
    }
}

impl<T: Plain + Copy> Value<T> {
    /// A copy of the value; blocks while somebody holds the lock.
    ///
    /// # Errors
    /// [`Error::OwnerDied`](crate::mp::Error::OwnerDied) if the last holder died.
    #[inline]
    pub fn get(&self) -> Result<T> {
        Ok(*self.lock()?)
    }
}

impl<T: Plain> Handed for Value<T> {
    fn fd(&self) -> BorrowedFd<'_> {
        self.shared.fd()
    }

    fn attach(file: OwnedFd) -> Result<Self, crate::Error> {
        let () = Self::FITS;
        let shared = Guarded::open(file, KIND, Some(size_of::<T>()))?;
        if shared.shape().count != 1 {
            return Err(crate::Error::refused("cannot use a shared value", "", "it is no single value"));
        }
        Ok(Self { shared: Arc::new(shared), holds: PhantomData })
    }
}

by_descriptor!(Value<T>, T: Plain);

impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), holds: PhantomData }
    }
}

impl<T> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").finish_non_exhaustive()
    }
}

/// The value of a [`Value`], as long as its lock is held.
#[must_use = "the lock is free again when this is dropped"]
pub struct ValueGuard<'a, T> {
    held: Held<'a>,
    holds: PhantomData<T>,
}

impl<'a, T> ValueGuard<'a, T> {
    #[inline(always)]
    fn new(held: Held<'a>) -> Self {
        Self { held, holds: PhantomData }
    }
}

impl<T: Plain> Deref for ValueGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        T::ref_from_bytes(&self.held).unwrap_or_else(|_| unreachable!("memory of another size"))
    }
}

impl<T: Plain> DerefMut for ValueGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        T::mut_from_bytes(&mut self.held).unwrap_or_else(|_| unreachable!("memory of another size"))
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for ValueGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp::Error;
    use crate::mp::memory::Unlocked;
    use crate::mp::testing::{given, partner};
    use crate::sys::testing::eventually;

    #[test]
    fn b21_a_value_is_read_written_and_updated() {
        let value = Value::new(1.5_f64).unwrap();
        value.set(2.0).unwrap();
        assert_eq!(value.update(|it| std::mem::replace(it, 3.0)).unwrap(), 2.0);
        assert_eq!(value.clone().get().unwrap(), 3.0);
        assert_eq!(format!("{:?}", value.lock().unwrap()), "3.0");
    }

    #[test]
    fn b21_a_value_of_another_type_is_refused() {
        let value = Value::new(1_u32).unwrap();
        let copy = || value.fd().try_clone_to_owned().unwrap();
        assert_eq!(Value::<u32>::attach(copy()).unwrap().get().unwrap(), 1);
        assert!(Value::<u64>::attach(copy()).is_err());
        assert!(crate::mp::sync::Lock::attach(copy()).is_err());
    }

    #[test]
    fn b21_a_panic_in_an_update_frees_the_lock() {
        let value = Value::new(1_u32).unwrap();
        let update = || value.update(|_| panic!("on purpose"));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(update)).unwrap_err();
        assert_eq!(value.get().unwrap(), 1);
    }

    #[test]
    fn b24_no_increment_is_lost() {
        const ROUNDS: u64 = 100_000;
        let add = |value: Value<u64>| (0..ROUNDS).for_each(|_| value.update(|it| *it += 1).unwrap());
        if let Some(value) = given(0) {
            return add(value);
        }
        let value = Value::new(0_u64).unwrap();
        let other = partner("mp::memory::value::tests::b24_no_increment_is_lost", &[value.fd()]);
        add(value.clone());
        other.join();
        assert_eq!(value.get().unwrap(), 2 * ROUNDS);
    }

    #[test]
    fn b24_a_holder_killed_in_the_middle_is_reported_once() {
        let test = "mp::memory::value::tests::b24_a_holder_killed_in_the_middle_is_reported_once";
        if let Some(value) = given::<Value<[u64; 2]>>(0) {
            let mut guard = value.lock().unwrap();
            guard[0] = 7;
            given::<Unlocked<bool>>(1).unwrap().store(true);
            loop {
                std::thread::park();
            }
        }
        for mend in [true, false] {
            let (value, held) = (Value::new([1_u64; 2]).unwrap(), Unlocked::new(false).unwrap());
            let holder = partner(test, &[value.fd(), held.fd()]);
            eventually(|| held.load());
            holder.kill();
            if mend {
                let mut guard = value.lock().unwrap_err().into_inner();
                assert_eq!(*guard, [7, 1]);
                *guard = [0, 0];
            } else {
                assert!(matches!(value.update(|it| it[0] = 0), Err(Error::OwnerDied(_))));
            }
            assert_eq!(value.get().unwrap(), if mend { [0, 0] } else { [7, 1] });
        }
    }

    /// Holders that are killed wherever they happen to be: nobody hangs, and an update is whole or reported.
    #[test]
    fn b24_holders_killed_anywhere_hang_nobody() {
        let test = "mp::memory::value::tests::b24_holders_killed_anywhere_hang_nobody";
        if let Some(value) = given::<Value<u64>>(0) {
            given::<Unlocked<bool>>(1).unwrap().store(true);
            loop {
                let _ = value.update(|it| *it += 1);
            }
        }
        let value = Value::new(0_u64).unwrap();
        let mut last = 0;
        for round in 0..30_u64 {
            let started = Unlocked::new(false).unwrap();
            let holder = partner(test, &[value.fd(), started.fd()]);
            eventually(|| started.load());
            let until = last + 1 + round * 997 % 5000;
            eventually(|| value.get().is_ok_and(|it| it > until));
            holder.kill();
            let guard = value.lock_timeout(Duration::from_secs(10));
            let seen = match guard {
                Ok(guard) => *guard,
                Err(TryLockError::OwnerDied(died)) => *died.into_inner(),
                Err(TryLockError::TimedOut(..)) => panic!("the lock of a killed holder stayed taken"),
            };
            assert!(seen > last);
            last = seen;
        }
    }
}
