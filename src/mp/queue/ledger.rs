//! A table of items under a lock, and the waits for it: what a [`JoinableQueue`](crate::mp::JoinableQueue) is in shared memory.
//!
//! Kill points. The lock is robust, and its next owner repairs the table before anybody sees it:
//! - A producer killed before his item is committed leaves nothing, one killed after that leaves the item.
//! - A consumer killed before he is recorded as its holder leaves the item queued. One killed after that is found dead by
//!   whoever waits (each of them looks every 100 ms) or finds nothing queued, and his items are queued again, before all others.
//! - One killed before his `done` is committed has not worked the item off, though he may have done the work: an item is
//!   delivered at least once, and says how many times.
//! - Whoever is killed before he rings leaves others asleep for 100 ms at most; see [`Bell`].

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::bell::Bell;
use super::table::{PLACE, PLACES, Table, Taken, Ticket};
use crate::mp::attempt::{self, Attempt, Verb};
use crate::mp::holder::Holder;
use crate::mp::{Error, Result};
use crate::sys::clock::now_ns;
use crate::sys::shared::{Acquired, Kind, MutexGuard, PATIENCE, Region, SharedMutex, Spill, is_over, nap};

const MAGIC: u64 = u64::from_ne_bytes(*b"ipcjoi01");

/// Where the words are. Those of the table are between the lock and the bells.
const CAPACITY: usize = 8;
const CLOSED: usize = 16;
const SOUGHT: usize = 24;
const LOCK: usize = 128;
const NOT_EMPTY: usize = 384;
const NOT_FULL: usize = 512;
const ALL_DONE: usize = 640;

/// Places for items that are held, so that a held one does not take the room of one that waits.
const FOR_HELD: usize = 256;

/// The items as this process sees them.
#[derive(Debug)]
pub(super) struct Ledger {
    region: Arc<Region>,
    lock: SharedMutex,
    spill: Spill,
    capacity: u64,
    places: usize,
}

impl Ledger {
    pub(super) fn create(capacity: usize) -> Result<Self> {
        let places = capacity.checked_add(FOR_HELD).filter(|_| capacity > 0);
        let size = places.and_then(|places| places.checked_mul(PLACE)?.checked_add(PLACES));
        let size = size.ok_or_else(|| Error::Refused(format!("a queue cannot hold {capacity} items")))?;
        let region = Arc::new(Region::create("joinable", size)?);
        let lock = SharedMutex::create(Arc::clone(&region), LOCK, Kind::Plain)?;
        let (spill, capacity) = (Spill::create("joinable.spill")?, capacity as u64);
        let made = Self { region, lock, spill, capacity, places: (size - PLACES) / PLACE };
        made.table().repair();
        made.region.atomic_u64(CAPACITY).store(capacity, Ordering::Relaxed);
        made.region.atomic_u64(0).store(MAGIC, Ordering::Release);
        Ok(made)
    }

    /// The ledger whose memory another process made.
    pub(super) fn open(memory: OwnedFd, spill: OwnedFd) -> Result<Self> {
        let region = Arc::new(Region::open_sealed(memory)?);
        let places = region.size().saturating_sub(PLACES) / PLACE;
        let is_ledger = places > FOR_HELD && region.atomic_u64(0).load(Ordering::Acquire) == MAGIC;
        let capacity = places.saturating_sub(FOR_HELD) as u64;
        if !is_ledger || region.atomic_u64(CAPACITY).load(Ordering::Relaxed) != capacity {
            return Err(Error::codec("the shared memory holds no joinable queue of this version of ipcpipe"));
        }
        let lock = SharedMutex::attach(Arc::clone(&region), LOCK);
        Ok(Self { region, lock, spill: Spill::open(spill), capacity, places })
    }

    /// The descriptors by which another process gets at it: the memory and the spill.
    pub(super) fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.region.fd(), self.spill.fd()]
    }

    fn table(&self) -> Table<'_> {
        Table { region: &self.region, spill: &self.spill, places: self.places }
    }

    fn bell(&self, at: usize) -> Bell<'_> {
        Bell::new(self.region.atomic_u32(at))
    }

    /// The table, for as long as the guard lives; None when the deadline has passed.
    fn turn(&self, deadline: Option<Instant>) -> Option<(Table<'_>, MutexGuard<'_>)> {
        match self.lock.lock(deadline) {
            Acquired::Locked(guard) => Some((self.table(), guard)),
            Acquired::AfterDeath(guard) => {
                self.table().repair();
                Some((self.table(), guard))
            }
            Acquired::TimedOut => None,
        }
    }

    /// The number by which errors and people know it.
    pub(super) fn inode(&self) -> u64 {
        self.region.inode()
    }

    /// What is tried with it, for an error.
    pub(super) fn attempt(&self, verb: Verb) -> Attempt {
        Attempt::new(verb, attempt::Kind::JoinableQueue, self.inode())
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
        self.table().queued() as usize
    }

    pub(super) fn unfinished(&self) -> usize {
        self.table().unfinished() as usize
    }

    fn has_room(&self) -> bool {
        self.table().queued() < self.capacity && !self.table().is_crowded()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.region.atomic_u64(CLOSED).load(Ordering::Acquire) != 0
    }

    /// After this no put succeeds any more.
    pub(super) fn close(&self) {
        let turn = self.turn(None);
        self.region.atomic_u64(CLOSED).store(1, Ordering::Release);
        drop(turn);
        self.bell(NOT_EMPTY).ring_all();
        self.bell(NOT_FULL).ring_all();
    }

    /// Appends an item. [`Error::Full`] when there is no room.
    pub(super) fn put_now(&self, bytes: &[u8]) -> Result<()> {
        self.try_put(bytes, Some(nap(None)))
    }

    /// The same, but waits for room: [`Error::Full`] when there is none at the deadline.
    pub(super) fn put(&self, bytes: &[u8], deadline: Option<Instant>) -> Result<()> {
        let mut sleeper = self.bell(NOT_FULL).sleeper();
        loop {
            match self.try_put(bytes, deadline) {
                Err(Error::Full(_)) if !is_over(deadline) => {}
                done => {
                    sleeper.passes_on(|| self.has_room());
                    return done;
                }
            }
            sleeper.wait(deadline, || self.has_room() || self.is_closed());
        }
    }

    fn try_put(&self, bytes: &[u8], deadline: Option<Instant>) -> Result<()> {
        let (table, guard) = self.turn(deadline).ok_or_else(|| self.full())?;
        if self.is_closed() {
            return Err(Error::Closed(self.attempt(Verb::Put)));
        }
        if !self.has_room() {
            return Err(self.full());
        }
        table.put(bytes)?;
        drop(guard);
        self.bell(NOT_EMPTY).ring();
        Ok(())
    }

    /// Takes the oldest item. [`Error::Empty`] when there is none, [`Error::Closed`] when none will come.
    pub(super) fn get_now(&self) -> Result<Taken> {
        self.try_get(Some(nap(None)))
    }

    /// The same, but waits for an item: [`Error::Empty`] when there is none at the deadline.
    pub(super) fn get(&self, deadline: Option<Instant>) -> Result<Taken> {
        let mut sleeper = self.bell(NOT_EMPTY).sleeper();
        loop {
            match self.try_get(deadline) {
                Err(Error::Empty(_)) if !is_over(deadline) => {}
                done => {
                    sleeper.passes_on(|| self.len() > 0);
                    return done;
                }
            }
            sleeper.wait(deadline, || self.len() > 0 || self.is_closed() && self.unfinished() == 0);
        }
    }

    fn try_get(&self, deadline: Option<Instant>) -> Result<Taken> {
        match self.take(deadline) {
            Err(Error::Empty(_)) if self.unfinished() > 0 && self.redeliver(deadline) => self.take(deadline),
            done => done,
        }
    }

    fn take(&self, deadline: Option<Instant>) -> Result<Taken> {
        let (table, guard) = self.turn(deadline).ok_or_else(|| self.empty())?;
        // Before the look, because nothing is put once it is closed.
        let is_closed = self.is_closed();
        match table.take(Holder::this())? {
            Some(taken) => {
                drop(guard);
                self.bell(NOT_FULL).ring();
                Ok(taken)
            }
            None if is_closed && self.is_the_end(table) => Err(Error::Closed(self.attempt(Verb::Get))),
            None => Err(self.empty()),
        }
    }

    /// True unless another process may die with an item and this one is free to take it then. It is not if it holds some
    /// itself: two such processes would wait for each other.
    fn is_the_end(&self, table: Table<'_>) -> bool {
        table.unfinished() == 0 || table.held().iter().any(|(_, holder)| *holder == Holder::this())
    }

    /// The item was worked off.
    pub(super) fn finish(&self, ticket: Ticket) {
        let Some((table, guard)) = self.turn(None) else { return };
        table.finish(ticket);
        let is_last = table.unfinished() == 0;
        drop(guard);
        self.bell(NOT_FULL).ring();
        if is_last {
            self.bell(ALL_DONE).ring_all();
            if self.is_closed() {
                self.bell(NOT_EMPTY).ring_all();
            }
        }
    }

    /// The item was not worked off and goes to somebody else.
    pub(super) fn give_back(&self, ticket: Ticket) {
        let Some((table, guard)) = self.turn(None) else { return };
        table.give_back(ticket);
        drop(guard);
        self.bell(NOT_EMPTY).ring();
    }

    /// Waits until every item is worked off. [`Error::TimedOut`] if they are not at the deadline.
    pub(super) fn join(&self, deadline: Option<Instant>) -> Result<()> {
        let mut sleeper = self.bell(ALL_DONE).sleeper();
        while self.unfinished() != 0 {
            if is_over(deadline) {
                return Err(Error::TimedOut(self.attempt(Verb::Join), Duration::ZERO));
            }
            self.redeliver(deadline);
            sleeper.wait(deadline, || self.unfinished() == 0);
        }
        Ok(())
    }

    /// Queues what the dead hold again; true if there was anything. Somebody looks every 100 ms at most.
    fn redeliver(&self, deadline: Option<Instant>) -> bool {
        let (sought, now) = (self.region.atomic_u64(SOUGHT), now_ns());
        let last = sought.load(Ordering::Relaxed);
        if now.saturating_sub(last) < PATIENCE.as_nanos() as u64
            || sought.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return false;
        }
        let Some((table, guard)) = self.turn(deadline) else { return false };
        let mut holders: Vec<Holder> = table.held().into_iter().map(|(_, holder)| holder).collect();
        // Not under the lock, because it takes a while.
        drop(guard);
        holders.sort_unstable_by_key(|holder| (holder.pid, holder.start_ticks));
        holders.dedup();
        holders.retain(|holder| *holder != Holder::this() && holder.is_dead());
        if holders.is_empty() {
            return false;
        }
        let Some((table, guard)) = self.turn(deadline) else { return false };
        let of_the_dead = table.held().into_iter().filter(|(_, holder)| holders.contains(holder));
        of_the_dead.for_each(|(ticket, _)| table.give_back(ticket));
        drop(guard);
        self.bell(NOT_EMPTY).ring();
        true
    }
}
