//! Events.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::protocol::{EventOperation, Operation};
use super::proxy::proxy;
use crate::mp::Result;

proxy! {
    /// A flag that a [`Manager`](super::Manager) keeps: threads wait until it is set.
    ///
    /// ```standalone_crate
    /// use ipcpipe::mp::{EventProxy, Manager, Process};
    /// use ipcpipe::task;
    ///
    /// fn main() -> ipcpipe::mp::Result<()> {
    ///     ipcpipe::init();
    ///     let manager = Manager::start()?;
    ///     let event = manager.event()?;
    ///     let waiter = Process::spawn(task!(|event: EventProxy| event.wait().is_ok()), event.clone())?;
    ///     event.set()?;
    ///     assert!(waiter.join()?);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Operations fail with [`Error::ManagerGone`](crate::mp::Error::ManagerGone) after the end of the manager and with
    /// [`Error::Refused`](crate::mp::Error::Refused) when the object was removed.
    EventProxy
}

impl EventProxy {
    /// Sets the flag; all who wait go on, even if it is cleared at once.
    ///
    /// # Errors
    /// As said above.
    pub fn set(&self) -> Result<()> {
        self.call(EventOperation::Set)
    }

    /// Clears the flag; who waits from now on waits until it is set again.
    ///
    /// # Errors
    /// As said above.
    pub fn clear(&self) -> Result<()> {
        self.call(EventOperation::Clear)
    }

    /// True if it is set.
    ///
    /// # Errors
    /// As said above.
    pub fn is_set(&self) -> Result<bool> {
        self.call(EventOperation::IsSet)
    }

    /// Blocks until it is set.
    ///
    /// # Errors
    /// As said above.
    pub fn wait(&self) -> Result<()> {
        self.call(EventOperation::Wait(None))
    }

    /// Blocks until it is set, for `time` at most; false when the time is over.
    ///
    /// # Errors
    /// As said above.
    pub fn wait_timeout(&self, time: Duration) -> Result<bool> {
        match self.call::<()>(EventOperation::Wait(Some(time))) {
            Ok(()) => Ok(true),
            Err(crate::mp::Error::TimedOut(..)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn call<R: DeserializeOwned>(&self, operation: EventOperation) -> Result<R> {
        self.remote.call(Operation::Event(operation))
    }
}
