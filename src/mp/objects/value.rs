//! One value.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::encoded;
use super::protocol::{Bytes, Change, Operation, ValueOperation};
use super::proxy::proxy;
use crate::mp::Result;
use crate::mp::task::{Args, Task, Update};

proxy! {
    /// A value that a [`Manager`](super::Manager) keeps.
    ///
    /// A lone [`get`](Self::get) and [`set`](Self::set) are each whole, but what somebody else does between the two is lost;
    /// so what depends on the old value is an [`update`](Self::update).
    ///
    /// ```standalone_crate
    /// use ipcpipe::{mp::Manager, task};
    ///
    /// # fn main() -> ipcpipe::mp::Result<()> {
    /// # ipcpipe::init();
    /// let manager = Manager::start()?;
    /// let count = manager.value(40_i32)?;
    /// count.set(&41)?;
    /// let now = count.update(task!(|count: &mut i32, n: i32| { *count += n; *count }), 1)?;
    /// assert_eq!(now, 42);
    /// assert_eq!(count.get()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Operations fail with [`Error::ManagerGone`](crate::mp::Error::ManagerGone) after the end of the manager,
    /// [`Error::Refused`](crate::mp::Error::Refused) when the object was removed, and
    /// [`Error::Codec`](crate::mp::Error::Codec) for a value that has no encoding. They wait for an update that is running.
    ValueProxy<T>
}

impl<T: Serialize + DeserializeOwned> ValueProxy<T> {
    /// A copy of the value.
    ///
    /// # Errors
    /// As said above.
    pub fn get(&self) -> Result<T> {
        self.call(ValueOperation::Get)
    }

    /// Replaces the value.
    ///
    /// # Errors
    /// As said above.
    pub fn set(&self, value: &T) -> Result<()> {
        self.call(ValueOperation::Set(Bytes(&encoded(value)?)))
    }

    /// Has the server run `task` on the value, and gives what it returns. Nobody else sees or changes the value meanwhile.
    ///
    /// The task runs in the server process, so what it does besides (printing, changing statics) happens there: one that
    /// does not return holds up all other uses of the object, and one that exits or aborts ends the manager. It cannot use
    /// objects of a manager itself.
    ///
    /// # Errors
    /// [`Error::Panicked`](crate::mp::Error::Panicked) when the task panics, and then the value is as before; and those
    /// said above.
    pub fn update<A: Serialize, R: DeserializeOwned>(
        &self,
        task: Task<Update<T, A>, R>,
        args: impl Args<A>,
    ) -> Result<R> {
        change(task, &args.into_task_args(), |change| self.call(ValueOperation::Update(change)))
    }

    fn call<R: DeserializeOwned>(&self, operation: ValueOperation<'_>) -> Result<R> {
        self.remote.call(Operation::Value(operation))
    }
}

/// Calls `ask` with what the server has to know to run the task.
pub(super) fn change<T, A: Serialize, R>(
    task: Task<Update<T, A>, R>,
    args: &A,
    ask: impl FnOnce(Change<'_>) -> Result<R>,
) -> Result<R> {
    ask(Change { task: task.name(), args: Bytes(&encoded(args)?) })
}
