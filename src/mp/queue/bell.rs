//! How those who wait for something in shared memory sleep, and how those who bring it about wake them.
//!
//! One word: its lowest bit says that somebody may be asleep, and the rest counts the rings. Whoever rings takes the bit away
//! and wakes one; whoever wakes up puts the bit back, since others may sleep on, and wakes the next one when there is enough for
//! two ([`Sleeper::passes_on`]). So nobody asks the system for anything while nobody sleeps.
//!
//! Kill points: a sleeper that is killed leaves the bit at most, which costs the next ringer one call in vain and is gone with
//! it. One that is killed after he was woken and before he could pass it on, and a ringer that is killed between his deed and
//! the ring, leave others asleep; but nobody sleeps for longer than 100 ms without a look. Where nobody is killed, nobody needs
//! that look: `tests/loom.rs` compiles this very file, with sleeps that no time ends, and tries every interleaving.

use std::time::Instant;

use super::sync::{AtomicU32, LOOKS, Ordering, fence, futex_wait, futex_wake, nap, spin_loop};

/// The word, somewhere in a region.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bell<'a>(&'a AtomicU32);

/// Somebody may be asleep.
const ASLEEP: u32 = 1;

/// Pauses between two of the looks before a sleep.
const PAUSES: u32 = 8;

impl<'a> Bell<'a> {
    pub(super) fn new(word: &'a AtomicU32) -> Self {
        Self(word)
    }

    /// Wakes one sleeper, if there is any. To be called after the deed that it waits for.
    #[inline]
    pub(super) fn ring(self) {
        // The deed comes before the look at the word, as the sleeper's bit comes before his look for the deed.
        fence(Ordering::SeqCst);
        if self.0.load(Ordering::Relaxed) & ASLEEP != 0 {
            self.wake_one();
        }
    }

    #[cold]
    fn wake_one(self) {
        let ringing = |word: u32| (word & ASLEEP != 0).then(|| word.wrapping_add(1));
        if self.0.try_update(Ordering::SeqCst, Ordering::SeqCst, ringing).is_ok() {
            futex_wake(self.0, 1);
        }
    }

    /// Wakes all sleepers.
    pub(super) fn ring_all(self) {
        // It looks at nothing that decides whether to wake, so no fence is needed here.
        self.0.fetch_add(2, Ordering::SeqCst);
        futex_wake(self.0, u32::MAX);
    }

    /// Somebody who is going to look for what the bell tells of.
    pub(super) fn sleeper(self) -> Sleeper<'a> {
        Sleeper { bell: self, has_slept: false }
    }
}

/// Somebody who waits for the bell.
#[derive(Debug)]
pub(super) struct Sleeper<'a> {
    bell: Bell<'a>,
    has_slept: bool,
}

impl Sleeper<'_> {
    /// Waits until `is_there`, or for a while: some microseconds awake, then until the bell rings, but for 100 ms at most and
    /// not beyond the deadline. What it waited for may be gone again, so try, and wait again.
    pub(super) fn wait(&mut self, deadline: Option<Instant>, is_there: impl Fn() -> bool) {
        for _ in 0..LOOKS {
            if is_there() {
                return;
            }
            (0..PAUSES).for_each(|_| spin_loop());
        }
        let word = self.announce();
        if !is_there() {
            self.has_slept = true;
            futex_wait(self.bell.0, word, Some(nap(deadline)));
            self.announce();
        }
    }

    /// Sets the bit, and answers the word with it.
    fn announce(&self) -> u32 {
        let word = self.bell.0.fetch_or(ASLEEP, Ordering::SeqCst) | ASLEEP;
        fence(Ordering::SeqCst);
        word
    }

    /// To be called with success, and whether there is more for others: then the next sleeper is woken.
    #[inline]
    pub(super) fn passes_on(&self, is_more: impl FnOnce() -> bool) {
        if self.has_slept && is_more() {
            self.bell.ring();
        }
    }
}
