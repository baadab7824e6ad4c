//! One number or truth that processes share without a lock.
//!
//! Kill points: none. Each operation is one instruction of the processor, which happens or does not.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Value;
use crate::mp::Result;
use crate::mp::handed::{Handed, by_descriptor};
use crate::sys::shared::{Kind, Object, Shape};

mod sealed {
    /// How a type lies in a word of 64 bits.
    pub trait Word: Copy + 'static {
        #[doc(hidden)]
        fn to_word(self) -> u64;
        #[doc(hidden)]
        fn from_word(word: u64) -> Self;
    }
}

/// What one instruction of the processor can read and write: the integers up to 64 bits, and `bool`.
#[diagnostic::on_unimplemented(
    message = "one instruction of the processor cannot read and write `{Self}`",
    label = "neither an integer of up to 64 bits nor `bool`",
    note = "`Value::new` keeps it under a lock"
)]
pub trait Atomic: sealed::Word + PartialEq {}

/// The integers among them.
#[diagnostic::on_unimplemented(
    message = "one instruction of the processor cannot count with `{Self}`",
    label = "not an integer of up to 64 bits",
    note = "`Value::new` keeps it under a lock, and `update` changes it there"
)]
pub trait Integer: Atomic {}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl sealed::Word for $type {
            #[inline]
            fn to_word(self) -> u64 {
                self as u64
            }

            #[inline]
            fn from_word(word: u64) -> Self {
                word as Self
            }
        }
        impl Atomic for $type {}
        impl Integer for $type {}
    )*};
}

integers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

impl sealed::Word for bool {
    #[inline]
    fn to_word(self) -> u64 {
        self.into()
    }

    #[inline]
    fn from_word(word: u64) -> Self {
        word & 1 == 1
    }
}

impl Atomic for bool {}

/// A number or truth in shared memory without a lock: each operation is one instruction, so nobody waits for anybody, and
/// nobody's death concerns the others.
///
/// A clone is another handle of the same word. All operations are sequentially consistent.
///
/// ```
/// use ipcpipe::mp::Value;
///
/// let n = Value::unlocked(40_i32)?;
/// assert_eq!(n.fetch_add(2), 40);
/// assert_eq!(n.load(), 42);
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
pub struct Unlocked<T> {
    shared: Arc<Object>,
    holds: PhantomData<fn() -> T>,
}

const KIND: [u8; 4] = *b"atom";

impl<T: Atomic> Unlocked<T> {
    /// The word is 8 bytes long in any case; the size of an element tells the types apart.
    const SHAPE: Shape = Shape { kind: KIND, element: size_of::<T>(), count: 8 / size_of::<T>() };

    /// A new shared word; [`Value::unlocked`] is the same.
    ///
    /// # Errors
    /// [`Error::System`](crate::mp::Error::System): out of memory or of descriptors.
    pub fn new(value: T) -> Result<Self> {
        let made = Self { shared: Arc::new(Object::create(Self::SHAPE, Kind::Plain)?), holds: PhantomData };
        made.store(value);
        Ok(made)
    }

    #[inline]
    fn word(&self) -> &AtomicU64 {
        self.shared.region().atomic_u64(Object::DATA)
    }

    /// What it is now.
    #[inline]
    #[must_use]
    pub fn load(&self) -> T {
        T::from_word(self.word().load(Ordering::SeqCst))
    }

    /// Replaces it.
    #[inline]
    pub fn store(&self, value: T) {
        self.word().store(value.to_word(), Ordering::SeqCst);
    }

    /// Replaces it and answers what it was.
    #[inline]
    pub fn swap(&self, value: T) -> T {
        T::from_word(self.word().swap(value.to_word(), Ordering::SeqCst))
    }

    /// Replaces it by `new` if it is `current`. Answers what it was.
    ///
    /// # Errors
    /// What it is, if that is not `current`; it is not replaced then.
    #[inline]
    pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        self.fetch_update(|it| (it == current).then_some(new))
    }

    /// Replaces it by what `change` makes of it, unless that is None; `change` is called again if somebody else was
    /// faster. Answers what it was.
    ///
    /// # Errors
    /// What it is, if `change` answered None.
    pub fn fetch_update(&self, mut change: impl FnMut(T) -> Option<T>) -> Result<T, T> {
        let change = |word| change(T::from_word(word)).map(T::to_word);
        let done = self.word().try_update(Ordering::SeqCst, Ordering::SeqCst, change);
        done.map(T::from_word).map_err(T::from_word)
    }
}

impl<T: Integer> Unlocked<T> {
    /// Adds to it, around the end of its range, and answers what it was.
    // The word may run over its type's bits, which from_word cuts off: the lower bits of a sum depend on no others.
    #[inline]
    pub fn fetch_add(&self, value: T) -> T {
        T::from_word(self.word().fetch_add(value.to_word(), Ordering::SeqCst))
    }

    /// Takes from it, around the end of its range, and answers what it was.
    #[inline]
    pub fn fetch_sub(&self, value: T) -> T {
        T::from_word(self.word().fetch_sub(value.to_word(), Ordering::SeqCst))
    }
}

impl<T: Atomic> Value<T> {
    /// A new shared number or truth without a lock.
    ///
    /// # Errors
    /// [`Error::System`](crate::mp::Error::System): out of memory or of descriptors.
    pub fn unlocked(value: T) -> Result<Unlocked<T>> {
        Unlocked::new(value)
    }
}

impl<T: Atomic> Handed for Unlocked<T> {
    fn fd(&self) -> BorrowedFd<'_> {
        self.shared.fd()
    }

    fn attach(file: OwnedFd) -> Result<Self, crate::Error> {
        let object = Object::open(file, KIND, Some(size_of::<T>()))?;
        if object.shape() != Self::SHAPE {
            return Err(crate::Error::refused("cannot use a shared word", "", "it is no single word"));
        }
        Ok(Self { shared: Arc::new(object), holds: PhantomData })
    }
}

by_descriptor!(Unlocked<T>, T: Atomic);

impl<T> Clone for Unlocked<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), holds: PhantomData }
    }
}

impl<T: Atomic + fmt::Debug> fmt::Debug for Unlocked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unlocked").field(&self.load()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b21_small_types_wrap_around_as_they_do_alone() {
        let small = Unlocked::new(i8::MAX).unwrap();
        assert_eq!(small.fetch_add(1), i8::MAX);
        assert_eq!(small.load(), i8::MIN);
        assert_eq!(small.fetch_sub(1), i8::MIN);
        assert_eq!(small.compare_exchange(i8::MAX, -3), Ok(i8::MAX));
        assert_eq!(small.compare_exchange(5, 6), Err(-3));
        assert_eq!(small.swap(9), -3);
        let byte = Unlocked::new(0_u8).unwrap();
        byte.fetch_sub(1);
        assert_eq!(byte.compare_exchange(255, 7), Ok(255));
        assert_eq!(format!("{byte:?}"), "Unlocked(7)");
    }

    #[test]
    fn b21_a_truth_can_be_claimed_once() {
        let claimed = Value::unlocked(false).unwrap();
        assert_eq!(claimed.compare_exchange(false, true), Ok(false));
        assert_eq!(claimed.clone().compare_exchange(false, true), Err(true));
    }
}
