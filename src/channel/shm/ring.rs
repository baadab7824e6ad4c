//! A ring of bytes for one producer and one consumer, and how either sleeps.
//!
//! The indices count bytes and never wrap; their difference is what the ring holds. Each has one writer
//! and a cache line of its own, and each side keeps a private copy of the other's, so that a transfer
//! touches the other side's line only when the copy is used up (the technique of Erik Rigtorp's and
//! Matthias Geier's SPSC queues). Neither side trusts the other: an index that claims more than the
//! capacity is an error, not an access outside the ring.
//!
//! Sleeping follows Dekker: a side that wants to sleep raises its flag and then looks at the ring once more;
//! the other moves its index and then looks at the flag. The fences between the two steps make it impossible
//! that both miss each other. `tests/loom.rs` compiles this very file and tries every interleaving.

use super::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// A cache line and its neighbour, which processors fetch together.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(super) struct Line<T>(pub(super) T);

/// The words that both sides share.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Shared {
    /// Bytes ever produced; written by the producer.
    tail: Line<AtomicU64>,
    /// Bytes ever consumed; written by the consumer.
    head: Line<AtomicU64>,
    /// 1 while the consumer sleeps or is about to.
    consumer_parked: Line<AtomicU32>,
    /// 1 while the producer sleeps or is about to.
    producer_parked: Line<AtomicU32>,
}

/// The bytes of the ring.
pub(super) trait Memory {
    /// Copies `bytes` to `at`; the ring asks for places inside its capacity only, and never for one that
    /// the other side uses at the same time.
    fn write(&self, at: usize, bytes: &[u8]);
    /// Copies what lies at `at` into `bytes`, under the same promise.
    fn read(&self, at: usize, bytes: &mut [u8]);
}

/// What a sleeping side waits for.
pub(super) trait Bell {
    /// Wakes the sleeper, now or as soon as it goes to sleep.
    fn ring(&self);
    /// Sleeps until the bell is rung, or for a while.
    fn wait(&self);
}

/// The other side's index is one that no correct peer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadIndex {
    pub(super) held: u64,
    pub(super) capacity: u64,
}

/// How much the ring holds when the consumer has consumed `head` of `tail` bytes.
fn held(head: u64, tail: u64, capacity: u64) -> Result<usize, BadIndex> {
    let held = tail.wrapping_sub(head);
    if held <= capacity { Ok(held as usize) } else { Err(BadIndex { held, capacity }) }
}

/// A run of `length` bytes from `position` on, as (place, length until the ring's end) and the rest, which
/// starts again at place 0.
fn place(position: u64, length: usize, capacity: u64) -> (usize, usize) {
    let at = (position & (capacity - 1)) as usize;
    (at, length.min(capacity as usize - at))
}

/// The producer's private state. The capacity is its own copy, a power of two.
#[derive(Debug)]
pub(super) struct Producer {
    tail: u64,
    head_seen: u64,
    capacity: u64,
}

impl Producer {
    /// The state of a producer that joins at the present indices.
    pub(super) fn join(shared: &Shared, capacity: u64) -> Result<Self, BadIndex> {
        let tail = shared.tail.0.load(Ordering::Acquire);
        let head_seen = shared.head.0.load(Ordering::Acquire);
        held(head_seen, tail, capacity).map(|_| Self { tail, head_seen, capacity })
    }

    /// Copies as much of `bytes` as there is room for and says how much; the consumer sees it once it is
    /// [published](Self::publish).
    pub(super) fn copy_in(&mut self, shared: &Shared, memory: &impl Memory, bytes: &[u8]) -> Result<usize, BadIndex> {
        if self.room()? < bytes.len() {
            self.head_seen = shared.head.0.load(Ordering::Acquire);
        }
        let length = bytes.len().min(self.room()?);
        let (at, first) = place(self.tail, length, self.capacity);
        memory.write(at, &bytes[..first]);
        memory.write(0, &bytes[first..length]);
        self.tail = self.tail.wrapping_add(length as u64);
        Ok(length)
    }

    fn room(&self) -> Result<usize, BadIndex> {
        held(self.head_seen, self.tail, self.capacity).map(|held| self.capacity as usize - held)
    }

    /// Lets the consumer see what was copied in.
    pub(super) fn publish(&self, shared: &Shared) {
        shared.tail.0.store(self.tail, Ordering::Release);
    }

    /// Wakes a sleeping consumer if the ring holds at least `backlog` bytes: one that is woken for every
    /// record spends its time on being woken.
    pub(super) fn wake(&self, shared: &Shared, data: &impl Bell, backlog: u64) {
        let enough = || self.tail.wrapping_sub(shared.head.0.load(Ordering::Relaxed)) >= backlog;
        wake(&shared.consumer_parked.0, data, enough);
    }

    /// Sleeps until half of the ring is free, the bell rings or a while is over.
    pub(super) fn park(&self, shared: &Shared, space: &impl Bell) {
        let free = || self.tail.wrapping_sub(shared.head.0.load(Ordering::Relaxed)) <= self.capacity / 2;
        park(&shared.producer_parked.0, space, free);
    }
}

/// The consumer's private state.
#[derive(Debug)]
pub(super) struct Consumer {
    head: u64,
    capacity: u64,
}

impl Consumer {
    /// The state of a consumer that joins at the present indices.
    pub(super) fn join(shared: &Shared, capacity: u64) -> Result<Self, BadIndex> {
        let head = shared.head.0.load(Ordering::Acquire);
        let tail = shared.tail.0.load(Ordering::Acquire);
        held(head, tail, capacity).map(|_| Self { head, capacity })
    }

    /// Copies what there is, as much as fits, gives its room back, and says how much it was.
    pub(super) fn copy_out(
        &mut self,
        shared: &Shared,
        memory: &impl Memory,
        bytes: &mut [u8],
    ) -> Result<usize, BadIndex> {
        let tail = shared.tail.0.load(Ordering::Acquire);
        let length = bytes.len().min(held(self.head, tail, self.capacity)?);
        let (at, first) = place(self.head, length, self.capacity);
        memory.read(at, &mut bytes[..first]);
        memory.read(0, &mut bytes[first..length]);
        self.head = self.head.wrapping_add(length as u64);
        shared.head.0.store(self.head, Ordering::Release);
        Ok(length)
    }

    /// True if there is nothing to copy.
    pub(super) fn is_empty(&self, shared: &Shared) -> bool {
        shared.tail.0.load(Ordering::Relaxed) == self.head
    }

    /// Wakes a sleeping producer once half of the ring is free.
    pub(super) fn wake(&self, shared: &Shared, space: &impl Bell) {
        let enough = || shared.tail.0.load(Ordering::Relaxed).wrapping_sub(self.head) <= self.capacity / 2;
        wake(&shared.producer_parked.0, space, enough);
    }

    /// Sleeps until there is something, the bell rings or a while is over.
    pub(super) fn park(&self, shared: &Shared, data: &impl Bell) {
        park(&shared.consumer_parked.0, data, || !self.is_empty(shared));
    }
}

/// The exchange makes sure that one sleep is answered by one ring of the bell at most.
fn wake(parked: &AtomicU32, bell: &impl Bell, enough: impl Fn() -> bool) {
    fence(Ordering::SeqCst);
    if parked.load(Ordering::Relaxed) == 1 && enough() && parked.swap(0, Ordering::AcqRel) == 1 {
        bell.ring();
    }
}

fn park(parked: &AtomicU32, bell: &impl Bell, ready: impl Fn() -> bool) {
    parked.store(1, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    if !ready() {
        bell.wait();
    }
    parked.store(0, Ordering::Relaxed);
}
