//! Maps.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::{Encodings, encoded};
use super::protocol::{Bytes, DictOperation, Operation};
use super::proxy::proxy;
use super::value::change;
use crate::mp::Result;
use crate::mp::task::{Args, Task, Update};

proxy! {
    /// A map that a [`Manager`](super::Manager) keeps.
    ///
    /// Two keys are the same if serde encodes them to the same bytes. The entries have no order.
    ///
    /// ```standalone_crate
    /// use std::collections::BTreeMap;
    ///
    /// use ipcpipe::{mp::Manager, task};
    ///
    /// fn bump(hits: &mut Option<u64>) -> u64 {
    ///     *hits.insert(hits.unwrap_or(0) + 1)
    /// }
    ///
    /// # fn main() -> ipcpipe::mp::Result<()> {
    /// # ipcpipe::init();
    /// let manager = Manager::start()?;
    /// let hits = manager.dict::<String, u64>()?;
    /// hits.set("a", &1)?;
    /// assert_eq!(hits.update_key("a", task!(bump), ())?, 2);
    /// assert_eq!(hits.get("b")?, None);
    /// assert_eq!(hits.to_map::<BTreeMap<_, _>>()?, BTreeMap::from([("a".to_owned(), 2)]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Operations fail with [`Error::ManagerGone`](crate::mp::Error::ManagerGone) after the end of the manager,
    /// [`Error::Refused`](crate::mp::Error::Refused) when the object was removed, and
    /// [`Error::Codec`](crate::mp::Error::Codec) for a key or value that has no encoding. They wait for an update that is
    /// running.
    DictProxy<K, V>
}

/// A type of map with keys `K` and values `V`: [`HashMap`] or [`BTreeMap`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a map from `{K}` to `{V}`",
    label = "the task changes a `{Self}`",
    note = "the first argument of the task is `&mut HashMap<{K}, {V}>` or `&mut BTreeMap<{K}, {V}>`"
)]
pub trait Map<K, V>: sealed::Sealed {}

impl<K: Eq + Hash, V, S> Map<K, V> for HashMap<K, V, S> {}
impl<K: Ord, V> Map<K, V> for BTreeMap<K, V> {}

mod sealed {
    pub trait Sealed {}

    impl<K, V, S> Sealed for std::collections::HashMap<K, V, S> {}
    impl<K, V> Sealed for std::collections::BTreeMap<K, V> {}
}

impl<K: Serialize + DeserializeOwned, V: Serialize + DeserializeOwned> DictProxy<K, V> {
    /// Sets the value of a key.
    ///
    /// # Errors
    /// As said above.
    pub fn set<Q: Serialize + ?Sized>(&self, key: &Q, value: &V) -> Result<()>
    where
        K: Borrow<Q>,
    {
        self.call(DictOperation::Set(Bytes(&encoded(key)?), Bytes(&encoded(value)?)))
    }

    /// Sets the value of a key, and gives the one that it had.
    ///
    /// # Errors
    /// As said above.
    pub fn insert<Q: Serialize + ?Sized>(&self, key: &Q, value: &V) -> Result<Option<V>>
    where
        K: Borrow<Q>,
    {
        self.call(DictOperation::Insert(Bytes(&encoded(key)?), Bytes(&encoded(value)?)))
    }

    /// The value of a key, which is set to `value` before if there is none.
    ///
    /// # Errors
    /// As said above.
    pub fn get_or_insert<Q: Serialize + ?Sized>(&self, key: &Q, value: &V) -> Result<V>
    where
        K: Borrow<Q>,
    {
        self.call(DictOperation::GetOrInsert(Bytes(&encoded(key)?), Bytes(&encoded(value)?)))
    }

    /// The value of a key; None if the map does not have the key.
    ///
    /// # Errors
    /// As said above.
    pub fn get<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
    {
        self.call(DictOperation::Get(Bytes(&encoded(key)?)))
    }

    /// Removes a key, and gives the value that it had.
    ///
    /// # Errors
    /// As said above.
    pub fn remove<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
    {
        self.call(DictOperation::Remove(Bytes(&encoded(key)?)))
    }

    /// True if the map has the key.
    ///
    /// # Errors
    /// As said above.
    pub fn contains_key<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
    {
        self.call(DictOperation::Contains(Bytes(&encoded(key)?)))
    }

    /// How many keys there are.
    ///
    /// # Errors
    /// As said above.
    pub fn len(&self) -> Result<usize> {
        self.call(DictOperation::Len)
    }

    /// True if there is none.
    ///
    /// # Errors
    /// As said above.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Sets many keys at once, with one message: a hundred times as fast as one by one.
    ///
    /// # Errors
    /// As said above, and then none is set.
    pub fn extend(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<()> {
        let (keys, values): (Vec<K>, Vec<V>) = entries.into_iter().unzip();
        let (keys, values) = (Encodings::of(keys)?, Encodings::of(values)?);
        self.call(DictOperation::Extend(keys.iter().zip(values.iter()).collect()))
    }

    /// Removes all keys.
    ///
    /// # Errors
    /// As said above.
    pub fn clear(&self) -> Result<()> {
        self.call(DictOperation::Clear)
    }

    /// A copy of all keys, in no order.
    ///
    /// # Errors
    /// As said above.
    pub fn keys(&self) -> Result<Vec<K>> {
        self.call(DictOperation::Keys)
    }

    /// A copy of all values, in no order.
    ///
    /// # Errors
    /// As said above.
    pub fn values(&self) -> Result<Vec<V>> {
        self.call(DictOperation::Values)
    }

    /// A copy of the whole map, as it is at one moment: a [`HashMap`] or a [`BTreeMap`].
    ///
    /// # Errors
    /// As said above.
    pub fn to_map<M: Map<K, V> + DeserializeOwned>(&self) -> Result<M> {
        self.call(DictOperation::All)
    }

    /// Has the server run `task` on the whole map, a [`HashMap`] or a [`BTreeMap`] as the task wants it, and gives what it
    /// returns. Nobody else sees or changes the map meanwhile. All of it is decoded for that; [`update_key`](
    /// Self::update_key) decodes one value. What a task may do is said at [`ValueProxy::update`](super::ValueProxy::update).
    ///
    /// # Errors
    /// [`Error::Panicked`](crate::mp::Error::Panicked) when the task panics, and then the map is as before; and those said
    /// above.
    pub fn update<M: Map<K, V>, A: Serialize, R: DeserializeOwned>(
        &self,
        task: Task<Update<M, A>, R>,
        args: impl Args<A>,
    ) -> Result<R> {
        change(task, &args.into_task_args(), |change| self.call(DictOperation::Update(change)))
    }

    /// [`update`](Self::update) of one value: the task finds None if there is no such key, and leaves None to remove it.
    ///
    /// # Errors
    /// [`Error::Panicked`](crate::mp::Error::Panicked) when the task panics, and then the value is as before; and those
    /// said above.
    pub fn update_key<Q: Serialize + ?Sized, A: Serialize, R: DeserializeOwned>(
        &self,
        key: &Q,
        task: Task<Update<Option<V>, A>, R>,
        args: impl Args<A>,
    ) -> Result<R>
    where
        K: Borrow<Q>,
    {
        let key = encoded(key)?;
        change(task, &args.into_task_args(), |change| self.call(DictOperation::UpdateKey(Bytes(&key), change)))
    }

    fn call<R: DeserializeOwned>(&self, operation: DictOperation<'_>) -> Result<R> {
        self.remote.call(Operation::Dict(operation))
    }
}
