//! The manager: the server process, as the one who started it sees it.

use std::os::unix::net::UnixListener;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::{Encodings, Remote, encoded};
use super::protocol::{Address, Bytes, New};
use super::proxy::Proxy;
use super::{
    ArrayProxy, BarrierProxy, ConditionProxy, DictProxy, EventProxy, ListProxy, LockProxy, NamespaceProxy, QueueProxy,
    RLockProxy, SemaphoreProxy, ValueProxy, server,
};
use crate::mp::process::Process;
use crate::mp::wire::Handle;
use crate::mp::{Error, Result, Worker};
use crate::task;

/// A server process that keeps objects, which all processes use through proxies.
///
/// A proxy is a small value: clone it, send it to another process as an argument, or put it into another object. Each
/// operation is one message to the server and one back, and is done as a whole: nobody sees half of it. What depends on
/// the value before is an `update`, which runs a task in the server, so that no change of another process gets lost
/// between a look and a change.
///
/// Objects live until the manager ends, or [`remove`](Self::remove)s them. **Dropping the manager ends the server**, and
/// so does the end of the process that started it. From then on each operation on its objects, also one that
/// waits at that moment, is [`Error::ManagerGone`].
///
/// Only processes of the same user reach it, through a socket that has no file. Each thread that uses a proxy has a
/// connection of its own, so one that waits keeps no other waiting; what a thread held, a lock say, is free when it has ended
/// or its process was killed. Values are kept as serde encodes them; an object with a descriptor in it, as
/// [`Lock`](crate::mp::Lock) is one, cannot be kept, but a proxy can.
///
/// ```standalone_crate
/// use ipcpipe::mp::{DictProxy, ListProxy, Manager, Process, current, join_all};
/// use ipcpipe::task;
///
/// fn work(names: ListProxy<String>, counts: DictProxy<String, usize>) {
///     let own = current().worker.name;
///     names.push(&own).unwrap();
///     counts.set(&own, &names.len().unwrap()).unwrap();
/// }
///
/// fn main() -> ipcpipe::mp::Result<()> {
///     ipcpipe::init();
///     let manager = Manager::start()?;
///     let (names, counts) = (manager.list()?, manager.dict()?);
///     let start = |_| Process::spawn(task!(work), (names.clone(), counts.clone()));
///     for done in join_all((0..3).map(start).collect::<Result<Vec<_>, _>>()?) {
///         done?;
///     }
///     assert_eq!(names.len()?, 3);
///     assert!(counts.get(&names.to_vec()?[0])?.is_some());
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[must_use = "dropping the manager ends its server"]
pub struct Manager {
    server: Process<Result<(), String>>,
    address: Address,
}

impl Manager {
    /// Starts a server process. It takes about a millisecond.
    ///
    /// # Errors
    /// [`Error::System`]: no process can be started, or there is no descriptor for its socket.
    pub fn start() -> Result<Self> {
        let address = Address::random()?;
        let failed = |error| crate::Error::os("cannot listen at", address, error);
        let listener = address.socket().and_then(|name| UnixListener::bind_addr(&name)).map_err(failed)?;
        // It listens already, so clients need not wait until the server is up.
        let listener = Handle::from(std::os::fd::OwnedFd::from(listener));
        #[allow(unsafe_code, reason = "the entry of a task has a link section")]
        let server = Process::builder(task!(server::serve), (listener,)).name("Manager").daemon(true).spawn()?;
        Ok(Self { server, address })
    }

    /// The server process: its name, Manager, and its pid.
    #[must_use]
    pub fn worker(&self) -> &Worker {
        self.server.worker()
    }

    /// Ends the server, and with it all objects. Blocks until the process is gone.
    pub fn shutdown(self) {
        drop(self);
    }

    /// Removes an object. From then on each operation on it, also one that waits at that moment, is [`Error::Refused`].
    ///
    /// ```standalone_crate
    /// # fn main() -> ipcpipe::mp::Result<()> {
    /// # ipcpipe::init();
    /// let manager = ipcpipe::mp::Manager::start()?;
    /// let list = manager.list::<u64>()?;
    /// manager.remove(&list)?;
    /// assert!(list.push(&1).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] if it was removed before or is another manager's, [`Error::ManagerGone`].
    pub fn remove(&self, object: &impl Proxy) -> Result<()> {
        let remote = object.remote();
        if remote.address() == self.address {
            remote.remove()
        } else {
            Err(Error::Refused("the object is another manager's".to_owned()))
        }
    }

    fn create(&self, new: New<'_>) -> Result<Remote> {
        Remote::create(self.address, new)
    }
}

/// All of these fail with [`Error::ManagerGone`] when the server was killed, with [`Error::Codec`] for a value that has no
/// encoding, and with [`Error::System`] or [`Error::Refused`] when one of the two processes is out of descriptors or threads.
impl Manager {
    /// A new, empty list.
    ///
    /// # Errors
    /// As said above.
    pub fn list<T>(&self) -> Result<ListProxy<T>> {
        self.create(New::List).map(ListProxy::new)
    }

    /// A new, empty map.
    ///
    /// # Errors
    /// As said above.
    pub fn dict<K, V>(&self) -> Result<DictProxy<K, V>> {
        self.create(New::Dict).map(DictProxy::new)
    }

    /// A new object that is one value.
    ///
    /// # Errors
    /// As said above.
    pub fn value<T: Serialize + DeserializeOwned>(&self, value: T) -> Result<ValueProxy<T>> {
        self.create(New::Value(Bytes(&encoded(&value)?))).map(ValueProxy::new)
    }

    /// A new array of these elements; its length stays.
    ///
    /// # Errors
    /// As said above.
    pub fn array<T: Serialize + DeserializeOwned>(&self, items: impl IntoIterator<Item = T>) -> Result<ArrayProxy<T>> {
        self.create(New::Array(Encodings::of(items)?.iter().collect())).map(ArrayProxy::new)
    }

    /// A new namespace without attributes.
    ///
    /// # Errors
    /// As said above.
    pub fn namespace(&self) -> Result<NamespaceProxy> {
        self.create(New::Namespace).map(NamespaceProxy::new)
    }

    /// A new, empty queue with room for `capacity` items.
    ///
    /// # Errors
    /// As said above.
    pub fn queue<T>(&self, capacity: usize) -> Result<QueueProxy<T>> {
        self.create(New::Queue(capacity as u64)).map(QueueProxy::new)
    }

    /// A new lock, free.
    ///
    /// # Errors
    /// As said above.
    pub fn lock(&self) -> Result<LockProxy> {
        self.create(New::Lock).map(LockProxy::new)
    }

    /// A new recursive lock, free.
    ///
    /// # Errors
    /// As said above.
    pub fn rlock(&self) -> Result<RLockProxy> {
        self.create(New::RLock).map(RLockProxy::new)
    }

    /// A new semaphore with so many permits; [`release`](SemaphoreProxy::release) may add more.
    ///
    /// # Errors
    /// As said above.
    pub fn semaphore(&self, permits: u32) -> Result<SemaphoreProxy> {
        self.create(New::Semaphore { permits, is_bounded: false }).map(SemaphoreProxy::new)
    }

    /// A new semaphore that never has more than so many permits.
    ///
    /// # Errors
    /// As said above.
    pub fn bounded_semaphore(&self, permits: u32) -> Result<SemaphoreProxy> {
        self.create(New::Semaphore { permits, is_bounded: true }).map(SemaphoreProxy::new)
    }

    /// A new condition with a lock of its own.
    ///
    /// # Errors
    /// As said above.
    pub fn condition(&self) -> Result<ConditionProxy> {
        self.condition_of(&self.lock()?)
    }

    /// A new condition of `lock`, of which there may be several.
    ///
    /// # Errors
    /// As said above, and [`Error::Refused`] if the lock is another manager's.
    pub fn condition_of(&self, lock: &LockProxy) -> Result<ConditionProxy> {
        if lock.remote.address() != self.address {
            return Err(Error::Refused("the lock is another manager's".to_owned()));
        }
        Ok(ConditionProxy::of(lock.clone(), self.create(New::Condition(lock.remote.object()))?))
    }

    /// A new event, not set.
    ///
    /// # Errors
    /// As said above.
    pub fn event(&self) -> Result<EventProxy> {
        self.create(New::Event).map(EventProxy::new)
    }

    /// A new barrier of so many parties.
    ///
    /// # Errors
    /// As said above, and [`Error::Refused`] for no parties.
    pub fn barrier(&self, parties: u32) -> Result<BarrierProxy> {
        self.create(New::Barrier(parties)).map(BarrierProxy::new)
    }
}
