//! Every interleaving of the shared ring and its parking, and of the bell of queues, by loom's model checker.
//!
//! This crate compiles the very files that the program uses, with loom's atomics in place of std's. Bells
//! have no time-out here: a protocol that relied on one would deadlock, and loom would say so.

#[path = "loom/bell.rs"]
mod queue;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
}

#[allow(dead_code, reason = "the model uses a part of what the program uses")]
#[path = "../src/channel/shm/ring.rs"]
mod ring;

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use ring::{Bell, Consumer, Memory, Producer, Shared};

const CAPACITY: u64 = 2;

/// Loom's cells report a read or write that races with another: what the indices have to prevent.
struct Cells([UnsafeCell<u8>; CAPACITY as usize]);

impl Memory for Cells {
    fn write(&self, at: usize, bytes: &[u8]) {
        for (cell, byte) in self.0[at..].iter().zip(bytes) {
            // SAFETY: loom checks that nobody else touches the cell at the same time.
            cell.with_mut(|cell| unsafe { *cell = *byte });
        }
    }

    fn read(&self, at: usize, bytes: &mut [u8]) {
        for (cell, byte) in self.0[at..].iter().zip(bytes) {
            // SAFETY: as above.
            *byte = cell.with(|cell| unsafe { *cell });
        }
    }
}

/// A semaphore, in loom's terms.
#[derive(Default)]
struct Semaphore(Mutex<u32>, Condvar);

impl Bell for Semaphore {
    fn ring(&self) {
        *self.0.lock().unwrap() += 1;
        self.1.notify_one();
    }

    fn wait(&self) {
        let mut count = self.0.lock().unwrap();
        while *count == 0 {
            count = self.1.wait(count).unwrap();
        }
        *count -= 1;
    }
}

struct Ring {
    shared: Shared,
    cells: Cells,
    data: Semaphore,
    space: Semaphore,
}

impl Ring {
    fn new() -> Arc<Self> {
        let cells = Cells([UnsafeCell::new(0), UnsafeCell::new(0)]);
        Arc::new(Self { shared: Shared::default(), cells, data: Semaphore::default(), space: Semaphore::default() })
    }

    /// As the program's writer does it: copy, publish, wake; when full, wake and sleep.
    fn produce(&self, producer: &mut Producer, mut bytes: &[u8], backlog: u64) {
        loop {
            let count = producer.copy_in(&self.shared, &self.cells, bytes).unwrap();
            bytes = &bytes[count..];
            producer.publish(&self.shared);
            if bytes.is_empty() {
                return producer.wake(&self.shared, &self.data, backlog);
            }
            producer.wake(&self.shared, &self.data, 1);
            producer.park(&self.shared, &self.space);
        }
    }

    /// As the program's reader does it: copy and wake; when empty, sleep.
    fn consume(&self, consumer: &mut Consumer, total: usize) -> Vec<u8> {
        let mut got = Vec::new();
        let mut space = [0; CAPACITY as usize];
        while got.len() < total {
            let count = consumer.copy_out(&self.shared, &self.cells, &mut space).unwrap();
            got.extend_from_slice(&space[..count]);
            if count > 0 {
                consumer.wake(&self.shared, &self.space);
            } else {
                consumer.park(&self.shared, &self.data);
            }
        }
        got
    }
}

/// Tries every interleaving with at most so many preemptions.
fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// What finds all known bugs between two threads. Of three threads one preemption less does, and in a tenth of the time.
const OF_TWO: usize = 3;
const OF_THREE: usize = 2;

fn bytes_cross_in_order(writes: &'static [&'static [u8]], backlog: u64) {
    check(OF_TWO, move || {
        let ring = Ring::new();
        let other = ring.clone();
        let producer = thread::spawn(move || {
            let mut producer = Producer::join(&other.shared, CAPACITY).unwrap();
            for bytes in writes {
                other.produce(&mut producer, bytes, backlog);
            }
            // The flush that ends every burst.
            producer.wake(&other.shared, &other.data, 1);
        });
        let mut consumer = Consumer::join(&ring.shared, CAPACITY).unwrap();
        let expected = writes.concat();
        assert_eq!(ring.consume(&mut consumer, expected.len()), expected);
        producer.join().unwrap();
    });
}

#[test]
fn single_bytes_cross_in_order_and_nobody_sleeps_for_ever() {
    bytes_cross_in_order(&[&[1], &[2], &[3]], 1);
}

#[test]
fn writes_larger_than_the_ring_cross_in_order() {
    bytes_cross_in_order(&[&[1, 2, 3, 4]], 1);
}

#[test]
fn a_lazy_wake_up_is_made_good_by_the_flush() {
    bytes_cross_in_order(&[&[1], &[2]], CAPACITY);
}
