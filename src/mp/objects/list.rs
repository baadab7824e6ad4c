//! Sequences: lists, which grow and shrink, and arrays, which do not.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::{Encodings, Remote, encoded};
use super::protocol::{Bytes, ListOperation, Operation};
use super::proxy::proxy;
use super::value::change;
use crate::mp::Result;
use crate::mp::task::{Args, Task, Update};

proxy! {
    /// A list that a [`Manager`](super::Manager) keeps.
    ///
    /// ```standalone_crate
    /// use ipcpipe::{mp::Manager, task};
    ///
    /// # fn main() -> ipcpipe::mp::Result<()> {
    /// # ipcpipe::init();
    /// let manager = Manager::start()?;
    /// let list = manager.list::<u32>()?;
    /// list.push(&3)?;
    /// list.extend([2, 1])?;
    /// list.update(task!(|list: &mut Vec<u32>| list.sort()), ())?;
    /// list.update_at(0, task!(|first: &mut u32, n: u32| *first += n), 10)?;
    /// assert_eq!(list.to_vec()?, [11, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Operations fail with [`Error::ManagerGone`](crate::mp::Error::ManagerGone) after the end of the manager,
    /// [`Error::Refused`](crate::mp::Error::Refused) for an index beyond the end and when the object was removed, and
    /// [`Error::Codec`](crate::mp::Error::Codec) for a value that has no encoding. They wait for an update that is running.
    ListProxy<T>
}

proxy! {
    /// An array that a [`Manager`](super::Manager) keeps: its elements change and their number does not.
    ///
    /// ```standalone_crate
    /// use ipcpipe::{mp::Manager, task};
    ///
    /// # fn main() -> ipcpipe::mp::Result<()> {
    /// # ipcpipe::init();
    /// let manager = Manager::start()?;
    /// let array = manager.array([1.0, 2.5, 3.0])?;
    /// for index in 0..array.len()? {
    ///     array.update_at(index, task!(|item: &mut f64, n: f64| *item += n), 1.0)?;
    /// }
    /// assert_eq!(array.to_vec()?, [2.0, 3.5, 4.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Operations fail as those of a [`ListProxy`] do.
    ArrayProxy<T>
}

/// What both of them can do.
macro_rules! sequence {
    ($name:ident) => {
        impl<T: Serialize + DeserializeOwned> $name<T> {
            /// The element at `index`; None beyond the end.
            ///
            /// # Errors
            /// As said above.
            pub fn get(&self, index: usize) -> Result<Option<T>> {
                call(&self.remote, ListOperation::Get(index as u64))
            }

            /// Replaces the element at `index`.
            ///
            /// # Errors
            /// As said above.
            pub fn set(&self, index: usize, item: &T) -> Result<()> {
                call(&self.remote, ListOperation::Set(index as u64, Bytes(&encoded(item)?)))
            }

            /// How many elements there are.
            ///
            /// # Errors
            /// As said above.
            pub fn len(&self) -> Result<usize> {
                call(&self.remote, ListOperation::Len)
            }

            /// True if there is none.
            ///
            /// # Errors
            /// As said above.
            pub fn is_empty(&self) -> Result<bool> {
                Ok(self.len()? == 0)
            }

            /// A copy of all elements, as they are at one moment.
            ///
            /// # Errors
            /// As said above.
            pub fn to_vec(&self) -> Result<Vec<T>> {
                call(&self.remote, ListOperation::All)
            }

            /// The elements one by one, of the copy that [`to_vec`](Self::to_vec) makes.
            ///
            /// # Errors
            /// As said above.
            pub fn iter(&self) -> Result<std::vec::IntoIter<T>> {
                Ok(self.to_vec()?.into_iter())
            }

            /// Has the server run `task` on all elements, and gives what it returns. Nobody else sees or changes them
            /// meanwhile. All of them are decoded for it; [`update_at`](Self::update_at) decodes one. What a task may do is said
            /// at [`ValueProxy::update`](super::ValueProxy::update).
            ///
            /// # Errors
            /// [`Error::Panicked`](crate::mp::Error::Panicked) when the task panics, [`Error::Refused`](
            /// crate::mp::Error::Refused) when it changes the length of an array, and then everything is as before; and
            /// those said above.
            pub fn update<A: Serialize, R: DeserializeOwned>(
                &self,
                task: Task<Update<Vec<T>, A>, R>,
                args: impl Args<A>,
            ) -> Result<R> {
                change(task, &args.into_task_args(), |change| call(&self.remote, ListOperation::Update(change)))
            }

            /// [`update`](Self::update) of one element.
            ///
            /// # Errors
            /// [`Error::Panicked`](crate::mp::Error::Panicked) when the task panics, and then the element is as before; and
            /// those said above.
            pub fn update_at<A: Serialize, R: DeserializeOwned>(
                &self,
                index: usize,
                task: Task<Update<T, A>, R>,
                args: impl Args<A>,
            ) -> Result<R> {
                let index = index as u64;
                change(task, &args.into_task_args(), |change| {
                    call(&self.remote, ListOperation::UpdateAt(index, change))
                })
            }
        }
    };
}

sequence!(ListProxy);
sequence!(ArrayProxy);

impl<T: Serialize + DeserializeOwned> ListProxy<T> {
    /// Appends an element.
    ///
    /// # Errors
    /// As said above.
    pub fn push(&self, item: &T) -> Result<()> {
        call(&self.remote, ListOperation::Push(Bytes(&encoded(item)?)))
    }

    /// Takes the last element away; None if there is none.
    ///
    /// # Errors
    /// As said above.
    pub fn pop(&self) -> Result<Option<T>> {
        call(&self.remote, ListOperation::Pop)
    }

    /// Puts an element at `index`, and moves those from there on by one place.
    ///
    /// # Errors
    /// As said above.
    pub fn insert(&self, index: usize, item: &T) -> Result<()> {
        call(&self.remote, ListOperation::Insert(index as u64, Bytes(&encoded(item)?)))
    }

    /// Takes the element at `index` away.
    ///
    /// # Errors
    /// As said above.
    pub fn remove(&self, index: usize) -> Result<T> {
        call(&self.remote, ListOperation::Remove(index as u64))
    }

    /// Appends all `items` at once, with one message: a hundred times as fast as one by one.
    ///
    /// # Errors
    /// As said above, and then none is appended.
    pub fn extend(&self, items: impl IntoIterator<Item = T>) -> Result<()> {
        call(&self.remote, ListOperation::Extend(Encodings::of(items)?.iter().collect()))
    }

    /// Removes all elements.
    ///
    /// # Errors
    /// As said above.
    pub fn clear(&self) -> Result<()> {
        call(&self.remote, ListOperation::Clear)
    }
}

fn call<R: DeserializeOwned>(remote: &Remote, operation: ListOperation<'_>) -> Result<R> {
    remote.call(Operation::List(operation))
}
