//! Elements of one type that processes share.
//!
//! Kill points: a holder that is killed while he writes leaves some elements new and some old; every mixture is an array of
//! the type, and the next taker of the lock is told.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zerocopy::FromBytes as _;

use super::Plain;
use super::block::handle;
use super::segment;
use crate::mp::attempt::{Attempt, Kind, Verb};
use crate::mp::sync::{OwnerDied, TryLockError, with_deadline, without_deadline};
use crate::mp::wire::Handle;
use crate::mp::{Error, Result};
use crate::sys::shared::{Guarded, Held, Object, Region, Shape, deadline_in};

/// A fixed number of elements in shared memory, with one lock for all of them.
///
/// A clone is another handle of the same array. Each call locks: for many elements take the [`lock`](Self::lock) once,
/// which gives a slice. About the death of a holder see [`Value`](super::Value).
///
/// ```
/// use ipcpipe::mp::Array;
///
/// let array = Array::from_slice(&[1_i32, 2, 3])?;
/// array.set(0, 5)?;
/// array.lock()?.reverse();
/// assert_eq!(array.get(2)?, 5);
/// assert_eq!(array.slice(0..2)?, [3, 2]);
/// assert_eq!(array.iter()?.sum::<i32>(), 10);
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
pub struct Array<T> {
    shared: Arc<Guarded>,
    len: usize,
    holds: PhantomData<fn() -> T>,
}

const KIND: [u8; 4] = *b"arra";

impl<T: Plain> Array<T> {
    const FITS: () = {
        assert!(align_of::<T>() <= Object::DATA, "a type that wants to be aligned to more than 128 bytes");
        assert!(size_of::<T>() > 0, "elements without any bytes");
    };

    /// A new array of `len` elements, all zero.
    ///
    /// # Errors
    /// [`Error::System`]: there is not so much memory, or no descriptor.
    pub fn new(len: usize) -> Result<Self> {
        let () = Self::FITS;
        let shape = Shape { kind: KIND, element: size_of::<T>(), count: len };
        Ok(Self { shared: Arc::new(Guarded::create(shape)?), len, holds: PhantomData })
    }

    /// The elements that are the first bytes of a block.
    pub(super) fn view(shared: &Arc<Guarded>, len: usize) -> Result<Self> {
        let () = Self::FITS;
        let size = shared.shape().count;
        if len.checked_mul(size_of::<T>()).is_none_or(|needed| needed > size) {
            let element = size_of::<T>();
            return Err(Error::Refused(format!("{len} elements of {element} bytes do not fit a block of {size}")));
        }
        Ok(Self { shared: Arc::clone(shared), len, holds: PhantomData })
    }

    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the lock and gives access to all elements; blocks while somebody else holds it.
    ///
    /// # Errors
    /// [`OwnerDied`] if the last holder died: the guard in it holds the lock.
    ///
    /// # Panics
    /// When this thread holds it already, since it would wait for itself for ever.
    #[inline(always)]
    pub fn lock(&self) -> Result<ArrayGuard<'_, T>, OwnerDied<ArrayGuard<'_, T>>> {
        without_deadline(self.shared.lock(None).map(|held| self.guard(held)), || self.attempt())
    }

    /// The same, but does not block.
    ///
    /// # Errors
    /// [`TryLockError::TimedOut`] if somebody holds the lock; [`TryLockError::OwnerDied`].
    pub fn try_lock(&self) -> Result<ArrayGuard<'_, T>, TryLockError<ArrayGuard<'_, T>>> {
        with_deadline(self.shared.try_lock().map(|held| self.guard(held)), Duration::ZERO, || self.attempt())
    }

    /// The same, but blocks for `time` at most.
    ///
    /// # Errors
    /// [`TryLockError::TimedOut`] when the time is over; [`TryLockError::OwnerDied`].
    pub fn lock_timeout(&self, time: Duration) -> Result<ArrayGuard<'_, T>, TryLockError<ArrayGuard<'_, T>>> {
        let Some(deadline) = deadline_in(time) else { return Ok(self.lock()?) };
        with_deadline(self.shared.lock(Some(deadline)).map(|held| self.guard(held)), time, || self.attempt())
    }

    fn attempt(&self) -> Attempt {
        Attempt::new(Verb::Take, Kind::Array, self.shared.inode())
    }

    #[inline(always)]
    fn guard<'a>(&self, held: Held<'a>) -> ArrayGuard<'a, T> {
        ArrayGuard { held, size: self.len * size_of::<T>(), holds: PhantomData }
    }

    /// Replaces the element at `index`.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is none; [`Error::OwnerDied`] if the last holder of the lock died, and nothing is
    /// replaced then.
    pub fn set(&self, index: usize, value: T) -> Result<()> {
        let mut elements = self.lock()?;
        *elements.get_mut(index).ok_or_else(|| self.outside(index))? = value;
        Ok(())
    }

    /// Changes the elements by `change` and answers what that answers; nobody else sees or changes them meanwhile.
    ///
    /// # Errors
    /// [`Error::OwnerDied`] if the last holder of the lock died; `change` is not called then.
    pub fn update<R>(&self, change: impl FnOnce(&mut [T]) -> R) -> Result<R> {
        Ok(change(&mut self.lock()?))
    }

    fn outside(&self, index: usize) -> Error {
        Error::Refused(format!("no element {index} in an array of {}", self.len))
    }
}

impl<T: Plain + Copy> Array<T> {
    /// A new array with these elements.
    ///
    /// # Errors
    /// As [`Array::new`].
    pub fn from_slice(elements: &[T]) -> Result<Self> {
        let made = Self::new(elements.len())?;
        made.lock()?.copy_from_slice(elements);
        Ok(made)
    }

    /// A copy of the element at `index`.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is none; [`Error::OwnerDied`] if the last holder of the lock died.
    pub fn get(&self, index: usize) -> Result<T> {
        self.lock()?.get(index).copied().ok_or_else(|| self.outside(index))
    }

    /// A copy of some elements in a row, all of the same moment.
    ///
    /// # Errors
    /// [`Error::Refused`] if they are not all there; [`Error::OwnerDied`] if the last holder of the lock died.
    pub fn slice(&self, range: Range<usize>) -> Result<Vec<T>> {
        let elements = self.lock()?;
        let refused = || Error::Refused(format!("elements {range:?} are not in an array of {}", self.len));
        elements.get(range.clone()).map(<[T]>::to_vec).ok_or_else(refused)
    }

    /// A copy of all elements, of the same moment.
    ///
    /// # Errors
    /// [`Error::OwnerDied`] if the last holder of the lock died.
    pub fn to_vec(&self) -> Result<Vec<T>> {
        Ok(self.lock()?.to_vec())
    }

    /// Copies of all elements, made now, one after the other.
    ///
    /// # Errors
    /// [`Error::OwnerDied`] if the last holder of the lock died.
    pub fn iter(&self) -> Result<std::vec::IntoIter<T>> {
        Ok(self.to_vec()?.into_iter())
    }
}

impl<T> Clone for Array<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), len: self.len, holds: PhantomData }
    }
}

impl<T> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array").field("len", &self.len).finish_non_exhaustive()
    }
}

impl<T: Plain> Serialize for Array<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_view = self.shared.shape().kind != KIND;
        (self.len, is_view, handle(&self.shared)?).serialize(serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for Array<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (len, is_view, file) = <(usize, bool, Handle)>::deserialize(deserializer)?;
        let open = || {
            let file = file.into_fd()?;
            if is_view {
                let shared = Guarded::check(Region::open_file(file)?, segment::KIND, Some(1))?;
                return Self::view(&Arc::new(shared), len);
            }
            let () = Self::FITS;
            let shared = Guarded::open(file, KIND, Some(size_of::<T>()))?;
            if shared.shape().count != len {
                return Err(Error::codec("an array of another length"));
            }
            Ok(Self { shared: Arc::new(shared), len, holds: PhantomData })
        };
        open().map_err(D::Error::custom)
    }
}

/// The elements of an [`Array`], as long as its lock is held.
#[must_use = "the lock is free again when this is dropped"]
pub struct ArrayGuard<'a, T> {
    held: Held<'a>,
    /// Bytes of all elements.
    size: usize,
    holds: PhantomData<T>,
}

impl<T: Plain> Deref for ArrayGuard<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        <[T]>::ref_from_bytes(&self.held[..self.size]).unwrap_or_else(|_| unreachable!("memory of another size"))
    }
}

impl<T: Plain> DerefMut for ArrayGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        let size = self.size;
        <[T]>::mut_from_bytes(&mut self.held[..size]).unwrap_or_else(|_| unreachable!("memory of another size"))
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for ArrayGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp::wire::{decode_with_handles, encode_with_handles};

    #[test]
    fn b22_an_array_is_indexed_sliced_and_changed_as_a_whole() {
        let array = Array::from_slice(&[1.0_f64, 2.0, 3.0]).unwrap();
        assert_eq!((array.len(), array.is_empty()), (3, false));
        array.update(|all| all.iter_mut().for_each(|it| *it *= 2.0)).unwrap();
        array.set(2, 9.0).unwrap();
        assert_eq!(array.slice(1..3).unwrap(), [4.0, 9.0]);
        assert_eq!(array.iter().unwrap().rev().collect::<Vec<_>>(), [9.0, 4.0, 2.0]);
        assert!(matches!(array.get(3), Err(Error::Refused(_))));
        assert!(array.set(3, 0.0).is_err());
        assert!(array.slice(2..4).is_err());
    }

    #[test]
    fn b22_an_array_of_nothing_and_one_beyond_any_memory() {
        let empty = Array::<u64>::new(0).unwrap();
        assert!(empty.is_empty() && empty.lock().unwrap().is_empty());
        assert!(Array::<u64>::new(usize::MAX).is_err());
        assert!(Array::<u64>::new(1 << 60).is_err());
    }

    #[test]
    fn b22_an_array_is_sent_as_what_it_is() {
        let array = Array::from_slice(&[1_u16, 2, 3]).unwrap();
        let send = || encode_with_handles(&array).unwrap();
        let got: Array<u16> = decode_with_handles(send()).unwrap();
        got.set(0, 7).unwrap();
        assert_eq!(array.to_vec().unwrap(), [7, 2, 3]);
        assert!(decode_with_handles::<Array<u32>>(send()).is_err());
        assert!(decode_with_handles::<super::super::SharedMemory>(send()).is_err());
    }
}
