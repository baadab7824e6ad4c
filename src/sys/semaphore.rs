//! A POSIX semaphore that two processes share. nix has none, so this is the one place that calls
//! sem_init(3), sem_post(3) and sem_clockwait(3).

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::io;
use std::time::Duration;

use nix::time::ClockId;

/// An unnamed semaphore in memory that two processes map (sem_overview(7)).
///
/// It has no owner: a process that dies while another waits wakes nobody, so waits are timed and
/// the waiter looks at its peer's lifeline in between.
#[repr(transparent)]
pub(crate) struct Semaphore(UnsafeCell<libc::sem_t>);

// SAFETY: sem_t is made for concurrent use; every access goes through the sem_* functions.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    /// Makes the semaphore usable between processes, with a count of 0. The memory behind `self`
    /// must be shared, and this must happen before anybody else uses it.
    pub(crate) fn init(&self) -> io::Result<()> {
        // SAFETY: the pointer comes from a live reference and is aligned for sem_t.
        check(unsafe { libc::sem_init(self.0.get(), 1, 0) })
    }

    /// Adds one and wakes one waiter.
    pub(crate) fn post(&self) {
        // SAFETY: as above; fails only at SEM_VALUE_MAX, which parking never reaches.
        let _ = unsafe { libc::sem_post(self.0.get()) };
    }

    /// Takes one, or gives up after `timeout` or a signal: the caller looks at its condition again in
    /// every case, so it is not told which.
    pub(crate) fn wait(&self, timeout: Duration) {
        let deadline = deadline(timeout);
        // SAFETY: as above; the deadline outlives the call.
        let _ = unsafe { sem_clockwait(self.0.get(), CLOCK, &raw const deadline) };
    }
}

impl std::fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Semaphore")
    }
}

fn deadline(timeout: Duration) -> libc::timespec {
    let now = nix::time::clock_gettime(ClockId::from_raw(CLOCK)).map_or(Duration::ZERO, Duration::from);
    let at = now + timeout;
    libc::timespec { tv_sec: at.as_secs() as libc::time_t, tv_nsec: at.subsec_nanos().into() }
}

fn check(status: libc::c_int) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// glibc 2.30 and later wait against the monotonic clock, so that a person who sets the date back
/// cannot stretch a wait; the libc crate does not declare it.
#[cfg(target_env = "gnu")]
const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
#[cfg(target_env = "gnu")]
unsafe extern "C" {
    fn sem_clockwait(
        semaphore: *mut libc::sem_t,
        clock: libc::clockid_t,
        deadline: *const libc::timespec,
    ) -> libc::c_int;
}

/// Other C libraries have sem_timedwait(3) only, which knows no clock but the wall's.
#[cfg(not(target_env = "gnu"))]
const CLOCK: libc::clockid_t = libc::CLOCK_REALTIME;
#[cfg(not(target_env = "gnu"))]
unsafe fn sem_clockwait(
    semaphore: *mut libc::sem_t,
    _: libc::clockid_t,
    deadline: *const libc::timespec,
) -> libc::c_int {
    // SAFETY: the caller's promise is the callee's.
    unsafe { libc::sem_timedwait(semaphore, deadline) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_post_is_taken_and_an_empty_semaphore_times_out() {
        // SAFETY: an all-zero sem_t is only storage; init makes it a semaphore.
        let semaphore = Semaphore(UnsafeCell::new(unsafe { std::mem::zeroed() }));
        semaphore.init().unwrap();
        semaphore.post();
        let start = Instant::now();
        semaphore.wait(Duration::from_secs(60));
        assert!(start.elapsed() < Duration::from_secs(30), "the post was not seen");
        semaphore.wait(Duration::from_millis(1));
    }
}
