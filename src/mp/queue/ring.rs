//! A bounded queue of byte strings in shared memory, for many producers and many consumers.
//!
//! Producers take turns at one lock and consumers at another, so that one producer and one consumer never meet. `tail` counts
//! what was put and `head` what was taken; item `n` is in place `n % capacity`. A place holds some 250 bytes; a longer item is
//! in the spill, a second file in memory, at an offset that only ever grows.
//!
//! Kill points. Both locks are robust: whoever is killed while he holds one frees it, and there is nothing to repair, because
//! each change takes effect with one store, the last of its steps:
//! - A producer killed before he stores `tail` leaves nothing: the next one writes over the place. What he had written to the
//!   spill lies below an offset that nobody will use again, and is freed when the next long item has been taken, or with the
//!   queue.
//! - A producer killed after that leaves the item, and maybe a consumer asleep, who looks again within 100 ms.
//! - A consumer killed before he stores `head` leaves the item for the next one: he has only read.
//! - One killed after that takes it with him (a [`JoinableQueue`](crate::mp::JoinableQueue) gives it to another); what he had
//!   not freed of the spill is freed with the next long item, or with the queue.
//! - `seen_head` and `seen_tail` are what their side saw last of the other one: never more than the truth, whoever is killed.
//! - Waiters: see [`Bell`].

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::bell::Bell;
use crate::mp::attempt::{self, Attempt, Verb};
use crate::mp::{Error, Result};
use crate::sys::shared::{Acquired, Kind, MutexGuard, Region, SharedMutex, Spill, is_over, nap};

const MAGIC: u64 = u64::from_ne_bytes(*b"ipcque01");

/// Where the words are: what one side writes is never on the cache lines (nor on their neighbours) of the other.
const CAPACITY: usize = 8;
const CLOSED: usize = 16;
const PUT_LOCK: usize = 128;
const SEEN_HEAD: usize = 192;
const SPILLED: usize = 200;
const TAIL: usize = 256;
const NOT_EMPTY: usize = 384;
const GET_LOCK: usize = 512;
const SEEN_TAIL: usize = 576;
const FREED: usize = 584;
const HEAD: usize = 640;
const NOT_FULL: usize = 768;
const PLACES: usize = 1024;

/// Bytes of a place: a word with the length and whether the item is in the spill, and the item or its offset there.
const PLACE: usize = 256;
const INLINE: usize = PLACE - 8;
const IS_SPILLED: u64 = 1;

/// The spill is given back to the system in pieces of at least so many bytes, because each piece is a call.
const FREE_AT_ONCE: u64 = 64 << 10;

/// The queue as this process sees it.
#[derive(Debug)]
pub(super) struct Ring {
    region: Arc<Region>,
    put_lock: SharedMutex,
    get_lock: SharedMutex,
    spill: Spill,
    capacity: u64,
}

impl Ring {
    pub(super) fn create(capacity: usize) -> Result<Self> {
        let size = capacity.checked_mul(PLACE).and_then(|size| size.checked_add(PLACES));
        let size = size.filter(|_| capacity > 0);
        let size = size.ok_or_else(|| Error::Refused(format!("a queue cannot hold {capacity} items")))?;
        let region = Arc::new(Region::create("queue", size)?);
        let put_lock = SharedMutex::create(Arc::clone(&region), PUT_LOCK, Kind::Plain)?;
        let get_lock = SharedMutex::create(Arc::clone(&region), GET_LOCK, Kind::Plain)?;
        region.atomic_u64(CAPACITY).store(capacity as u64, Ordering::Relaxed);
        region.atomic_u64(0).store(MAGIC, Ordering::Release);
        Ok(Self { region, put_lock, get_lock, spill: Spill::create("queue.spill")?, capacity: capacity as u64 })
    }

    /// The ring whose memory another process made.
    pub(super) fn open(memory: OwnedFd, spill: OwnedFd) -> Result<Self> {
        let region = Arc::new(Region::open_sealed(memory)?);
        let capacity = (region.size().saturating_sub(PLACES) / PLACE) as u64;
        let is_ring = region.size() > PLACES && region.atomic_u64(0).load(Ordering::Acquire) == MAGIC;
        if !is_ring || region.atomic_u64(CAPACITY).load(Ordering::Relaxed) != capacity {
            return Err(Error::codec("the shared memory holds no queue of this version of ipcpipe"));
        }
        let put_lock = SharedMutex::attach(Arc::clone(&region), PUT_LOCK);
        let get_lock = SharedMutex::attach(Arc::clone(&region), GET_LOCK);
        Ok(Self { region, put_lock, get_lock, spill: Spill::open(spill), capacity })
    }

    /// The descriptors by which another process gets at it: the memory and the spill.
    pub(super) fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.region.fd(), self.spill.fd()]
    }

    #[inline]
    fn word(&self, at: usize) -> &AtomicU64 {
        self.region.atomic_u64(at)
    }

    fn not_empty(&self) -> Bell<'_> {
        Bell::new(self.region.atomic_u32(NOT_EMPTY))
    }

    fn not_full(&self) -> Bell<'_> {
        Bell::new(self.region.atomic_u32(NOT_FULL))
    }

    #[inline]
    fn place(&self, number: u64) -> usize {
        PLACES + (number % self.capacity) as usize * PLACE
    }

    /// The number by which errors and people know it.
    pub(super) fn inode(&self) -> u64 {
        self.region.inode()
    }

    /// What is tried with it, for an error.
    pub(super) fn attempt(&self, verb: Verb) -> Attempt {
        Attempt::new(verb, attempt::Kind::Queue, self.inode())
    }

    fn full(&self) -> Error {
        Error::Full(self.attempt(Verb::Put))
    }

    fn empty(&self) -> Error {
        Error::Empty(self.attempt(Verb::Get))
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    pub(super) fn len(&self) -> usize {
        // In this order the difference is never negative; it may count items that are taken meanwhile.
        let head = self.word(HEAD).load(Ordering::Acquire);
        let tail = self.word(TAIL).load(Ordering::Acquire);
        (tail - head).min(self.capacity) as usize
    }

    pub(super) fn is_closed(&self) -> bool {
        self.word(CLOSED).load(Ordering::Acquire) != 0
    }

    /// After this no put succeeds any more: it waits for those that are on their way.
    pub(super) fn close(&self) {
        let guard = self.put_lock.lock(None);
        self.word(CLOSED).store(1, Ordering::Release);
        drop(guard);
        self.not_empty().ring_all();
        self.not_full().ring_all();
    }

    /// Appends an item. [`Error::Full`] when there is no room.
    pub(super) fn put_now(&self, bytes: &[u8]) -> Result<()> {
        self.try_put(bytes, Some(nap(None)))
    }

    /// The same, but waits for room: [`Error::Full`] when there is none at the deadline.
    pub(super) fn put(&self, bytes: &[u8], deadline: Option<Instant>) -> Result<()> {
        match self.try_put(bytes, deadline) {
            Err(Error::Full(_)) if !is_over(deadline) => {}
            done => return done,
        }
        let mut sleeper = self.not_full().sleeper();
        loop {
            sleeper.wait(deadline, || self.len() < self.capacity() || self.is_closed());
            match self.try_put(bytes, deadline) {
                Err(Error::Full(_)) if !is_over(deadline) => {}
                done => {
                    sleeper.passes_on(|| self.len() < self.capacity());
                    return done;
                }
            }
        }
    }

    /// The same without waiting for room, but for a turn, until the deadline.
    #[inline]
    fn try_put(&self, bytes: &[u8], deadline: Option<Instant>) -> Result<()> {
        let guard = turn(self.put_lock.lock(deadline)).ok_or_else(|| self.full())?;
        if self.is_closed() {
            return Err(Error::Closed(self.attempt(Verb::Put)));
        }
        let tail = self.word(TAIL).load(Ordering::Relaxed);
        if !self.has_room(tail) {
            return Err(self.full());
        }
        let place = self.place(tail);
        if bytes.len() <= INLINE {
            self.word(place).store((bytes.len() as u64) << 1, Ordering::Relaxed);
            self.region.copy_in(place + 8, bytes);
        } else {
            self.put_long(place, bytes)?;
        }
        self.word(TAIL).store(tail + 1, Ordering::Release);
        drop(guard);
        self.not_empty().ring();
        Ok(())
    }

    #[inline]
    fn has_room(&self, tail: u64) -> bool {
        if tail - self.word(SEEN_HEAD).load(Ordering::Relaxed) < self.capacity {
            return true;
        }
        let head = self.word(HEAD).load(Ordering::Acquire);
        self.word(SEEN_HEAD).store(head, Ordering::Relaxed);
        tail - head < self.capacity
    }

    #[cold]
    fn put_long(&self, place: usize, bytes: &[u8]) -> Result<()> {
        let offset = self.word(SPILLED).load(Ordering::Relaxed);
        // First, so that nobody writes there again, whatever happens from here on.
        self.word(SPILLED).store(offset + bytes.len() as u64, Ordering::Relaxed);
        self.spill.write(offset, bytes)?;
        self.word(place).store((bytes.len() as u64) << 1 | IS_SPILLED, Ordering::Relaxed);
        self.word(place + 8).store(offset, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the oldest item into an empty buffer. [`Error::Empty`] when there is none, [`Error::Closed`] when none will come.
    pub(super) fn get_now(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.try_get(bytes, Some(nap(None)))
    }

    /// The same, but waits for an item: [`Error::Empty`] when there is none at the deadline.
    pub(super) fn get(&self, bytes: &mut Vec<u8>, deadline: Option<Instant>) -> Result<()> {
        match self.try_get(bytes, deadline) {
            Err(Error::Empty(_)) if !is_over(deadline) => {}
            done => return done,
        }
        let mut sleeper = self.not_empty().sleeper();
        loop {
            sleeper.wait(deadline, || self.len() > 0 || self.is_closed());
            match self.try_get(bytes, deadline) {
                Err(Error::Empty(_)) if !is_over(deadline) => {}
                done => {
                    sleeper.passes_on(|| self.len() > 0);
                    return done;
                }
            }
        }
    }

    /// The same without waiting for an item, but for a turn, until the deadline.
    #[inline]
    fn try_get(&self, bytes: &mut Vec<u8>, deadline: Option<Instant>) -> Result<()> {
        let guard = turn(self.get_lock.lock(deadline)).ok_or_else(|| self.empty())?;
        let head = self.word(HEAD).load(Ordering::Relaxed);
        self.has_item(head)?;
        let place = self.place(head);
        let word = self.word(place).load(Ordering::Relaxed);
        let length = word >> 1;
        if word & IS_SPILLED != 0 {
            *bytes = self.get_long(head, place, length)?;
            return Ok(());
        }
        if length > INLINE as u64 {
            return Err(Error::codec("the memory of the queue is damaged"));
        }
        bytes.resize(length as usize, 0);
        self.region.copy_out(place + 8, bytes);
        self.word(HEAD).store(head + 1, Ordering::Release);
        drop(guard);
        self.not_full().ring();
        Ok(())
    }

    #[inline]
    fn has_item(&self, head: u64) -> Result<()> {
        if self.word(SEEN_TAIL).load(Ordering::Relaxed) > head {
            return Ok(());
        }
        // In this order, because nothing is put once it is closed.
        let is_closed = self.is_closed();
        let tail = self.word(TAIL).load(Ordering::Acquire);
        self.word(SEEN_TAIL).store(tail, Ordering::Relaxed);
        match tail > head {
            true => Ok(()),
            false => Err(if is_closed { Error::Closed(self.attempt(Verb::Get)) } else { self.empty() }),
        }
    }

    /// The consumers' lock is held until the memory is free.
    #[cold]
    fn get_long(&self, head: u64, place: usize, length: u64) -> Result<Vec<u8>> {
        let offset = self.word(place + 8).load(Ordering::Relaxed);
        let bytes = self.spill.read(offset, length)?;
        self.word(HEAD).store(head + 1, Ordering::Release);
        self.not_full().ring();
        let (freed, end) = (self.word(FREED).load(Ordering::Relaxed), offset + length);
        // Long items are taken in the order of their offsets, so everything below this one is of no use any more.
        if end - freed >= FREE_AT_ONCE {
            self.spill.free(freed, end);
            self.word(FREED).store(end / Spill::PAGE * Spill::PAGE, Ordering::Relaxed);
        }
        Ok(bytes)
    }
}

/// The lock, whoever held it before: no death leaves anything to repair.
fn turn(acquired: Acquired<MutexGuard<'_>>) -> Option<MutexGuard<'_>> {
    match acquired {
        Acquired::Locked(guard) | Acquired::AfterDeath(guard) => Some(guard),
        Acquired::TimedOut => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(ring: &Ring) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        ring.get_now(&mut bytes).map(|()| bytes)
    }

    #[test]
    fn what_was_taken_of_the_spill_takes_no_memory() {
        let ring = Ring::create(3).unwrap();
        let long = |n: usize| vec![n as u8; 9000 + n];
        ring.put_now(&long(0)).unwrap();
        for n in 1..1000 {
            ring.put_now(&long(n)).unwrap();
            assert_eq!(taken(&ring).unwrap(), long(n - 1));
            assert!(ring.spill.taken() < 2 * FREE_AT_ONCE, "{} bytes are kept", ring.spill.taken());
        }
    }

    #[test]
    fn a_producer_killed_before_the_end_of_a_put_leaves_nothing() {
        let ring = Ring::create(2).unwrap();
        ring.put_now(b"a").unwrap();
        // All that it does before the tail moves.
        let _ = ring.put_long(ring.place(1), &vec![1; 200_000]);
        std::thread::scope(|scope| {
            scope.spawn(|| std::mem::forget(ring.put_lock.lock(None))).join().unwrap();
        });
        assert_eq!(ring.len(), 1);
        ring.put_now(&[2; 300]).unwrap();
        assert_eq!((taken(&ring).unwrap(), taken(&ring).unwrap()), (b"a".to_vec(), vec![2; 300]));
        assert!(ring.spill.taken() <= Spill::PAGE);
        assert!(matches!(taken(&ring), Err(Error::Empty(..))));
    }

    #[test]
    fn a_consumer_killed_before_the_end_of_a_get_leaves_the_item() {
        let ring = Ring::create(2).unwrap();
        ring.put_now(&[3; 500]).unwrap();
        std::thread::scope(|scope| {
            let reads = || {
                std::mem::forget(ring.get_lock.lock(None));
                ring.spill.read(0, 500).unwrap();
            };
            scope.spawn(reads).join().unwrap();
        });
        assert_eq!(taken(&ring).unwrap(), [3; 500]);
    }

    #[test]
    fn memory_that_holds_something_else_is_refused() {
        let copies = |ring: &Ring| ring.fds().map(|fd| fd.try_clone_to_owned().unwrap());
        let ring = Ring::create(2).unwrap();
        let [memory, spill] = copies(&ring);
        assert_eq!(Ring::open(memory, spill).unwrap().capacity(), 2);
        let [memory, spill] = copies(&ring);
        assert!(Ring::open(spill, memory).is_err());
        for (at, value) in [(CAPACITY, 3), (CAPACITY, 0), (0, 1)] {
            let ring = Ring::create(2).unwrap();
            ring.word(at).store(value, Ordering::Relaxed);
            let [memory, spill] = copies(&ring);
            assert!(Ring::open(memory, spill).is_err(), "{value} at {at} was accepted");
        }
    }

    #[test]
    fn nothing_is_put_after_the_end_and_what_was_put_before_is_there() {
        let ring = Ring::create(2).unwrap();
        ring.put_now(b"").unwrap();
        ring.close();
        assert!(matches!(ring.put(b"x", None), Err(Error::Closed(..))));
        assert_eq!(taken(&ring).unwrap(), b"");
        assert!(matches!(ring.get(&mut Vec::new(), None), Err(Error::Closed(..))));
    }
}
