//! A shared object: a region that says what it is, with a lock of its own.
//!
//! What a header says is read once, when the memory is mapped, and checked against the size of the memory; what others do
//! to it later is of no consequence. It is complete before anybody else can have the descriptor, so no death leaves half of
//! one to be found.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Acquired, Kind, MutexGuard, Region, SharedMutex, named, owner};
use crate::Error;

const MAGIC: u64 = u64::from_ne_bytes(*b"ipcmp-01");

/// Where the words of the header are.
const SHAPE_KIND: usize = 8;
const SHAPE_ELEMENT: usize = 16;
const SHAPE_COUNT: usize = 24;
const ID: usize = 32;
const MARK: usize = 40;
const MAKER: usize = 48;
const LOCK: usize = 64;

/// What an object is and how its data are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Four letters that no other type of object has.
    pub(crate) kind: [u8; 4],
    /// Bytes of an element.
    pub(crate) element: usize,
    /// Elements.
    pub(crate) count: usize,
}

impl Shape {
    /// Bytes of all elements; None if no memory is so large.
    pub(crate) fn size(&self) -> Option<usize> {
        self.element.checked_mul(self.count)
    }
}

/// Bytes of the header that [`Header`] reads.
pub(super) const HEADER: usize = 64;

/// What the header of named memory says of its owner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// Bytes of the data.
    pub(super) size: u64,
    /// See [`owner::mark`]; zero: nobody owns the name.
    pub(super) mark: u64,
    /// The process that made it.
    pub(super) maker: u32,
}

impl Header {
    /// None if these are not the first bytes of an object.
    pub(super) fn parse(bytes: &[u8; HEADER]) -> Option<Self> {
        let word = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
        let size = word(SHAPE_ELEMENT).checked_mul(word(SHAPE_COUNT))?;
        (word(0) == MAGIC).then(|| Self { size, mark: word(MARK), maker: word(MAKER) as u32 })
    }
}

/// Shared memory with a header and a lock in front of the data.
#[derive(Debug)]
pub(crate) struct Object {
    mutex: SharedMutex,
    shape: Shape,
    id: u64,
}

impl Object {
    /// Where the data begin. Their first byte is as aligned as this number.
    pub(crate) const DATA: usize = 128;

    /// A new object whose data are zero.
    ///
    /// # Errors
    /// As [`Region::create`].
    pub(crate) fn create(shape: Shape, lock: Kind) -> Result<Self, Error> {
        let size = Self::size(shape)?;
        let name = String::from_utf8_lossy(&shape.kind);
        Self::format(Region::create(name.trim_end(), size)?, shape, lock)
    }

    /// Bytes that an object needs with its header.
    ///
    /// # Errors
    /// When no memory is so large.
    pub(crate) fn size(shape: Shape) -> Result<usize, Error> {
        let size = shape.size().and_then(|size| size.checked_add(Self::DATA));
        size.ok_or_else(|| Error::refused("cannot create shared memory", "", "it is larger than any memory"))
    }

    /// Makes an object of memory that is zero and that nobody else knows yet.
    ///
    /// # Errors
    /// As [`SharedMutex::create`].
    pub(crate) fn format(region: Region, shape: Shape, lock: Kind) -> Result<Self, Error> {
        // The hasher's keys are random (getrandom(2)), and change with every call.
        let id = RandomState::new().build_hasher().finish();
        let mutex = SharedMutex::create(Arc::new(region), LOCK, lock)?;
        let region = mutex.region();
        region.atomic_u64(SHAPE_KIND).store(u32::from_ne_bytes(shape.kind).into(), Ordering::Relaxed);
        region.atomic_u64(SHAPE_ELEMENT).store(shape.element as u64, Ordering::Relaxed);
        region.atomic_u64(SHAPE_COUNT).store(shape.count as u64, Ordering::Relaxed);
        region.atomic_u64(ID).store(id, Ordering::Relaxed);
        region.atomic_u64(0).store(MAGIC, Ordering::Release);
        Ok(Self { mutex, shape, id })
    }

    /// The object that another process made and handed over as `file`.
    ///
    /// # Errors
    /// When it is none, or one of another kind or with elements of another size.
    pub(crate) fn open(file: OwnedFd, kind: [u8; 4], element: Option<usize>) -> Result<Self, Error> {
        Self::check(Region::open_sealed(file)?, kind, element)
    }

    /// The object in `region`.
    ///
    /// # Errors
    /// As [`Object::open`].
    pub(crate) fn check(region: Region, kind: [u8; 4], element: Option<usize>) -> Result<Self, Error> {
        let refused = |why: &str| Err(Error::refused("cannot use shared memory", "", why));
        if region.size() < Self::DATA || region.atomic_u64(0).load(Ordering::Acquire) != MAGIC {
            return refused("it was not made by this version of ipcpipe");
        }
        let word = |at: usize| region.atomic_u64(at).load(Ordering::Relaxed);
        let shape = Shape {
            kind: (word(SHAPE_KIND) as u32).to_ne_bytes(),
            element: word(SHAPE_ELEMENT) as usize,
            count: word(SHAPE_COUNT) as usize,
        };
        let id = word(ID);
        if shape.kind != kind {
            return refused("it holds an object of another kind");
        }
        if element.is_some_and(|element| element != shape.element) {
            return refused("its elements have another size");
        }
        if Self::size(shape).ok() != Some(region.size()) {
            return refused("its header does not fit its size");
        }
        Ok(Self { mutex: SharedMutex::attach(Arc::new(region), LOCK), shape, id })
    }

    /// Makes this process the owner of the name that the memory is about to get.
    ///
    /// # Errors
    /// EMFILE, for the moment of a second descriptor.
    pub(crate) fn claim(&self, name: &str) -> Result<(), Error> {
        owner::hold(self.fd())?;
        let word = |at| self.region().atomic_u64(at);
        word(MAKER).store(std::process::id().into(), Ordering::Relaxed);
        word(MARK).store(owner::mark(name, named::identity(self.fd())?), Ordering::Release);
        Ok(())
    }

    /// From now on the name is nobody's, and stays.
    pub(crate) fn disclaim(&self) {
        self.region().atomic_u64(MARK).store(0, Ordering::Release);
    }

    /// True until [`disclaim`](Self::disclaim), by whatever process.
    pub(crate) fn is_claimed(&self) -> bool {
        self.region().atomic_u64(MARK).load(Ordering::Acquire) != 0
    }

    /// The descriptor by which another process gets at it.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.mutex.region().fd()
    }

    /// The memory, header and all.
    pub(crate) fn region(&self) -> &Region {
        self.mutex.region()
    }

    /// What it is.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// A number that tells it from every other object, whoever maps it.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Takes the lock; see [`SharedMutex::lock`].
    #[inline(always)]
    pub(crate) fn lock(&self, deadline: Option<Instant>) -> Acquired<MutexGuard<'_>> {
        self.mutex.lock(deadline)
    }

    /// Takes the lock if it is free.
    #[inline]
    pub(crate) fn try_lock(&self) -> Acquired<MutexGuard<'_>> {
        self.mutex.try_lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { kind: *b"test", element: 8, count: 3 };

    fn reopen(object: &Object, kind: [u8; 4], element: usize) -> Result<Object, Error> {
        Object::open(object.fd().try_clone_to_owned().unwrap(), kind, Some(element))
    }

    #[test]
    fn an_object_is_found_again_as_what_it_is_and_nothing_else() {
        let made = Object::create(SHAPE, Kind::Plain).unwrap();
        let found = reopen(&made, *b"test", 8).unwrap();
        assert_eq!((found.shape(), found.id()), (SHAPE, made.id()));
        assert!(reopen(&made, *b"lock", 8).is_err());
        assert!(reopen(&made, *b"test", 4).is_err());
        assert_ne!(Object::create(SHAPE, Kind::Plain).unwrap().id(), made.id());
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        for (at, value) in [(0, 1), (SHAPE_COUNT, 4), (SHAPE_COUNT, u64::MAX), (SHAPE_COUNT, 2), (SHAPE_KIND, 0)] {
            let made = Object::create(SHAPE, Kind::Plain).unwrap();
            made.region().atomic_u64(at).store(value, Ordering::Relaxed);
            assert!(reopen(&made, *b"test", 8).is_err(), "{value} at {at} was accepted");
        }
    }

    #[test]
    fn memory_that_is_too_small_for_a_header_is_refused() {
        let region = Region::create("test", 16).unwrap();
        assert!(Object::open(region.fd().try_clone_to_owned().unwrap(), *b"test", None).is_err());
        assert!(Object::create(Shape { count: usize::MAX, ..SHAPE }, Kind::Plain).is_err());
    }
}
