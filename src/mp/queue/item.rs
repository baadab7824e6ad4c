//! What a joinable queue gives: a value that somebody is working on.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::thread;

use super::ledger::Ledger;
use super::table::{Taken, Ticket};

/// An item of a [`JoinableQueue`](crate::mp::JoinableQueue), held by this process until it is worked off.
///
/// **Dropping it means that it is worked off**, except in a panic: then it goes back, and to another getter. One that is
/// forgotten ([`std::mem::forget`]) stays held until the process ends.
///
/// ```
/// use ipcpipe::mp::JoinableQueue;
///
/// let queue = JoinableQueue::new()?;
/// queue.put(&"text".to_owned())?;
/// let item = queue.get()?;
/// assert_eq!((item.len(), item.deliveries()), (4, 1));
/// item.done();
/// queue.join()?;
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
#[must_use = "an item that is dropped counts as worked off"]
pub struct QueueItem<T> {
    value: T,
    deliveries: u64,
    hold: Hold,
}

impl<T> QueueItem<T> {
    pub(super) fn new(value: T, deliveries: u64, hold: Hold) -> Self {
        Self { value, deliveries, hold }
    }

    /// It is worked off: the same as dropping it, in a word. Blocks only while somebody else puts or gets.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::new()?;
    /// queue.put(&1)?;
    /// queue.get()?.done();
    /// assert_eq!(queue.unfinished(), 0);
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    pub fn done(self) {
        drop(self);
    }

    /// The value, which counts as worked off from now on.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::new()?;
    /// queue.put(&"text".to_owned())?;
    /// let text: String = queue.get()?.into_inner();
    /// # assert_eq!(text, "text");
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    pub fn into_inner(self) -> T {
        drop(self.hold);
        self.value
    }

    /// How many times it was given to somebody, this time included: more than 1 if somebody died or panicked with it.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::new()?;
    /// queue.put(&1)?;
    /// assert_eq!(queue.get()?.deliveries(), 1);
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.deliveries
    }
}

impl<T> Deref for QueueItem<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for QueueItem<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("QueueItem");
        shown.field("value", &self.value).field("deliveries", &self.deliveries).finish_non_exhaustive()
    }
}

/// What settles the fate of an item when it is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    ledger: Arc<Ledger>,
    ticket: Ticket,
    /// The panic in which the item was got is not one of its working off.
    was_panicking: bool,
}

impl Hold {
    pub(super) fn new(ledger: &Arc<Ledger>, taken: &Taken) -> Self {
        Self { ledger: Arc::clone(ledger), ticket: taken.ticket, was_panicking: thread::panicking() }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if thread::panicking() && !self.was_panicking {
            self.ledger.give_back(self.ticket);
        } else {
            self.ledger.finish(self.ticket);
        }
    }
}
