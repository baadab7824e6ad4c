//! A flag that processes wait for.
//!
//! The flag and how often it was raised are one word, so there is no moment between the two to be killed in. Who is killed
//! after he raised the flag and before he woke the others delays them by 100 ms; a killed sleeper concerns nobody.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::mp::Result;
use crate::mp::handed::{Handed, by_descriptor};
use crate::sys::shared::futex::{futex_wait, futex_wake};
use crate::sys::shared::{Kind, Object, Shape, deadline_in, is_over, nap};

/// A flag that is raised and lowered by any process, and that any number of processes wait for.
///
/// A clone is another handle of the same flag. Whoever waits when it is raised is released, even if it is lowered again at
/// once. Raising a flag that nobody waits for costs a few nanoseconds.
///
/// ```
/// use std::time::Duration;
/// use ipcpipe::mp::Event;
///
/// let ready = Event::new()?;
/// assert!(!ready.wait_timeout(Duration::from_millis(1)));
/// ready.set();
/// ready.wait();
/// ready.clear();
/// assert!(!ready.is_set());
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Event(Arc<Object>);

const SHAPE: Shape = Shape { kind: *b"evnt", element: 8, count: 1 };

/// The lowest bit of the word is the flag; the others count how often it was raised.
const SET: u32 = 1;

impl Event {
    /// A new flag, lowered.
    ///
    /// # Errors
    /// [`Error::System`](crate::mp::Error::System): out of memory or of descriptors.
    pub fn new() -> Result<Self> {
        Ok(Self(Arc::new(Object::create(SHAPE, Kind::Plain)?)))
    }

    fn word(&self) -> &AtomicU32 {
        self.0.region().atomic_u32(Object::DATA)
    }

    /// How many sleep, or more: one that was killed is counted for good, which costs a system call now and then.
    fn sleepers(&self) -> &AtomicU32 {
        self.0.region().atomic_u32(Object::DATA + 4)
    }

    /// Raises the flag and releases all who wait for it. Never blocks.
    pub fn set(&self) {
        let raise = |word: u32| if word & SET == 0 { (word | SET).wrapping_add(2) } else { word };
        self.word().update(Ordering::SeqCst, Ordering::SeqCst, raise);
        // Also if it was raised before: by somebody who was killed before he woke anybody, perhaps.
        if self.sleepers().load(Ordering::SeqCst) != 0 {
            futex_wake(self.word(), u32::MAX);
        }
    }

    /// Lowers the flag. Never blocks.
    pub fn clear(&self) {
        self.word().fetch_and(!SET, Ordering::SeqCst);
    }

    /// True while the flag is raised.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.word().load(Ordering::SeqCst) & SET != 0
    }

    /// Blocks until the flag is raised; not at all if it is.
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Blocks until the flag is raised, for `time` at most. False when the time is over.
    #[must_use]
    pub fn wait_timeout(&self, time: Duration) -> bool {
        self.wait_until(deadline_in(time))
    }

    fn wait_until(&self, deadline: Option<Instant>) -> bool {
        let before = self.word().load(Ordering::SeqCst);
        if before & SET != 0 {
            return true;
        }
        self.sleepers().fetch_add(1, Ordering::SeqCst);
        let raised = loop {
            if self.word().load(Ordering::SeqCst) != before {
                break true;
            }
            if is_over(deadline) {
                break false;
            }
            futex_wait(self.word(), before, Some(nap(deadline)));
        };
        self.sleepers().fetch_sub(1, Ordering::SeqCst);
        raised
    }
}

impl Handed for Event {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    fn attach(file: OwnedFd) -> Result<Self, crate::Error> {
        Object::open(file, SHAPE.kind, Some(SHAPE.element)).map(|object| Self(Arc::new(object)))
    }
}

by_descriptor!(Event);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp::testing::{given, partner};
    use crate::sys::testing::eventually;

    #[test]
    fn b33_all_who_wait_are_released_even_if_the_flag_is_lowered_at_once() {
        let event = Event::new().unwrap();
        std::thread::scope(|scope| {
            let waiting = [(); 3].map(|()| scope.spawn(|| event.wait()));
            eventually(|| event.sleepers().load(Ordering::SeqCst) == 3);
            event.set();
            event.clear();
            waiting.into_iter().for_each(|it| it.join().unwrap());
        });
        assert!(!event.is_set());
        assert_eq!(event.sleepers().load(Ordering::SeqCst), 0);
    }

    #[test]
    fn b33_the_flag_of_one_process_releases_another_and_a_killed_waiter_hinders_nobody() {
        let test = "mp::sync::event::tests::\
                    b33_the_flag_of_one_process_releases_another_and_a_killed_waiter_hinders_nobody";
        if let Some(event) = given::<Event>(0) {
            return event.wait();
        }
        let event = Event::new().unwrap();
        let [killed, released] = [(); 2].map(|()| partner(test, &[event.fd()]));
        eventually(|| event.sleepers().load(Ordering::SeqCst) == 2);
        killed.kill();
        event.set();
        released.join();
        assert_eq!(event.sleepers().load(Ordering::SeqCst), 1, "the killed one is counted for good");
    }

    #[test]
    fn b33_a_wait_ends_in_time() {
        let event = Event::new().unwrap();
        assert!(!event.wait_timeout(Duration::ZERO));
        event.set();
        event.set();
        assert!(event.wait_timeout(Duration::ZERO));
        assert!(event.wait_timeout(Duration::MAX));
    }
}
