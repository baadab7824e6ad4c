//! The bell of `mp::Queue`: nobody sleeps on while there is something for him, though no sleep has a time-out here.

/// A futex, in loom's terms.
mod sync {
    pub(super) use std::hint::spin_loop;
    use std::time::Instant;

    use loom::sync::atomic;
    pub(super) use loom::sync::atomic::{Ordering, fence};
    use loom::sync::{Condvar, Mutex};

    /// Every look more is a path more for the checker.
    pub(super) const LOOKS: u32 = 1;

    /// A word together with those who sleep on it.
    #[derive(Debug, Default)]
    pub(super) struct AtomicU32 {
        word: atomic::AtomicU32,
        sleepers: Mutex<()>,
        woken: Condvar,
    }

    impl AtomicU32 {
        pub(super) fn load(&self, order: Ordering) -> u32 {
            self.word.load(order)
        }

        pub(super) fn fetch_or(&self, bits: u32, order: Ordering) -> u32 {
            self.word.fetch_or(bits, order)
        }

        pub(super) fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
            self.word.fetch_add(value, order)
        }

        pub(super) fn try_update(
            &self,
            set: Ordering,
            fetch: Ordering,
            update: impl FnMut(u32) -> Option<u32>,
        ) -> Result<u32, u32> {
            self.word.fetch_update(set, fetch, update)
        }
    }

    /// As the kernel does it: the look at the word and the sleep are one step for those who wake.
    pub(super) fn futex_wait(word: &AtomicU32, expected: u32, _deadline: Option<Instant>) -> bool {
        let sleepers = word.sleepers.lock().unwrap();
        if word.word.load(Ordering::Relaxed) == expected {
            drop(word.woken.wait(sleepers).unwrap());
        }
        true
    }

    pub(super) fn futex_wake(word: &AtomicU32, number: u32) -> usize {
        let _sleepers = word.sleepers.lock().unwrap();
        match number {
            1 => word.woken.notify_one(),
            _ => word.woken.notify_all(),
        }
        0
    }

    pub(super) fn nap(deadline: Option<Instant>) -> Instant {
        deadline.unwrap_or_else(Instant::now)
    }
}

#[path = "../../src/mp/queue/bell.rs"]
mod bell;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::{OF_THREE, OF_TWO, check};
use bell::Bell;

/// The words of `src/mp/queue/ring.rs` that decide who sleeps, and its steps on them, without the items.
#[derive(Default)]
struct Queue {
    capacity: u64,
    put_lock: Mutex<()>,
    get_lock: Mutex<()>,
    tail: AtomicU64,
    head: AtomicU64,
    closed: AtomicU64,
    not_empty: sync::AtomicU32,
    not_full: sync::AtomicU32,
}

impl Queue {
    fn new(capacity: u64) -> Arc<Self> {
        Arc::new(Self { capacity, ..Self::default() })
    }

    fn len(&self) -> u64 {
        let head = self.head.load(Ordering::Acquire);
        self.tail.load(Ordering::Acquire).saturating_sub(head)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) != 0
    }

    fn try_put(&self) -> bool {
        let turn = self.put_lock.lock().unwrap();
        let tail = self.tail.load(Ordering::Relaxed);
        if tail - self.head.load(Ordering::Acquire) == self.capacity {
            return false;
        }
        self.tail.store(tail + 1, Ordering::Release);
        drop(turn);
        Bell::new(&self.not_empty).ring();
        true
    }

    fn put(&self) {
        let mut sleeper = Bell::new(&self.not_full).sleeper();
        while !self.try_put() {
            sleeper.wait(None, || self.len() < self.capacity);
        }
        sleeper.passes_on(|| self.len() < self.capacity);
    }

    /// True if there was an item, false if there will be none, None if there is none yet.
    fn try_get(&self) -> Option<bool> {
        let turn = self.get_lock.lock().unwrap();
        let head = self.head.load(Ordering::Relaxed);
        let is_closed = self.is_closed();
        if self.tail.load(Ordering::Acquire) == head {
            return is_closed.then_some(false);
        }
        self.head.store(head + 1, Ordering::Release);
        drop(turn);
        Bell::new(&self.not_full).ring();
        Some(true)
    }

    fn get(&self) -> bool {
        let mut sleeper = Bell::new(&self.not_empty).sleeper();
        let got = loop {
            match self.try_get() {
                Some(got) => break got,
                None => sleeper.wait(None, || self.len() > 0 || self.is_closed()),
            }
        };
        sleeper.passes_on(|| self.len() > 0);
        got
    }

    fn close(&self) {
        let turn = self.put_lock.lock().unwrap();
        self.closed.store(1, Ordering::Release);
        drop(turn);
        Bell::new(&self.not_empty).ring_all();
        Bell::new(&self.not_full).ring_all();
    }
}

#[test]
fn one_who_puts_and_one_who_gets_wake_each_other() {
    check(OF_TWO, || {
        let queue = Queue::new(1);
        let other = queue.clone();
        let gets = thread::spawn(move || (0..2).for_each(|_| assert!(other.get())));
        (0..2).for_each(|_| queue.put());
        gets.join().unwrap();
    });
}

#[test]
fn two_items_wake_two_who_get() {
    check(OF_THREE, || {
        let queue = Queue::new(2);
        let getters = [queue.clone(), queue.clone()].map(|queue| thread::spawn(move || assert!(queue.get())));
        (0..2).for_each(|_| queue.put());
        getters.into_iter().for_each(|getter| getter.join().unwrap());
    });
}

#[test]
fn two_free_places_wake_two_who_put() {
    check(OF_THREE, || {
        let queue = Queue::new(2);
        (0..2).for_each(|_| queue.put());
        let putters = [queue.clone(), queue.clone()].map(|queue| thread::spawn(move || queue.put()));
        (0..2).for_each(|_| assert!(queue.get()));
        putters.into_iter().for_each(|putter| putter.join().unwrap());
    });
}

#[test]
fn the_end_wakes_all_who_get() {
    check(OF_THREE, || {
        let queue = Queue::new(2);
        let getters = [queue.clone(), queue.clone()].map(|queue| thread::spawn(move || assert!(!queue.get())));
        queue.close();
        getters.into_iter().for_each(|getter| getter.join().unwrap());
    });
}
