//! A queue that knows what of it has been worked off, and gives what a dead process held to another.

use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::codec::{self, encoded};
use super::item::{Hold, QueueItem};
use super::ledger::Ledger;
use super::table::Taken;
use super::{DEFAULT, unless_closed};
use crate::mp::attempt::Verb;
use crate::mp::{Result, wire};
use crate::sys::shared::deadline_in;

/// A [`Queue`](crate::mp::Queue) whose items count as unfinished until they are worked off: [`join`](Self::join) waits for that.
///
/// What [`get`](Self::get) gives is an [`QueueItem`]: it is worked off when it is dropped. When the process that holds it dies
/// before that, or the thread panics, the item goes to another getter, before all others; so every item is worked off at least
/// once. A death is noticed within some 100 ms, by whoever waits for items or joins.
///
/// Everything else is as with a `Queue`, but an item of up to 208 bytes is a short one, and up to 256 items can be held without
/// taking room of those that wait.
///
/// ```standalone_crate
/// use ipcpipe::mp::{JoinableQueue, Process};
/// use ipcpipe::task;
///
/// fn work(queue: JoinableQueue<String>) {
///     for item in &queue {
///         println!("working on {}", *item);
///         item.done();
///     }
/// }
///
/// fn main() -> ipcpipe::mp::Result<()> {
///     ipcpipe::init();
///     let queue = JoinableQueue::bounded(64)?;
///     let worker = Process::spawn(task!(work), queue.clone())?;
///     for text in ["one", "two", "three"] {
///         queue.put(&text.to_owned())?;
///     }
///     queue.join()?;
///     assert_eq!(queue.unfinished(), 0);
///     queue.close();
///     worker.join()
/// }
/// ```
pub struct JoinableQueue<T> {
    ledger: Arc<Ledger>,
    items: PhantomData<fn(T) -> T>,
}

impl<T> JoinableQueue<T> {
    /// An empty queue in which up to 1024 items can wait.
    ///
    /// ```
    /// assert_eq!(ipcpipe::mp::JoinableQueue::<u8>::new()?.capacity(), 1024);
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::System`](crate::mp::Error::System): out of memory or of descriptors (it takes two).
    pub fn new() -> Result<Self> {
        Self::bounded(DEFAULT)
    }

    /// An empty queue in which up to `capacity` items can wait; it takes 256 bytes for each of them at once, and 64 KiB.
    ///
    /// ```
    /// assert_eq!(ipcpipe::mp::JoinableQueue::<u8>::bounded(3)?.capacity(), 3);
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`](crate::mp::Error::Refused) for a capacity of 0; [`Error::System`](crate::mp::Error::System): out of memory or of descriptors.
    pub fn bounded(capacity: usize) -> Result<Self> {
        Ok(Self::of(Ledger::create(capacity)?))
    }

    fn of(ledger: Ledger) -> Self {
        Self { ledger: Arc::new(ledger), items: PhantomData }
    }

    /// How many items can wait in it.
    ///
    /// ```
    /// assert_eq!(ipcpipe::mp::JoinableQueue::<u8>::bounded(7)?.capacity(), 7);
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ledger.capacity()
    }

    /// How many items wait in it, without those that somebody holds: a hint. Never blocks.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::new()?;
    /// queue.put(&1)?;
    /// let item = queue.get()?;
    /// assert_eq!((queue.len(), queue.unfinished()), (0, 1));
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.ledger.len()
    }

    /// True if nothing waits in it: a hint. Never blocks.
    ///
    /// ```
    /// assert!(ipcpipe::mp::JoinableQueue::<u8>::new()?.is_empty());
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if there is no room for another one to wait: a hint. Never blocks.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::bounded(1)?;
    /// queue.put(&1)?;
    /// assert!(queue.is_full());
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity()
    }

    /// How many items are not worked off: those that wait and those that somebody holds. A hint; never blocks.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::new()?;
    /// queue.put(&1)?;
    /// assert_eq!(queue.unfinished(), 1);
    /// queue.get()?.done();
    /// assert_eq!(queue.unfinished(), 0);
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.ledger.unfinished()
    }

    /// Blocks until every item that was put is worked off. With nobody left who gets, that is for ever:
    /// [`join_timeout`](Self::join_timeout) is the way out.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::new()?;
    /// queue.put(&1)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| drop(queue.get()));
    ///     queue.join()
    /// })?;
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Errors
    /// None so far.
    pub fn join(&self) -> Result<()> {
        self.ledger.join(None)
    }

    /// The same, but blocks for `time` at most.
    ///
    /// ```
    /// use ipcpipe::mp::{Error, JoinableQueue};
    /// use std::time::Duration;
    ///
    /// let queue = JoinableQueue::new()?;
    /// queue.put(&1)?;
    /// assert!(matches!(queue.join_timeout(Duration::from_millis(5)), Err(Error::TimedOut(..))));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TimedOut`](crate::mp::Error::TimedOut).
    pub fn join_timeout(&self, time: Duration) -> Result<()> {
        self.ledger.join(deadline_in(time)).map_err(|error| error.within(time))
    }

    /// Ends it for all: nothing can be put any more, and who gets hears so once there is nothing left to get. Blocks only while
    /// somebody puts or gets.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::<u8>::new()?;
    /// queue.close();
    /// assert!(matches!(queue.get(), Err(ipcpipe::mp::Error::Closed(..))));
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    pub fn close(&self) {
        self.ledger.close();
    }

    /// True once somebody has closed it. Never blocks.
    ///
    /// ```
    /// assert!(!ipcpipe::mp::JoinableQueue::<u8>::new()?.is_closed());
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ledger.is_closed()
    }
}

impl<T: Serialize> JoinableQueue<T> {
    /// Appends a copy of `item`; blocks while the queue is full.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::new()?;
    /// queue.put(&"text".to_owned())?;
    /// assert_eq!(*queue.get()?, "text");
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Queue::put`](crate::mp::Queue::put).
    pub fn put(&self, item: &T) -> Result<()> {
        encoded(item, || self.ledger.attempt(Verb::Put), |bytes| self.ledger.put(bytes, None))
    }

    /// The same, but does not wait for room, and 100 ms at most for a turn.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::bounded(1)?;
    /// queue.try_put(&1)?;
    /// assert!(matches!(queue.try_put(&2), Err(ipcpipe::mp::Error::Full(..))));
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Full`](crate::mp::Error::Full); as [`put`](Self::put).
    pub fn try_put(&self, item: &T) -> Result<()> {
        encoded(item, || self.ledger.attempt(Verb::Put), |bytes| self.ledger.put_now(bytes))
    }

    /// The same, but blocks for `time` at most.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::bounded(1)?;
    /// queue.put_timeout(&1, std::time::Duration::from_secs(1))?;
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TimedOut`](crate::mp::Error::TimedOut) when the time is over; as [`put`](Self::put).
    pub fn put_timeout(&self, item: &T, time: Duration) -> Result<()> {
        encoded(
            item,
            || self.ledger.attempt(Verb::Put),
            |bytes| self.ledger.put(bytes, deadline_in(time)).map_err(|error| error.within(time)),
        )
    }
}

impl<T: DeserializeOwned> JoinableQueue<T> {
    /// Takes the oldest item; blocks while there is none.
    ///
    /// When the queue is closed and nothing waits, it blocks on while other processes hold items, since they may die with them;
    /// unless this process holds some itself.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::new()?;
    /// queue.put(&20)?;
    /// let item = queue.get()?;
    /// assert_eq!(*item + 1, 21);
    /// item.done();
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`](crate::mp::Error::Closed) when it is closed and nothing is left; as [`Queue::get`](crate::mp::Queue::get). An item that its type
    /// does not read counts as worked off.
    pub fn get(&self) -> Result<QueueItem<T>> {
        self.item(self.ledger.get(None)?)
    }

    /// The same, but does not wait for an item, and 100 ms at most for a turn.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::<u8>::new()?;
    /// assert!(matches!(queue.try_get(), Err(ipcpipe::mp::Error::Empty(..))));
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Empty`](crate::mp::Error::Empty); as [`get`](Self::get).
    pub fn try_get(&self) -> Result<QueueItem<T>> {
        self.item(self.ledger.get_now()?)
    }

    /// The same, but blocks for `time` at most.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::<u8>::new()?;
    /// let got = queue.get_timeout(std::time::Duration::from_millis(5));
    /// assert!(matches!(got, Err(ipcpipe::mp::Error::TimedOut(..))));
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TimedOut`](crate::mp::Error::TimedOut) when the time is over; as [`get`](Self::get).
    pub fn get_timeout(&self, time: Duration) -> Result<QueueItem<T>> {
        self.item(self.ledger.get(deadline_in(time)).map_err(|error| error.within(time))?)
    }

    fn item(&self, taken: Taken) -> Result<QueueItem<T>> {
        let hold = Hold::new(&self.ledger, &taken);
        let item = wire::decode(&taken.bytes).map_err(|error| error.during(self.ledger.attempt(Verb::Get)))?;
        Ok(QueueItem::new(item, taken.deliveries, hold))
    }

    /// Takes items until the queue is closed and nothing is left; blocks for each of them.
    ///
    /// ```
    /// let queue = ipcpipe::mp::JoinableQueue::new()?;
    /// queue.put(&1)?;
    /// queue.put(&2)?;
    /// queue.close();
    /// assert_eq!(queue.iter().map(|item| *item).sum::<u32>(), 3);
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    ///
    /// # Panics
    /// As [`Queue::iter`](crate::mp::Queue::iter).
    pub fn iter(&self) -> JoinableIter<'_, T> {
        JoinableIter(self)
    }
}

/// The items of a [`JoinableQueue`] until it is closed; see [`JoinableQueue::iter`].
#[derive(Debug)]
#[must_use = "it takes nothing before it is asked"]
pub struct JoinableIter<'a, T>(&'a JoinableQueue<T>);

impl<T: DeserializeOwned> Iterator for JoinableIter<'_, T> {
    type Item = QueueItem<T>;

    fn next(&mut self) -> Option<QueueItem<T>> {
        unless_closed(self.0.get())
    }
}

impl<T: DeserializeOwned> FusedIterator for JoinableIter<'_, T> {}

impl<'a, T: DeserializeOwned> IntoIterator for &'a JoinableQueue<T> {
    type Item = QueueItem<T>;
    type IntoIter = JoinableIter<'a, T>;

    fn into_iter(self) -> JoinableIter<'a, T> {
        self.iter()
    }
}

impl<T> Clone for JoinableQueue<T> {
    fn clone(&self) -> Self {
        Self { ledger: Arc::clone(&self.ledger), items: PhantomData }
    }
}

impl<T> fmt::Debug for JoinableQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("JoinableQueue");
        shown
            .field("number", &self.ledger.inode())
            .field("len", &self.len())
            .field("unfinished", &self.unfinished())
            .field("capacity", &self.capacity());
        shown.field("is_closed", &self.is_closed()).finish()
    }
}

impl<T> Serialize for JoinableQueue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        codec::send_fds(self.ledger.fds(), serializer)
    }
}

impl<'de, T> Deserialize<'de> for JoinableQueue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (memory, spill) = codec::receive_fds(deserializer)?;
        Ledger::open(memory, spill).map(Self::of).map_err(D::Error::custom)
    }
}
