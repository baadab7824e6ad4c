//! So many at a time, in all processes together.
//!
//! The truth is how many permits there are in all and who holds how many; each change of it is one write of one word, made
//! under a lock. How many are free follows from it, and is worked out anew when somebody dies with that lock. The permits
//! of a process that dies otherwise are found by those who wait, who look for dead holders every 100 ms; a wake-up that a
//! killed waiter took along delays the others by that long.

use std::mem;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::holders::Holders;
use crate::mp::handed::{Handed, by_descriptor};
use crate::mp::{Error, Result};
use crate::sys::shared::futex::{futex_wait, futex_wake};
use crate::sys::shared::{Acquired, Kind, MutexGuard, Object, Shape, deadline_in, is_over, nap};

/// A number of permits that processes share: whoever wants one more than there are waits.
///
/// A clone is another handle of the same semaphore. The permits that a process holds when it dies, killed or not, come back
/// as soon as somebody waits for one, after 100 ms at the latest. That holds for the first 256 processes that have permits
/// at the same time, in one PID namespace (pid_namespaces(7)); what others die with is gone.
///
/// ```
/// use ipcpipe::mp::Semaphore;
///
/// let seats = Semaphore::new(2)?;
/// let first = seats.acquire();
/// let _second = seats.acquire();
/// assert!(seats.try_acquire().is_none());
/// drop(first);
/// assert_eq!(seats.available(), 1);
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore(Arc<Object>);

/// Where the words are, behind the header.
const SEQUENCE: usize = Object::DATA;
const ARE_ASLEEP: usize = SEQUENCE + 4;
const PERMITS: usize = SEQUENCE + 8;
const FREE: usize = SEQUENCE + 16;
const BOUND: usize = SEQUENCE + 24;
const HOLDERS: usize = SEQUENCE + 32;

const SHAPE: Shape = Shape { kind: *b"sema", element: HOLDERS - SEQUENCE + Holders::SIZE, count: 1 };

impl Semaphore {
    /// A semaphore with this many permits, to which [`release`](Self::release) may add.
    ///
    /// # Errors
    /// [`Error::System`]: out of memory or of descriptors.
    pub fn new(permits: u32) -> Result<Self> {
        Self::create(permits, u32::MAX)
    }

    /// A semaphore that never has more than this many permits.
    ///
    /// # Errors
    /// [`Error::System`]: out of memory or of descriptors.
    pub fn bounded(permits: u32) -> Result<Self> {
        Self::create(permits, permits)
    }

    fn create(permits: u32, bound: u32) -> Result<Self> {
        let made = Self(Arc::new(Object::create(SHAPE, Kind::Plain)?));
        for (at, value) in [(PERMITS, permits), (FREE, permits), (BOUND, bound)] {
            made.word(at).store(value.into(), Ordering::Relaxed);
        }
        Ok(made)
    }

    /// Takes a permit; blocks until there is one.
    pub fn acquire(&self) -> Permit<'_> {
        self.acquire_until(None).unwrap_or_else(|| unreachable!("a wait without a deadline timed out"))
    }

    /// Takes a permit if there is one; does not block.
    #[must_use]
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.take(self.locked())
    }

    /// Takes a permit; blocks for `time` at most. None when the time is over.
    #[must_use]
    pub fn acquire_timeout(&self, time: Duration) -> Option<Permit<'_>> {
        self.acquire_until(deadline_in(time))
    }

    /// How many permits are free now.
    #[must_use]
    pub fn available(&self) -> u32 {
        let _guard = self.locked();
        u32::try_from(self.number(FREE)).unwrap_or(u32::MAX)
    }

    /// Adds a permit: one more than there were, or the one of a [`Permit`] that was forgotten. Never blocks.
    ///
    /// # Errors
    /// [`Error::Refused`] if the semaphore has as many as it may have; those in [`Permit`]s count, since they come back.
    pub fn release(&self) -> Result<()> {
        let guard = self.locked();
        if self.number(PERMITS) >= self.number(BOUND) {
            return Err(Error::Refused(format!("the semaphore has all its {} permits", self.number(BOUND))));
        }
        self.set_number(PERMITS, self.number(PERMITS) + 1);
        self.let_go(guard);
        Ok(())
    }

    fn acquire_until(&self, deadline: Option<Instant>) -> Option<Permit<'_>> {
        loop {
            let before = self.sequence().load(Ordering::SeqCst);
            if let Some(permit) = self.take(self.locked()) {
                return Some(permit);
            }
            if is_over(deadline) {
                return None;
            }
            if !futex_wait(self.sequence(), before, Some(nap(deadline))) {
                self.bury_the_dead();
            }
        }
    }

    /// A permit if there is one; otherwise the note that somebody may sleep from now on.
    fn take(&self, guard: MutexGuard<'_>) -> Option<Permit<'_>> {
        let free = self.number(FREE);
        if free <= 0 {
            self.are_asleep().store(1, Ordering::SeqCst);
            return None;
        }
        let holders = self.holders();
        let place = holders.mine();
        match place {
            Some(place) => holders.set_number(place, holders.number(place) + 1),
            None => self.set_number(PERMITS, self.number(PERMITS) - 1),
        }
        self.set_number(FREE, free - 1);
        drop(guard);
        Some(Permit { of: self, is_known: place.is_some() })
    }

    /// One permit is free again, as the truth says by now.
    fn let_go(&self, guard: MutexGuard<'_>) {
        self.set_number(FREE, self.number(FREE) + 1);
        self.wake(1);
        drop(guard);
    }

    /// Wakes those who sleep, under the lock.
    fn wake(&self, number: u32) {
        self.sequence().fetch_add(1, Ordering::SeqCst);
        // Whoever is not asleep yet sees that the sequence has changed, and says again that he will be.
        if self.are_asleep().load(Ordering::SeqCst) != 0 && futex_wake(self.sequence(), number) == 0 {
            self.are_asleep().store(0, Ordering::SeqCst);
        }
    }

    fn bury_the_dead(&self) {
        let dead = self.holders().dead();
        if !dead.is_empty() {
            let _guard = self.locked();
            if self.holders().bury(&dead) {
                self.work_out_free();
                self.wake(u32::MAX);
            }
        }
    }

    /// Takes the lock that all changes are made under, and puts right what somebody who died with it left.
    fn locked(&self) -> MutexGuard<'_> {
        match self.0.lock(None) {
            Acquired::Locked(guard) => guard,
            Acquired::AfterDeath(guard) => {
                self.work_out_free();
                self.wake(u32::MAX);
                guard
            }
            Acquired::TimedOut => unreachable!("a wait without a deadline timed out"),
        }
    }

    fn work_out_free(&self) {
        self.set_number(FREE, self.number(PERMITS) - self.holders().total() as i64);
    }

    fn holders(&self) -> Holders<'_> {
        Holders::new(self.0.region(), HOLDERS)
    }

    fn sequence(&self) -> &AtomicU32 {
        self.0.region().atomic_u32(SEQUENCE)
    }

    fn are_asleep(&self) -> &AtomicU32 {
        self.0.region().atomic_u32(ARE_ASLEEP)
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        self.0.region().atomic_u64(at)
    }

    /// Below zero for a moment when a permit is forgotten.
    fn number(&self, at: usize) -> i64 {
        self.word(at).load(Ordering::Relaxed).cast_signed()
    }

    fn set_number(&self, at: usize, number: i64) {
        self.word(at).store(number.cast_unsigned(), Ordering::Relaxed);
    }
}

impl Handed for Semaphore {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    fn attach(file: OwnedFd) -> Result<Self, crate::Error> {
        Object::open(file, SHAPE.kind, Some(SHAPE.element)).map(|object| Self(Arc::new(object)))
    }
}

by_descriptor!(Semaphore);

/// One permit of a [`Semaphore`], which gets it back when this is dropped or the process dies.
#[derive(Debug)]
#[must_use = "the semaphore has the permit back when this is dropped"]
pub struct Permit<'a> {
    of: &'a Semaphore,
    /// Whether the table knows of it, or it was taken from the number of all permits.
    is_known: bool,
}

impl Permit<'_> {
    /// Keeps the permit from the semaphore until somebody, in any process, calls [`Semaphore::release`] for it.
    pub fn forget(self) {
        let _guard = self.of.locked();
        if self.is_known {
            // In this order, because between the two a death leaves one too few held and none too many free.
            self.of.set_number(PERMITS, self.of.number(PERMITS) - 1);
            self.give_up_place();
        }
        mem::forget(self);
    }

    fn give_up_place(&self) {
        let holders = self.of.holders();
        if let Some(place) = holders.mine() {
            holders.set_number(place, holders.number(place).saturating_sub(1));
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let guard = self.of.locked();
        if self.is_known {
            self.give_up_place();
        } else {
            self.of.set_number(PERMITS, self.of.number(PERMITS) + 1);
        }
        self.of.let_go(guard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp::testing::{given, partner};
    use crate::sys::testing::eventually;

    #[test]
    fn b32_a_semaphore_lets_so_many_pass() {
        let semaphore = Semaphore::new(2).unwrap();
        let first = semaphore.acquire();
        let _second = semaphore.try_acquire().unwrap();
        assert!(semaphore.acquire_timeout(Duration::from_millis(1)).is_none());
        std::thread::scope(|scope| {
            scope.spawn(|| drop(semaphore.acquire()));
            eventually(|| semaphore.are_asleep().load(Ordering::SeqCst) == 1);
            drop(first);
        });
        assert_eq!(semaphore.available(), 1);
    }

    #[test]
    fn b32_a_bounded_semaphore_refuses_one_more() {
        let semaphore = Semaphore::bounded(1).unwrap();
        assert!(matches!(semaphore.release(), Err(Error::Refused(_))));
        let permit = semaphore.acquire();
        assert!(semaphore.release().is_err(), "the permit comes back by itself");
        permit.forget();
        assert_eq!(semaphore.available(), 0);
        semaphore.release().unwrap();
        assert_eq!(semaphore.available(), 1);
        let open = Semaphore::new(0).unwrap();
        open.release().unwrap();
        drop(open.acquire());
    }

    #[test]
    fn b32_no_more_than_so_many_are_inside_in_all_threads() {
        let semaphore = Semaphore::new(2).unwrap();
        let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let _permit = semaphore.acquire();
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 2);
        assert_eq!(semaphore.available(), 2);
    }

    #[test]
    fn b32_permits_of_a_killed_process_come_back() {
        let test = "mp::sync::semaphore::tests::b32_permits_of_a_killed_process_come_back";
        if let Some(semaphore) = given::<Semaphore>(0) {
            let _permits = [semaphore.acquire(), semaphore.acquire()];
            loop {
                std::thread::park();
            }
        }
        let semaphore = Semaphore::bounded(2).unwrap();
        let mut holder = partner(test, &[semaphore.fd()]);
        eventually(|| semaphore.available() == 0);
        // A zombie is dead as well.
        holder.kill_only();
        let permits = [(); 2].map(|()| semaphore.acquire_timeout(Duration::from_secs(10)).expect("a lost permit"));
        assert_eq!(semaphore.available(), 0);
        drop(permits);
    }

    #[test]
    fn b32_processes_killed_anywhere_lose_no_permit_and_add_none() {
        let test = "mp::sync::semaphore::tests::b32_processes_killed_anywhere_lose_no_permit_and_add_none";
        if let Some(semaphore) = given::<Semaphore>(0) {
            loop {
                drop(semaphore.acquire());
            }
        }
        let semaphore = Semaphore::bounded(2).unwrap();
        for round in 0..20_u32 {
            let before = semaphore.sequence().load(Ordering::SeqCst);
            let partners = [(); 3].map(|()| partner(test, &[semaphore.fd()]));
            let until = 100 + round * 37 % 900;
            eventually(|| semaphore.sequence().load(Ordering::SeqCst).wrapping_sub(before) > until);
            partners.into_iter().for_each(|it| it.kill());
            let wait = || semaphore.acquire_timeout(Duration::from_secs(10)).expect("a lost permit");
            let both = [wait(), wait()];
            assert!(semaphore.try_acquire().is_none(), "one too many");
            drop(both);
        }
    }
}
