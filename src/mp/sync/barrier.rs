//! A point that so many have to reach before any of them goes on.
//!
//! All changes are made under a lock. Whoever dies with that lock may have left a meeting half counted, so the next one
//! declares the barrier broken. Every process that has the barrier is in a table; those who wait look there every 100 ms
//! for processes that died without giving it back, and break the barrier too, because a party that is dead never comes.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::holders::Holders;
use crate::mp::attempt::{self, Attempt, Verb};
use crate::mp::handed::{Handed, by_descriptor};
use crate::mp::{Error, Result};
use crate::sys::shared::futex::{futex_wait, futex_wake};
use crate::sys::shared::{Acquired, Kind, MutexGuard, Object, Shape, deadline_in, is_over, nap};

/// A meeting point for a fixed number of parties, threads or processes, which can be used again and again.
///
/// A clone is another handle of the same barrier. A process that has a handle and dies without dropping it, killed or by
/// exit, breaks the barrier for those who wait: they get [`Error::Broken`] after 100 ms at the latest. That holds for the
/// first 256 processes that have it, in one PID namespace (pid_namespaces(7)), from the moment that they received it.
///
/// ```
/// use ipcpipe::mp::Barrier;
///
/// let barrier = Barrier::new(2)?;
/// let mut indexes = std::thread::scope(|scope| {
///     let other = scope.spawn(|| barrier.wait());
///     [barrier.wait(), other.join().unwrap()].map(Result::unwrap)
/// });
/// indexes.sort();
/// assert_eq!(indexes, [0, 1]);
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Barrier(Arc<Party>);

/// This process as one that has the barrier.
#[derive(Debug)]
struct Party {
    object: Object,
    is_known: bool,
}

/// Where the words are, behind the header.
const GENERATION: usize = Object::DATA;
const IS_BROKEN: usize = GENERATION + 4;
const ARRIVED: usize = GENERATION + 8;
const ARE_PARTIES: usize = GENERATION + 12;
const HISTORY: usize = GENERATION + 16;
const HOLDERS: usize = GENERATION + 24;

const SHAPE: Shape = Shape { kind: *b"barr", element: HOLDERS - GENERATION + Holders::SIZE, count: 1 };

impl Barrier {
    /// A barrier for this many parties.
    ///
    /// # Errors
    /// [`Error::Refused`] for none; [`Error::System`]: out of memory or of descriptors.
    pub fn new(parties: u32) -> Result<Self> {
        if parties == 0 {
            return Err(Error::Refused("a barrier for nobody".to_owned()));
        }
        let object = Object::create(SHAPE, Kind::Plain)?;
        object.region().atomic_u32(ARE_PARTIES).store(parties, Ordering::Relaxed);
        Ok(Self(Arc::new(Party::join(object))))
    }

    /// Blocks until all parties are here. Answers in which order this one came, from 0 on: every party gets another
    /// number, so that whoever gets 0 may do what one has to do for all.
    ///
    /// # Errors
    /// [`Error::Broken`] if the barrier is broken, or was broken or reset before all were here.
    pub fn wait(&self) -> Result<u32> {
        self.0.wait(None)
    }

    /// The same, but blocks for `time` at most.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the time is over, which breaks the barrier for the others; [`Error::Broken`].
    pub fn wait_timeout(&self, time: Duration) -> Result<u32> {
        self.0.wait(deadline_in(time)).map_err(|error| error.within(time))
    }

    /// Breaks the barrier: those who wait and those who come get [`Error::Broken`], until it is reset. Does not block.
    pub fn abort(&self) {
        let _guard = self.0.locked();
        self.0.break_up();
    }

    /// Makes the barrier as new. Those who wait get [`Error::Broken`]; those who died are forgotten. Does not block.
    pub fn reset(&self) {
        let dead = self.0.holders().dead();
        let _guard = self.0.locked();
        self.0.holders().bury(&dead);
        self.0.next_generation(true);
        self.0.word(IS_BROKEN).store(0, Ordering::SeqCst);
    }

    /// True from the moment that it breaks until it is reset.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        let _guard = self.0.locked();
        self.0.is_broken()
    }

    /// How many have to come.
    #[must_use]
    pub fn parties(&self) -> u32 {
        self.0.word(ARE_PARTIES).load(Ordering::Relaxed)
    }

    /// How many are here and wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        let _guard = self.0.locked();
        if self.0.is_broken() { 0 } else { self.0.word(ARRIVED).load(Ordering::Relaxed) }
    }
}

impl Party {
    fn join(object: Object) -> Self {
        let mut party = Self { object, is_known: false };
        let place = {
            let _guard = party.locked();
            let holders = party.holders();
            holders.mine().inspect(|place| holders.set_number(*place, holders.number(*place) + 1))
        };
        party.is_known = place.is_some();
        party
    }

    fn wait(&self, deadline: Option<Instant>) -> Result<u32> {
        let guard = self.locked();
        if self.is_broken() {
            return Err(Error::Broken(self.attempt()));
        }
        let generation = self.word(GENERATION).load(Ordering::SeqCst);
        let index = self.word(ARRIVED).fetch_add(1, Ordering::Relaxed);
        if index + 1 >= self.word(ARE_PARTIES).load(Ordering::Relaxed) {
            self.next_generation(false);
            return Ok(index);
        }
        drop(guard);
        self.sleep(generation, deadline).map(|()| index)
    }

    fn sleep(&self, generation: u32, deadline: Option<Instant>) -> Result<()> {
        loop {
            let woken = futex_wait(self.word(GENERATION), generation, Some(nap(deadline)));
            let dead = if woken { Vec::new() } else { self.holders().dead() };
            let _guard = self.locked();
            if let Some(outcome) = self.outcome(generation) {
                return outcome;
            }
            if self.holders().bury(&dead) {
                self.break_up();
                return Err(Error::Broken(self.attempt()));
            }
            if is_over(deadline) {
                self.break_up();
                return Err(Error::TimedOut(self.attempt(), Duration::ZERO));
            }
        }
    }

    fn attempt(&self) -> Attempt {
        Attempt::new(Verb::Meet, attempt::Kind::Barrier, self.object.region().inode())
    }

    /// What became of a generation, if anything has.
    fn outcome(&self, generation: u32) -> Option<Result<()>> {
        let since = self.word(GENERATION).load(Ordering::SeqCst).wrapping_sub(generation);
        let history = self.history().load(Ordering::Relaxed);
        // Who did not run for 64 meetings cannot know any more.
        let was_reset = |since: u32| since > 64 || history >> (since - 1) & 1 == 1;
        match since {
            0 if self.is_broken() => Some(Err(Error::Broken(self.attempt()))),
            0 => None,
            since if was_reset(since) => Some(Err(Error::Broken(self.attempt()))),
            _ => Some(Ok(())),
        }
    }

    /// Ends a generation and wakes all who wait for that.
    fn next_generation(&self, is_reset: bool) {
        let history = self.history().load(Ordering::Relaxed);
        self.history().store(history << 1 | u64::from(is_reset), Ordering::Relaxed);
        self.word(ARRIVED).store(0, Ordering::Relaxed);
        self.word(GENERATION).fetch_add(1, Ordering::SeqCst);
        futex_wake(self.word(GENERATION), u32::MAX);
    }

    fn break_up(&self) {
        self.word(IS_BROKEN).store(1, Ordering::SeqCst);
        futex_wake(self.word(GENERATION), u32::MAX);
    }

    fn is_broken(&self) -> bool {
        self.word(IS_BROKEN).load(Ordering::SeqCst) != 0
    }

    /// Takes the lock that all changes are made under. Whoever died with it broke the barrier.
    fn locked(&self) -> MutexGuard<'_> {
        match self.object.lock(None) {
            Acquired::Locked(guard) => guard,
            Acquired::AfterDeath(guard) => {
                // The history may have moved without its generation, so it says no more that a meeting took place.
                self.history().store(u64::MAX, Ordering::Relaxed);
                self.break_up();
                guard
            }
            Acquired::TimedOut => unreachable!("a wait without a deadline timed out"),
        }
    }

    fn holders(&self) -> Holders<'_> {
        Holders::new(self.object.region(), HOLDERS)
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        self.object.region().atomic_u32(at)
    }

    /// For each generation before this one, the latest in the lowest bit, whether it ended with a reset.
    fn history(&self) -> &AtomicU64 {
        self.object.region().atomic_u64(HISTORY)
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        if self.is_known {
            let _guard = self.locked();
            let holders = self.holders();
            if let Some(place) = holders.mine() {
                holders.set_number(place, holders.number(place).saturating_sub(1));
            }
        }
    }
}

impl Handed for Barrier {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.object.fd()
    }

    fn attach(file: OwnedFd) -> Result<Self, crate::Error> {
        let object = Object::open(file, SHAPE.kind, Some(SHAPE.element))?;
        Ok(Self(Arc::new(Party::join(object))))
    }
}

by_descriptor!(Barrier);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp::memory::Unlocked;
    use crate::mp::testing::{given, partner};
    use crate::sys::testing::eventually;

    #[test]
    fn b32_a_barrier_lets_all_pass_together_again_and_again() {
        let barrier = Barrier::new(3).unwrap();
        let met = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 0..500 {
                        met.fetch_add(1, Ordering::SeqCst);
                        barrier.wait().unwrap();
                        assert!(met.load(Ordering::SeqCst) >= 3 * (round + 1));
                    }
                });
            }
        });
        assert_eq!((met.into_inner(), barrier.waiting(), barrier.parties()), (1500, 0, 3));
        assert!(Barrier::new(0).is_err());
    }

    #[test]
    fn b32_a_wait_that_times_out_breaks_the_barrier_until_it_is_reset() {
        let barrier = Barrier::new(2).unwrap();
        assert!(matches!(barrier.wait_timeout(Duration::from_millis(1)), Err(Error::TimedOut(..))));
        assert!(barrier.is_broken());
        assert!(matches!(barrier.wait(), Err(Error::Broken(_))));
        barrier.reset();
        assert!(!barrier.is_broken());
    }

    #[test]
    fn b32_those_who_wait_hear_of_an_abort_and_of_a_reset() {
        for end in [Barrier::abort, Barrier::reset] {
            let barrier = Barrier::new(2).unwrap();
            std::thread::scope(|scope| {
                let waits = scope.spawn(|| barrier.wait());
                eventually(|| barrier.waiting() == 1);
                end(&barrier);
                assert!(matches!(waits.join().unwrap(), Err(Error::Broken(_))));
            });
        }
    }

    #[test]
    fn b32_a_killed_party_breaks_the_barrier_for_those_who_wait() {
        let test = "mp::sync::barrier::tests::b32_a_killed_party_breaks_the_barrier_for_those_who_wait";
        if let Some(barrier) = given::<Barrier>(0) {
            given::<Unlocked<bool>>(1).unwrap().store(true);
            let _ = barrier.wait();
            loop {
                std::thread::park();
            }
        }
        for is_waiting in [false, true] {
            // The partner waits himself, for a third one, or is killed before we come.
            let barrier = Barrier::new(if is_waiting { 3 } else { 2 }).unwrap();
            let has = Unlocked::new(false).unwrap();
            let party = partner(test, &[barrier.fd(), has.fd()]);
            eventually(|| has.load() && (!is_waiting || barrier.waiting() == 1));
            std::thread::scope(|scope| {
                if !is_waiting {
                    let _ = barrier.wait();
                }
                let waits = scope.spawn(|| barrier.wait_timeout(Duration::from_secs(10)));
                eventually(|| barrier.waiting() == if is_waiting { 2 } else { 1 });
                party.kill();
                assert!(matches!(waits.join().unwrap(), Err(Error::Broken(_))));
            });
            barrier.reset();
            assert_eq!(barrier.0.holders().total(), 1, "the dead is still a party");
        }
    }

    #[test]
    fn b32_a_handle_that_is_dropped_is_no_party() {
        let barrier = Barrier::new(2).unwrap();
        let other = Barrier::attach(barrier.fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(barrier.0.holders().total(), 2);
        drop(other);
        assert_eq!(barrier.0.holders().total(), 1);
    }

    #[test]
    fn b32_parties_killed_anywhere_hang_nobody() {
        let test = "mp::sync::barrier::tests::b32_parties_killed_anywhere_hang_nobody";
        if let Some(barrier) = given::<Barrier>(0) {
            while barrier.wait().is_ok() {}
            loop {
                std::thread::park();
            }
        }
        for round in 0..20_u32 {
            let barrier = Barrier::new(2).unwrap();
            let party = partner(test, &[barrier.fd()]);
            for _ in 0..1 + round * 37 % 200 {
                barrier.wait().unwrap();
            }
            party.kill();
            // The last meeting may still have had its party.
            let ends = std::iter::repeat_with(|| barrier.wait_timeout(Duration::from_secs(10))).find(Result::is_err);
            assert!(matches!(ends, Some(Err(Error::Broken(_)))), "{ends:?}");
        }
    }
}
