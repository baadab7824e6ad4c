//! Queues.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::encoded;
use super::protocol::{Bytes, Limit, Operation, QueueOperation};
use super::proxy::proxy;
use crate::mp::Result;

proxy! {
    /// A bounded queue that a [`Manager`](super::Manager) keeps: what is put in first is got first, by one of those who get.
    ///
    /// After [`close`](Self::close) nothing can be put in, and what is in it can still be got. An item that was given to a
    /// process which is killed before it has looked at it is lost.
    ///
    /// ```standalone_crate
    /// use ipcpipe::mp::{Manager, Process, QueueProxy};
    /// use ipcpipe::task;
    ///
    /// fn sum(queue: QueueProxy<u64>) -> u64 {
    ///     queue.iter().map(Result::unwrap).sum()
    /// }
    ///
    /// fn main() -> ipcpipe::mp::Result<()> {
    ///     ipcpipe::init();
    ///     let manager = Manager::start()?;
    ///     let queue = manager.queue(10)?;
    ///     let worker = Process::spawn(task!(sum), queue.clone())?;
    ///     for n in 1..=100 {
    ///         queue.put(&n)?;
    ///     }
    ///     queue.close()?;
    ///     assert_eq!(worker.join()?, 5050);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Operations fail with [`Error::ManagerGone`](crate::mp::Error::ManagerGone) after the end of the manager,
    /// [`Error::Refused`](crate::mp::Error::Refused) when the object was removed, and
    /// [`Error::Codec`](crate::mp::Error::Codec) for an item that has no encoding.
    QueueProxy<T>
}

impl<T: Serialize + DeserializeOwned> QueueProxy<T> {
    /// Appends an item; blocks while there is no room.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::mp::Error::Closed) when the queue is closed, and those said above.
    pub fn put(&self, item: &T) -> Result<()> {
        self.put_within(item, None)
    }

    /// Appends an item if there is room; does not block.
    ///
    /// # Errors
    /// [`Error::Full`](crate::mp::Error::Full) if there is none, and those of [`put`](Self::put).
    pub fn try_put(&self, item: &T) -> Result<()> {
        self.put_within(item, Some(Duration::ZERO))
    }

    /// Appends an item; blocks for `time` at most.
    ///
    /// # Errors
    /// [`Error::TimedOut`](crate::mp::Error::TimedOut), and those of [`put`](Self::put).
    pub fn put_timeout(&self, item: &T, time: Duration) -> Result<()> {
        self.put_within(item, Some(time))
    }

    /// Takes the first item; blocks while there is none.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::mp::Error::Closed) when the queue is closed and empty, and those said above.
    pub fn get(&self) -> Result<T> {
        self.call(QueueOperation::Get(None))
    }

    /// Takes the first item if there is one; does not block.
    ///
    /// # Errors
    /// [`Error::Empty`](crate::mp::Error::Empty) if there is none, and those of [`get`](Self::get).
    pub fn try_get(&self) -> Result<T> {
        self.call(QueueOperation::Get(Some(Duration::ZERO)))
    }

    /// Takes the first item; blocks for `time` at most.
    ///
    /// # Errors
    /// [`Error::TimedOut`](crate::mp::Error::TimedOut), and those of [`get`](Self::get).
    pub fn get_timeout(&self, time: Duration) -> Result<T> {
        self.call(QueueOperation::Get(Some(time)))
    }

    /// Takes item after item until the queue is closed and empty; blocks for each. An error is its last item.
    pub fn iter(&self) -> QueueProxyIter<'_, T> {
        QueueProxyIter { queue: self, is_over: false }
    }

    /// How many items wait.
    ///
    /// # Errors
    /// As said above.
    pub fn len(&self) -> Result<usize> {
        self.call(QueueOperation::Len)
    }

    /// True if none waits.
    ///
    /// # Errors
    /// As said above.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// True if there is no room.
    ///
    /// # Errors
    /// As said above.
    pub fn is_full(&self) -> Result<bool> {
        Ok(self.len()? >= self.capacity()?)
    }

    /// For how many items there is room.
    ///
    /// # Errors
    /// As said above.
    pub fn capacity(&self) -> Result<usize> {
        self.call(QueueOperation::Capacity)
    }

    /// Has everybody who puts fail, and everybody who gets from the empty queue.
    ///
    /// # Errors
    /// As said above.
    pub fn close(&self) -> Result<()> {
        self.call(QueueOperation::Close)
    }

    /// True if it is closed.
    ///
    /// # Errors
    /// As said above.
    pub fn is_closed(&self) -> Result<bool> {
        self.call(QueueOperation::IsClosed)
    }

    fn put_within(&self, item: &T, limit: Limit) -> Result<()> {
        self.call(QueueOperation::Put(Bytes(&encoded(item)?), limit))
    }

    fn call<R: DeserializeOwned>(&self, operation: QueueOperation<'_>) -> Result<R> {
        self.remote.call(Operation::Queue(operation))
    }
}

/// Takes items until the queue is closed and empty; made by [`QueueProxy::iter`].
#[derive(Debug)]
#[must_use = "it takes nothing before it is asked"]
pub struct QueueProxyIter<'a, T> {
    queue: &'a QueueProxy<T>,
    is_over: bool,
}

impl<T: Serialize + DeserializeOwned> Iterator for QueueProxyIter<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        if self.is_over {
            return None;
        }
        match self.queue.get() {
            Ok(item) => return Some(Ok(item)),
            Err(crate::mp::Error::Closed(_)) => self.is_over = true,
            Err(error) => {
                self.is_over = true;
                return Some(Err(error));
            }
        }
        None
    }
}
