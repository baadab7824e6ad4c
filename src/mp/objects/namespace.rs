//! Named values of any types.

use std::any::type_name;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::encoded;
use super::protocol::{Bytes, NamespaceOperation, Operation};
use super::proxy::proxy;
use super::value::change;
use crate::mp::Result;
use crate::mp::task::{Args, Task, Update};

proxy! {
    /// Attributes that a [`Manager`](super::Manager) keeps: names, each with a value of a type of its own.
    ///
    /// An attribute is asked for by the type with which it was set; any other is an error. A `str` is a `String`.
    ///
    /// ```standalone_crate
    /// use ipcpipe::{mp::Manager, task};
    ///
    /// # fn main() -> ipcpipe::mp::Result<()> {
    /// # ipcpipe::init();
    /// let manager = Manager::start()?;
    /// let global = manager.namespace()?;
    /// global.set("x", &10_u32)?;
    /// global.set("y", "hello")?;
    /// global.update("x", task!(|x: &mut u32| *x += 1), ())?;
    /// assert_eq!(global.get::<u32>("x")?, Some(11));
    /// assert_eq!(global.get::<String>("y")?.as_deref(), Some("hello"));
    /// assert_eq!(global.names()?, ["x", "y"]);
    /// assert!(global.get::<u32>("y").is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Operations fail with [`Error::ManagerGone`](crate::mp::Error::ManagerGone) after the end of the manager,
    /// [`Error::Refused`](crate::mp::Error::Refused) when the attribute has another type or the object was removed, and
    /// [`Error::Codec`](crate::mp::Error::Codec) for a value that has no encoding. They wait for an update that is running.
    NamespaceProxy
}

impl NamespaceProxy {
    /// Sets an attribute, of whatever type it was before.
    ///
    /// # Errors
    /// As said above.
    pub fn set<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<()> {
        self.call(NamespaceOperation::Set(name, owned_type::<T>(), Bytes(&encoded(value)?)))
    }

    /// A copy of an attribute; None if there is none of the name.
    ///
    /// # Errors
    /// As said above.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.call(NamespaceOperation::Get(name, type_name::<T>()))
    }

    /// Removes an attribute; false if there is none of the name.
    ///
    /// # Errors
    /// As said above.
    pub fn remove(&self, name: &str) -> Result<bool> {
        self.call(NamespaceOperation::Remove(name))
    }

    /// The names of all attributes, sorted.
    ///
    /// # Errors
    /// As said above.
    pub fn names(&self) -> Result<Vec<String>> {
        self.call(NamespaceOperation::Names)
    }

    /// Has the server run `task` on an attribute, and gives what it returns. Nobody else sees or changes the namespace
    /// meanwhile. What a task may do is said at [`ValueProxy::update`](super::ValueProxy::update).
    ///
    /// # Errors
    /// [`Error::Panicked`](crate::mp::Error::Panicked) when the task panics, and then the attribute is as before;
    /// [`Error::Refused`](crate::mp::Error::Refused) if there is none of the name; and those said above.
    pub fn update<T, A: Serialize, R: DeserializeOwned>(
        &self,
        name: &str,
        task: Task<Update<T, A>, R>,
        args: impl Args<A>,
    ) -> Result<R> {
        let of = type_name::<T>();
        change(task, &args.into_task_args(), |change| self.call(NamespaceOperation::Update(name, of, change)))
    }

    fn call<R: DeserializeOwned>(&self, operation: NamespaceOperation<'_>) -> Result<R> {
        self.remote.call(Operation::Namespace(operation))
    }
}

/// The name of the type that a value of the type `T` is decoded as.
fn owned_type<T: ?Sized>() -> &'static str {
    let name = type_name::<T>().trim_start_matches('&');
    if name == "str" { type_name::<String>() } else { name }
}
