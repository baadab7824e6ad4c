//! A lock that processes share and that outlives whoever holds it: pthread_mutexattr_setrobust(3) and
//! pthread_mutexattr_setpshared(3).
//!
//! Kill points: the C library tells the kernel before it takes or frees the lock, so a holder, a taker or a releaser that is
//! killed at any instruction leaves the lock marked, and the next one gets it with the news. The kernel also passes on the
//! wake-up of a killed sleeper, except where a third one had taken the lock in between; therefore nobody sleeps for longer
//! than [`PATIENCE`](super::PATIENCE) without trying again.

#![allow(unsafe_code)]

use std::hint;
use std::marker::PhantomData;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use nix::time::{ClockId, clock_gettime};

use super::{Region, is_over, nap};
use crate::Error;

/// Whether the thread that holds the lock may take it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It may not: it would wait for itself for ever, and panics instead.
    Plain,
    /// It may, and frees the lock as many times as it took it.
    Recursive,
}

/// How an attempt to take a lock ended.
#[derive(Debug)]
pub(crate) enum Acquired<G> {
    /// It is held now.
    Locked(G),
    /// It is held now, and whoever held it before died meanwhile. Only one taker hears of each death.
    AfterDeath(G),
    /// The time is over, or somebody else has it and there was no time to wait.
    TimedOut,
}

impl<G> Acquired<G> {
    /// The same with what is made of the guard.
    #[inline(always)]
    pub(crate) fn map<H>(self, make: impl FnOnce(G) -> H) -> Acquired<H> {
        match self {
            Self::Locked(guard) => Acquired::Locked(make(guard)),
            Self::AfterDeath(guard) => Acquired::AfterDeath(make(guard)),
            Self::TimedOut => Acquired::TimedOut,
        }
    }
}

/// A robust mutex at a fixed place in a region, as this process sees it.
#[derive(Debug)]
pub(crate) struct SharedMutex {
    region: Arc<Region>,
    offset: usize,
    /// How many guards of this process hold the lock; only whoever holds it writes.
    depth: AtomicU32,
}

/// Rounds of attempts before a sleep, and pauses between two attempts: a lock that others hold for a few nanoseconds is
/// free again before the kernel could be asked.
const ROUNDS: u32 = 40;
const PAUSES: u32 = 25;

impl SharedMutex {
    /// Bytes that it takes in a region, from a multiple of 64 on.
    pub(crate) const SIZE: usize = 64;

    /// Makes a lock at `offset`. Must happen before anybody else uses the region.
    ///
    /// # Errors
    /// ENOTSUP where the system has no robust locks.
    ///
    /// # Panics
    /// When it does not fit or `offset` is no multiple of 64.
    pub(crate) fn create(region: Arc<Region>, offset: usize, kind: Kind) -> Result<Self, Error> {
        let mutex = Self::attach(region, offset);
        let failed = |status| Error::os("cannot create a lock", "", std::io::Error::from_raw_os_error(status));
        match initialise(mutex.raw(), kind) {
            0 => Ok(mutex),
            status => Err(failed(status)),
        }
    }

    /// The lock that another process made at `offset`.
    ///
    /// # Panics
    /// When it does not fit or `offset` is no multiple of 64.
    pub(crate) fn attach(region: Arc<Region>, offset: usize) -> Self {
        assert!(offset.is_multiple_of(Self::SIZE), "a lock at an odd place");
        let _ = region.at(offset, Self::SIZE);
        Self { region, offset, depth: AtomicU32::new(0) }
    }

    /// The memory that it is in.
    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }

    #[inline]
    fn raw(&self) -> *mut libc::pthread_mutex_t {
        self.region.at(self.offset, Self::SIZE).cast()
    }

    /// Takes the lock if it is free.
    // Inlined with all its callers, because a guard that is passed through memory costs as much as the lock.
    #[inline(always)]
    pub(crate) fn try_lock(&self) -> Acquired<MutexGuard<'_>> {
        // SAFETY: the lock was initialised before anybody could attach to it, and is mapped as long as `self` lives.
        let status = unsafe { libc::pthread_mutex_trylock(self.raw()) };
        self.outcome(status)
    }

    /// Takes the lock, or gives up at the deadline. A lock that is free is taken even if the deadline has passed.
    ///
    /// # Panics
    /// When this thread holds a plain lock already and there is no deadline, or the memory of the lock is damaged.
    #[inline(always)]
    pub(crate) fn lock(&self, deadline: Option<Instant>) -> Acquired<MutexGuard<'_>> {
        match self.try_lock() {
            Acquired::TimedOut => self.wait(deadline),
            acquired => acquired,
        }
    }

    #[cold]
    fn wait(&self, deadline: Option<Instant>) -> Acquired<MutexGuard<'_>> {
        for _ in 0..ROUNDS {
            (0..PAUSES).for_each(|_| hint::spin_loop());
            match self.try_lock() {
                Acquired::TimedOut => {}
                acquired => return acquired,
            }
        }
        loop {
            let until = nap(deadline);
            let status = lock_until(self.raw(), until);
            assert!(
                status != libc::EDEADLK || deadline.is_some(),
                "this thread holds the lock already and would wait for itself for ever"
            );
            match self.outcome(status) {
                Acquired::TimedOut if status == libc::EDEADLK || is_over(deadline) => return Acquired::TimedOut,
                Acquired::TimedOut => {}
                acquired => return acquired,
            }
        }
    }

    #[inline(always)]
    fn outcome(&self, status: libc::c_int) -> Acquired<MutexGuard<'_>> {
        match status {
            0 => {
                self.depth.store(self.depth.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                Acquired::Locked(MutexGuard { mutex: self, of_thread: PhantomData })
            }
            libc::EBUSY | libc::ETIMEDOUT | libc::EDEADLK => Acquired::TimedOut,
            status => self.rare_outcome(status),
        }
    }

    #[cold]
    fn rare_outcome(&self, status: libc::c_int) -> Acquired<MutexGuard<'_>> {
        assert!(status == libc::EOWNERDEAD, "the memory of a lock is damaged ({})", Errno(status));
        // SAFETY: this thread holds the lock, which is what consistent(3) asks for.
        let status = unsafe { libc::pthread_mutex_consistent(self.raw()) };
        assert!(status == 0, "the memory of a lock is damaged ({})", Errno(status));
        self.depth.store(1, Ordering::Relaxed);
        Acquired::AfterDeath(MutexGuard { mutex: self, of_thread: PhantomData })
    }

    #[inline]
    fn unlock(&self) {
        self.depth.store(self.depth.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        // SAFETY: as in try_lock; for a thread that does not hold it the call does nothing and says so.
        let status = unsafe { libc::pthread_mutex_unlock(self.raw()) };
        debug_assert_eq!(status, 0);
    }
}

impl Drop for SharedMutex {
    fn drop(&mut self) {
        // A guard was forgotten: the C library has the lock in a list of its thread, so its memory has to stay.
        if self.depth.load(Ordering::Relaxed) != 0 {
            mem::forget(Arc::clone(&self.region));
        }
    }
}

/// Holds the lock as long as it lives, on the thread that took it.
#[derive(Debug)]
#[must_use = "the lock is free again when this is dropped"]
pub(crate) struct MutexGuard<'a> {
    mutex: &'a SharedMutex,
    /// The lock belongs to the thread, so this stays with it.
    of_thread: PhantomData<*const ()>,
}

impl Drop for MutexGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.unlock();
    }
}

/// An error number as text.
struct Errno(libc::c_int);

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

fn initialise(mutex: *mut libc::pthread_mutex_t, kind: Kind) -> libc::c_int {
    let kind = match kind {
        Kind::Plain => libc::PTHREAD_MUTEX_ERRORCHECK,
        Kind::Recursive => libc::PTHREAD_MUTEX_RECURSIVE,
    };
    let mut attributes = mem::MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
    let attributes = attributes.as_mut_ptr();
    // SAFETY: it fills what the pointer leads to.
    let mut status = unsafe { libc::pthread_mutexattr_init(attributes) };
    if status == 0 {
        // SAFETY: the attributes are initialised.
        status = unsafe { libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) };
    }
    if status == 0 {
        // SAFETY: as above.
        status = unsafe { libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST) };
    }
    if status == 0 {
        // SAFETY: as above.
        status = unsafe { libc::pthread_mutexattr_settype(attributes, kind) };
    }
    if status == 0 {
        // SAFETY: the place is in a mapping, large and aligned enough, and nobody else uses it yet.
        status = unsafe { libc::pthread_mutex_init(mutex, attributes) };
    }
    status
}

const _: () = assert!(size_of::<libc::pthread_mutex_t>() <= SharedMutex::SIZE);

/// Waits for the lock until a moment, against a clock that nobody sets.
fn lock_until(mutex: *mut libc::pthread_mutex_t, until: Instant) -> libc::c_int {
    let now = clock_gettime(ClockId::from_raw(CLOCK)).map_or(std::time::Duration::ZERO, Into::into);
    let at = now + until.saturating_duration_since(Instant::now());
    let at = libc::timespec { tv_sec: at.as_secs() as libc::time_t, tv_nsec: at.subsec_nanos().into() };
    // SAFETY: as in try_lock; the moment outlives the call.
    unsafe { pthread_mutex_clocklock(mutex, CLOCK, &raw const at) }
}

/// glibc 2.30 and later; the libc crate does not declare it.
#[cfg(target_env = "gnu")]
const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
#[cfg(target_env = "gnu")]
unsafe extern "C" {
    fn pthread_mutex_clocklock(
        mutex: *mut libc::pthread_mutex_t,
        clock: libc::clockid_t,
        until: *const libc::timespec,
    ) -> libc::c_int;
}

/// Other C libraries know no clock but the wall's.
#[cfg(not(target_env = "gnu"))]
const CLOCK: libc::clockid_t = libc::CLOCK_REALTIME;
#[cfg(not(target_env = "gnu"))]
unsafe fn pthread_mutex_clocklock(
    mutex: *mut libc::pthread_mutex_t,
    _: libc::clockid_t,
    until: *const libc::timespec,
) -> libc::c_int {
    // SAFETY: the caller's promise is the callee's.
    unsafe { libc::pthread_mutex_timedlock(mutex, until) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn mutex(kind: Kind) -> SharedMutex {
        SharedMutex::create(Arc::new(Region::create("test", 64).unwrap()), 0, kind).unwrap()
    }

    fn is_free(mutex: &SharedMutex) -> bool {
        std::thread::scope(|scope| scope.spawn(|| matches!(mutex.try_lock(), Acquired::Locked(_))).join().unwrap())
    }

    #[test]
    fn one_thread_holds_it_at_a_time() {
        let mutex = mutex(Kind::Plain);
        let Acquired::Locked(guard) = mutex.lock(None) else { panic!() };
        assert!(!is_free(&mutex));
        drop(guard);
        assert!(is_free(&mutex));
    }

    #[test]
    fn additions_of_many_threads_are_all_counted() {
        let mutex = mutex(Kind::Plain);
        let word = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let _guard = mutex.lock(None);
                        word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(word.into_inner(), 80_000);
    }

    #[test]
    fn a_thread_that_would_wait_for_itself_is_told() {
        let mutex = mutex(Kind::Plain);
        let _guard = mutex.lock(None);
        assert!(matches!(mutex.try_lock(), Acquired::TimedOut));
        assert!(matches!(mutex.lock(Some(Instant::now() + Duration::from_secs(60))), Acquired::TimedOut));
        let waits = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(mutex.lock(None))));
        assert!(waits.is_err());
    }

    #[test]
    fn a_recursive_lock_is_free_when_it_was_freed_as_often_as_taken() {
        let mutex = mutex(Kind::Recursive);
        let first = mutex.lock(None);
        let second = mutex.lock(None);
        drop(first);
        assert!(!is_free(&mutex));
        drop(second);
        assert!(is_free(&mutex));
    }

    #[test]
    fn the_lock_of_a_thread_that_ended_goes_to_the_next_one_with_the_news_once() {
        for kind in [Kind::Plain, Kind::Recursive] {
            let mutex = mutex(kind);
            std::thread::scope(|scope| {
                scope.spawn(|| mem::forget(mutex.lock(None))).join().unwrap();
            });
            assert!(matches!(mutex.lock(None), Acquired::AfterDeath(_)));
            assert!(matches!(mutex.lock(None), Acquired::Locked(_)));
        }
    }

    #[test]
    fn memory_of_a_lock_that_is_held_for_good_stays() {
        let region = Arc::new(Region::create("test", 64).unwrap());
        let weak = Arc::downgrade(&region);
        let mutex = SharedMutex::create(region, 0, Kind::Plain).unwrap();
        mem::forget(mutex.lock(None));
        drop(mutex);
        assert!(weak.upgrade().is_some());
        // The C library writes into it when this thread takes another.
        let other = self::mutex(Kind::Plain);
        drop(other.lock(None));
    }
}
