//! Semaphores.

use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::protocol::{Limit, Operation, SemaphoreOperation};
use super::proxy::proxy;
use crate::mp::Result;

proxy! {
    /// A number of permits that a [`Manager`](super::Manager) keeps: as many threads go on at once as there are permits.
    ///
    /// The permits of a thread that ends, or whose process is killed, come back.
    ///
    /// ```standalone_crate
    /// # fn main() -> ipcpipe::mp::Result<()> {
    /// # ipcpipe::init();
    /// let manager = ipcpipe::mp::Manager::start()?;
    /// let semaphore = manager.semaphore(2)?;
    /// let _one = semaphore.acquire()?;
    /// {
    ///     let _two = semaphore.acquire()?;
    ///     assert!(semaphore.try_acquire()?.is_none());
    /// }
    /// assert_eq!(semaphore.available()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Operations fail with [`Error::ManagerGone`](crate::mp::Error::ManagerGone) after the end of the manager and with
    /// [`Error::Refused`](crate::mp::Error::Refused) when the object was removed.
    SemaphoreProxy
}

impl SemaphoreProxy {
    /// Takes a permit; blocks while there is none.
    ///
    /// # Errors
    /// As said above.
    pub fn acquire(&self) -> Result<PermitProxy<'_>> {
        self.call(SemaphoreOperation::Acquire(None)).map(|()| PermitProxy::new(self))
    }

    /// Takes a permit if there is one; does not block.
    ///
    /// # Errors
    /// As said above.
    pub fn try_acquire(&self) -> Result<Option<PermitProxy<'_>>> {
        self.acquire_timeout(Duration::ZERO)
    }

    /// Takes a permit; blocks for `time` at most. None when the time is over.
    ///
    /// # Errors
    /// As said above.
    pub fn acquire_timeout(&self, time: Duration) -> Result<Option<PermitProxy<'_>>> {
        let limit: Limit = Some(time);
        match self.call::<()>(SemaphoreOperation::Acquire(limit)) {
            Ok(()) => Ok(Some(PermitProxy::new(self))),
            Err(crate::mp::Error::TimedOut(..)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds a permit: one that was [forgotten](PermitProxy::forget) before, or a new one.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::mp::Error::Refused) if it is bounded and has all its permits, those that are taken and
    /// will come back included; and those said above.
    pub fn release(&self) -> Result<()> {
        self.call(SemaphoreOperation::Release)
    }

    /// How many permits there are just now.
    ///
    /// # Errors
    /// As said above.
    pub fn available(&self) -> Result<u32> {
        self.call(SemaphoreOperation::Available)
    }

    fn call<R: DeserializeOwned>(&self, operation: SemaphoreOperation) -> Result<R> {
        self.remote.call(Operation::Semaphore(operation))
    }
}

/// A permit of a [`SemaphoreProxy`], which comes back when this is dropped.
#[derive(Debug)]
#[must_use = "the permit comes back when this is dropped"]
pub struct PermitProxy<'a> {
    of: &'a SemaphoreProxy,
    is_forgotten: bool,
    /// The connection of this thread has it.
    stays: PhantomData<*const ()>,
}

impl<'a> PermitProxy<'a> {
    fn new(of: &'a SemaphoreProxy) -> Self {
        Self { of, is_forgotten: false, stays: PhantomData }
    }

    /// Keeps the permit from coming back by itself. Somebody, in whatever process, may
    /// [`release`](SemaphoreProxy::release) it.
    ///
    /// # Errors
    /// Those of the semaphore.
    pub fn forget(mut self) -> Result<()> {
        self.is_forgotten = true;
        self.of.call(SemaphoreOperation::Forget)
    }
}

impl Drop for PermitProxy<'_> {
    fn drop(&mut self) {
        if !self.is_forgotten {
            // When the manager is gone nobody waits for it.
            let _ = self.of.call::<()>(SemaphoreOperation::Return);
        }
    }
}
