//! Queues between processes: many producers, many consumers, no thread behind them.
//!
//! An item is in shared memory when `put` returns, so a process may end as soon as it has put its last one, and nobody has to
//! get anything before a process can be joined.

mod bell;
mod codec;
mod item;
mod joinable;
mod ledger;
mod ring;
mod table;

/// What the bell takes from the system; its model test takes the same from loom.
mod sync {
    pub(super) use std::hint::spin_loop;
    pub(super) use std::sync::atomic::{AtomicU32, Ordering, fence};

    pub(super) use crate::sys::shared::futex::{futex_wait, futex_wake};
    pub(super) use crate::sys::shared::nap;

    /// Looks before a sleep: what comes within a few microseconds is cheaper to await than to sleep for.
    pub(super) const LOOKS: u32 = 60;
}

use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::mp::attempt::Verb;
use crate::mp::{Error, Result};
use crate::sys::shared::deadline_in;

pub use item::QueueItem;
pub use joinable::{JoinableIter, JoinableQueue};

use codec::{decoded, encoded};
use ring::Ring;

/// A bounded queue that processes share: any number of producers and consumers, in any processes and threads.
///
/// A clone is another handle of the same queue, and so is what another process gets that is given one. Items come out in the
/// order in which they were put. Dropping a handle closes nothing; [`close`](Self::close) does.
///
/// An item is whatever serde can turn into bytes and back without names (as in postcard): what `deserialize_any` needs,
/// a `serde_json::Value` or an untagged enum, cannot go; [`Any`](crate::mp::Any) can, and is made of a `Value` and
/// turned into one. Items of up to 248 bytes lie in the memory that the queue takes from the beginning, 256 bytes for
/// each of its places; longer ones, of any length, take theirs while they wait. An item cannot hold a queue, or
/// anything else with a descriptor.
///
/// A process that is killed in the middle of a put or a get leaves the queue as it was, or has put or got the item. What it
/// got and had not worked off is lost with it: see [`JoinableQueue`].
///
/// ```standalone_crate
/// use ipcpipe::mp::{Process, Queue};
/// use ipcpipe::task;
///
/// fn squares(numbers: Queue<u64>, results: Queue<(u64, u64)>) {
///     for n in &numbers {
///         results.put(&(n, n * n)).expect("nobody closes the results");
///     }
/// }
///
/// fn main() -> ipcpipe::mp::Result<()> {
///     ipcpipe::init();
///     let (numbers, results) = (Queue::new()?, Queue::bounded(10)?);
///     let worker = Process::spawn(task!(squares), (numbers.clone(), results.clone()))?;
///     for n in 1..=3 {
///         numbers.put(&n)?;
///     }
///     numbers.close();
///     worker.join()?;
///     assert_eq!(results.get()?, (1, 1));
///     assert_eq!(results.len(), 2);
///     Ok(())
/// }
/// ```
pub struct Queue<T> {
    ring: Arc<Ring>,
    items: PhantomData<fn(T) -> T>,
}

/// How many items a queue holds for which nobody said.
const DEFAULT: usize = 1024;

impl<T> Queue<T> {
    /// An empty queue that holds up to 1024 items.
    ///
    /// ```
    /// let queue = ipcpipe::mp::Queue::<String>::new()?;
    /// assert_eq!(queue.capacity(), 1024);
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::System`]: out of memory or of descriptors (it takes two).
    pub fn new() -> Result<Self> {
        Self::bounded(DEFAULT)
    }

    /// An empty queue that holds up to `capacity` items, for each of which it takes 256 bytes at once.
    ///
    /// ```
    /// let queue = ipcpipe::mp::Queue::<u8>::bounded(3)?;
    /// assert_eq!(queue.capacity(), 3);
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] for a capacity of 0; [`Error::System`]: out of memory or of descriptors.
    pub fn bounded(capacity: usize) -> Result<Self> {
        Ok(Self::of(Ring::create(capacity)?))
    }

    fn of(ring: Ring) -> Self {
        Self { ring: Arc::new(ring), items: PhantomData }
    }

    /// How many items it holds at most.
    ///
    /// ```
    /// assert_eq!(ipcpipe::mp::Queue::<u8>::bounded(7)?.capacity(), 7);
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    /// How many items are in it: a hint, because others put and get meanwhile. Never blocks.
    ///
    /// ```
    /// let queue = ipcpipe::mp::Queue::new()?;
    /// queue.put(&'a')?;
    /// assert_eq!(queue.len(), 1);
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// True if nothing is in it: a hint, as [`len`](Self::len).
    ///
    /// ```
    /// assert!(ipcpipe::mp::Queue::<u8>::new()?.is_empty());
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if there is no room: a hint, as [`len`](Self::len).
    ///
    /// ```
    /// let queue = ipcpipe::mp::Queue::bounded(1)?;
    /// queue.put(&1)?;
    /// assert!(queue.is_full());
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Ends it for all: nothing can be put any more, and who gets hears so once it is empty. Blocks only while somebody puts.
    ///
    /// ```
    /// let queue = ipcpipe::mp::Queue::new()?;
    /// queue.put(&1)?;
    /// queue.close();
    /// assert!(queue.put(&2).is_err());
    /// assert_eq!(queue.get()?, 1);
    /// assert!(matches!(queue.get(), Err(ipcpipe::mp::Error::Closed(..))));
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    pub fn close(&self) {
        self.ring.close();
    }

    /// True once somebody has closed it; items may still be in it. Never blocks.
    ///
    /// ```
    /// let queue = ipcpipe::mp::Queue::<u8>::new()?;
    /// assert!(!queue.is_closed());
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ring.is_closed()
    }
}

impl<T: Serialize> Queue<T> {
    /// Appends a copy of `item`; blocks while the queue is full. The item is in shared memory when this returns.
    ///
    /// ```
    /// let queue = ipcpipe::mp::Queue::new()?;
    /// queue.put(&"text".to_owned())?;
    /// assert_eq!(queue.get()?, "text");
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`]; [`Error::Codec`] if the item cannot be put into bytes; [`Error::System`] if it is a long one and
    /// there is no memory for it.
    #[inline]
    pub fn put(&self, item: &T) -> Result<()> {
        encoded(item, || self.ring.attempt(Verb::Put), |bytes| self.ring.put(bytes, None))
    }

    /// The same, but does not wait for room, and 100 ms at most for a turn.
    ///
    /// ```
    /// use ipcpipe::mp::{Error, Queue};
    ///
    /// let queue = Queue::bounded(1)?;
    /// queue.try_put(&1)?;
    /// assert!(matches!(queue.try_put(&2), Err(Error::Full(..))));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Full`]; as [`put`](Self::put).
    pub fn try_put(&self, item: &T) -> Result<()> {
        encoded(item, || self.ring.attempt(Verb::Put), |bytes| self.ring.put_now(bytes))
    }

    /// The same, but blocks for `time` at most.
    ///
    /// ```
    /// use ipcpipe::mp::{Error, Queue};
    /// use std::time::Duration;
    ///
    /// let queue = Queue::bounded(1)?;
    /// queue.put_timeout(&1, Duration::from_secs(1))?;
    /// assert!(matches!(queue.put_timeout(&2, Duration::from_millis(5)), Err(Error::TimedOut(..))));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the time is over; as [`put`](Self::put).
    pub fn put_timeout(&self, item: &T, time: Duration) -> Result<()> {
        encoded(
            item,
            || self.ring.attempt(Verb::Put),
            |bytes| self.ring.put(bytes, deadline_in(time)).map_err(|error| error.within(time)),
        )
    }
}

impl<T: DeserializeOwned> Queue<T> {
    /// Takes the oldest item; blocks while there is none.
    ///
    /// ```
    /// let queue = ipcpipe::mp::Queue::new()?;
    /// queue.put(&(1, 2.5))?;
    /// assert_eq!(queue.get()?, (1, 2.5));
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed and empty; [`Error::Codec`] if the type does not read what it wrote: the item is
    /// gone then; [`Error::System`] if there is no memory for a long one, which stays where it is.
    #[inline]
    pub fn get(&self) -> Result<T> {
        decoded(|| self.ring.attempt(Verb::Get), |bytes| self.ring.get(bytes, None))
    }

    /// The same, but does not wait for an item, and 100 ms at most for a turn.
    ///
    /// ```
    /// use ipcpipe::mp::{Error, Queue};
    ///
    /// assert!(matches!(Queue::<u8>::new()?.try_get(), Err(Error::Empty(..))));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Empty`]; as [`get`](Self::get).
    pub fn try_get(&self) -> Result<T> {
        decoded(|| self.ring.attempt(Verb::Get), |bytes| self.ring.get_now(bytes))
    }

    /// The same, but blocks for `time` at most.
    ///
    /// ```
    /// use ipcpipe::mp::{Error, Queue};
    /// use std::time::Duration;
    ///
    /// assert!(matches!(Queue::<u8>::new()?.get_timeout(Duration::from_millis(5)), Err(Error::TimedOut(..))));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the time is over; as [`get`](Self::get).
    pub fn get_timeout(&self, time: Duration) -> Result<T> {
        decoded(
            || self.ring.attempt(Verb::Get),
            |bytes| self.ring.get(bytes, deadline_in(time)).map_err(|error| error.within(time)),
        )
    }

    /// Takes items until the queue is closed and empty; blocks for each of them.
    ///
    /// ```
    /// let queue = ipcpipe::mp::Queue::new()?;
    /// queue.put(&1)?;
    /// queue.put(&2)?;
    /// queue.close();
    /// assert_eq!(queue.iter().sum::<u32>(), 3);
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Panics
    /// Where [`get`](Self::get) gives an error other than [`Error::Closed`]: the type does not read what it wrote, or there is
    /// no memory for a long item. To treat that as a value, call `get`.
    pub fn iter(&self) -> QueueIter<'_, T> {
        QueueIter(self)
    }
}

/// The next item, or None at the end.
fn unless_closed<T>(got: Result<T>) -> Option<T> {
    match got {
        Ok(item) => Some(item),
        Err(Error::Closed(_)) => None,
        Err(error) => panic!("an item of a queue could not be got: {error}"),
    }
}

/// The items of a [`Queue`] until it is closed; see [`Queue::iter`].
#[derive(Debug)]
#[must_use = "it takes nothing before it is asked"]
pub struct QueueIter<'a, T>(&'a Queue<T>);

impl<T: DeserializeOwned> Iterator for QueueIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        unless_closed(self.0.get())
    }
}

impl<T: DeserializeOwned> FusedIterator for QueueIter<'_, T> {}

impl<'a, T: DeserializeOwned> IntoIterator for &'a Queue<T> {
    type Item = T;
    type IntoIter = QueueIter<'a, T>;

    fn into_iter(self) -> QueueIter<'a, T> {
        self.iter()
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { ring: Arc::clone(&self.ring), items: PhantomData }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Queue");
        shown
            .field("number", &self.ring.inode())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_closed", &self.is_closed());
        shown.finish()
    }
}

impl<T> Serialize for Queue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        codec::send_fds(self.ring.fds(), serializer)
    }
}

impl<'de, T> Deserialize<'de> for Queue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (memory, spill) = codec::receive_fds(deserializer)?;
        Ring::open(memory, spill).map(Self::of).map_err(D::Error::custom)
    }
}
