//! Barriers.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::protocol::{BarrierOperation, BarrierStatus, Operation};
use super::proxy::proxy;
use crate::mp::Result;

proxy! {
    /// A meeting point that a [`Manager`](super::Manager) keeps: nobody goes on before all are there.
    ///
    /// If one who waits is killed or gives up, the others can never all meet: the barrier is broken, which all who wait
    /// then and come later are told until it is [`reset`](Self::reset).
    ///
    /// ```standalone_crate
    /// use ipcpipe::mp::{BarrierProxy, Manager, Process};
    /// use ipcpipe::task;
    ///
    /// fn main() -> ipcpipe::mp::Result<()> {
    ///     ipcpipe::init();
    ///     let manager = Manager::start()?;
    ///     let barrier = manager.barrier(2)?;
    ///     let other = Process::spawn(task!(|barrier: BarrierProxy| barrier.wait().unwrap()), barrier.clone())?;
    ///     let mut places = [barrier.wait()?, other.join()?];
    ///     places.sort();
    ///     assert_eq!(places, [0, 1]);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Operations fail with [`Error::ManagerGone`](crate::mp::Error::ManagerGone) after the end of the manager and with
    /// [`Error::Refused`](crate::mp::Error::Refused) when the object was removed.
    BarrierProxy
}

impl BarrierProxy {
    /// Blocks until all parties wait, and says how many came before this one; so one of them, and only one, gets 0.
    ///
    /// # Errors
    /// [`Error::Broken`](crate::mp::Error::Broken), and those said above.
    pub fn wait(&self) -> Result<u32> {
        self.call(BarrierOperation::Wait(None))
    }

    /// The same, for `time` at most: when it is over, the barrier is broken.
    ///
    /// # Errors
    /// [`Error::TimedOut`](crate::mp::Error::TimedOut), and those of [`wait`](Self::wait).
    pub fn wait_timeout(&self, time: Duration) -> Result<u32> {
        self.call(BarrierOperation::Wait(Some(time)))
    }

    /// Breaks the barrier.
    ///
    /// # Errors
    /// As said above.
    pub fn abort(&self) -> Result<()> {
        self.call(BarrierOperation::Abort)
    }

    /// Makes the barrier as it was when it was new. For those who wait it is broken.
    ///
    /// # Errors
    /// As said above.
    pub fn reset(&self) -> Result<()> {
        self.call(BarrierOperation::Reset)
    }

    /// True if it is broken.
    ///
    /// # Errors
    /// As said above.
    pub fn is_broken(&self) -> Result<bool> {
        Ok(self.status()?.is_broken)
    }

    /// How many have to meet.
    ///
    /// # Errors
    /// As said above.
    pub fn parties(&self) -> Result<u32> {
        Ok(self.status()?.parties)
    }

    /// How many wait.
    ///
    /// # Errors
    /// As said above.
    pub fn waiting(&self) -> Result<u32> {
        Ok(self.status()?.waiting)
    }

    fn status(&self) -> Result<BarrierStatus> {
        self.call(BarrierOperation::Status)
    }

    fn call<R: DeserializeOwned>(&self, operation: BarrierOperation) -> Result<R> {
        self.remote.call(Operation::Barrier(operation))
    }
}
