//! Bytes that processes share and that only the holder of their lock can reach.
//!
//! A holder that is killed leaves the bytes as far as he had written them; the next taker is told so by the lock.

#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use super::object::{Object, Shape};
use super::{Acquired, Kind, MutexGuard, Region};
use crate::Error;

/// An object whose data are reached under its lock and in no other way.
#[derive(Debug)]
pub(crate) struct Guarded(Object);

impl Guarded {
    /// New bytes, all zero.
    ///
    /// # Errors
    /// As [`Region::create`].
    pub(crate) fn create(shape: Shape) -> Result<Self, Error> {
        Object::create(shape, Kind::Plain).map(Self)
    }

    /// Those that another process made.
    ///
    /// # Errors
    /// As [`Object::open`].
    pub(crate) fn open(file: OwnedFd, kind: [u8; 4], element: Option<usize>) -> Result<Self, Error> {
        Object::open(file, kind, element).map(Self)
    }

    /// Bytes in memory that is zero and that nobody else knows yet.
    ///
    /// # Errors
    /// As [`Object::format`].
    pub(crate) fn format(region: Region, shape: Shape) -> Result<Self, Error> {
        Object::format(region, shape, Kind::Plain).map(Self)
    }

    /// Those in `region`.
    ///
    /// # Errors
    /// As [`Object::check`].
    pub(crate) fn check(region: Region, kind: [u8; 4], element: Option<usize>) -> Result<Self, Error> {
        Object::check(region, kind, element).map(Self)
    }

    /// What they are.
    pub(crate) fn shape(&self) -> Shape {
        self.0.shape()
    }

    /// The descriptor by which another process gets at them.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// Makes this process the owner of the name that they are about to get; see [`Object::claim`].
    ///
    /// # Errors
    /// As [`Object::claim`].
    pub(crate) fn claim(&self, name: &str) -> Result<(), Error> {
        self.0.claim(name)
    }

    /// From now on their name is nobody's, and stays.
    pub(crate) fn disclaim(&self) {
        self.0.disclaim();
    }

    /// True until somebody has said that their name stays.
    pub(crate) fn is_claimed(&self) -> bool {
        self.0.is_claimed()
    }

    /// What /proc/PID/maps shows them as.
    pub(crate) fn inode(&self) -> u64 {
        self.0.region().inode()
    }

    /// Takes the lock; see [`super::SharedMutex::lock`].
    #[inline(always)]
    pub(crate) fn lock(&self, deadline: Option<Instant>) -> Acquired<Held<'_>> {
        self.0.lock(deadline).map(|guard| self.hold(guard))
    }

    /// Takes the lock if it is free.
    #[inline]
    pub(crate) fn try_lock(&self) -> Acquired<Held<'_>> {
        self.0.try_lock().map(|guard| self.hold(guard))
    }

    #[inline(always)]
    fn hold<'a>(&'a self, guard: MutexGuard<'a>) -> Held<'a> {
        // The region is at least as long as its header says; `check` and `create` saw to that.
        let length = self.0.region().size() - Object::DATA;
        Held { bytes: self.0.region().at(Object::DATA, length), length, _guard: guard }
    }
}

/// The bytes, as long as the lock is held. They begin at a multiple of [`Object::DATA`].
#[derive(Debug)]
pub(crate) struct Held<'a> {
    bytes: *mut u8,
    length: usize,
    _guard: MutexGuard<'a>,
}

impl Deref for Held<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are mapped as long as the guard borrows the object, and writers need the lock that it holds.
        unsafe { std::slice::from_raw_parts(self.bytes, self.length) }
    }
}

impl DerefMut for Held<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and readers need the lock as well.
        unsafe { std::slice::from_raw_parts_mut(self.bytes, self.length) }
    }
}
