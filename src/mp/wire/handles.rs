//! Descriptors inside values: the bytes hold an index into those that go with the message.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::mp::Error;
use crate::sys::fd::duplicate;

thread_local! {
    /// What this thread does with descriptors now. One that encodes inside an encoding sets the outer one aside.
    static SCOPE: RefCell<Scope> = const { RefCell::new(Scope { collect: None, supply: None }) };
}

/// What is done with the descriptors that serde comes across.
#[derive(Default)]
struct Scope {
    /// Those of values that are encoded.
    collect: Option<Collected>,
    /// Those for values that are decoded.
    supply: Option<Vec<Option<Arc<OwnedFd>>>>,
}

/// The descriptors of the values so far.
#[derive(Default)]
struct Collected(Vec<Collectable>);

enum Collectable {
    Shared(Arc<OwnedFd>),
    Copy(Result<OwnedFd, Error>),
}

impl Collected {
    fn share(&mut self, fd: &Arc<OwnedFd>) -> usize {
        let is_same = |it: &Collectable| matches!(it, Collectable::Shared(other) if Arc::ptr_eq(fd, other));
        // Messages hold few, and most hold none, so nothing is kept for the search.
        self.0.iter().position(is_same).unwrap_or_else(|| {
            self.0.push(Collectable::Shared(Arc::clone(fd)));
            self.0.len() - 1
        })
    }

    fn copy(&mut self, fd: BorrowedFd<'_>) -> usize {
        self.0.push(Collectable::Copy(copy(fd)));
        self.0.len() - 1
    }
}

fn copy(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    duplicate(fd, "another descriptor of a shared object").map_err(Error::from)
}

/// Puts the scope back that was there before, also when serde or a user's code under it panics.
struct Restore(Option<Scope>);

impl Restore {
    /// Begins `scope`.
    fn after(scope: Scope) -> Self {
        Self(Some(SCOPE.replace(scope)))
    }

    /// Ends the scope that was begun, and gives it.
    fn now(mut self) -> Scope {
        self.0.take().map_or_else(Scope::default, |outer| SCOPE.replace(outer))
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        if let Some(outer) = self.0.take() {
            drop(SCOPE.replace(outer));
        }
    }
}

/// Runs `encode` and gives copies of the descriptors that it came across, in the order of their indices.
pub(crate) fn collect(encode: impl FnOnce() -> Result<(), Error>) -> Result<Vec<OwnedFd>, Error> {
    let outer = Restore::after(Scope { collect: Some(Collected::default()), supply: None });
    let encoded = encode();
    let scope = outer.now();
    encoded?;
    copies(scope)
}

/// Runs `call`, which may ask for `fds` and come across others: copies of those, in the order of their indices.
pub(crate) fn exchange(fds: Vec<OwnedFd>, call: impl FnOnce() -> Result<(), Error>) -> Result<Vec<OwnedFd>, Error> {
    let supply = Some(fds.into_iter().map(|fd| Some(Arc::new(fd))).collect());
    let outer = Restore::after(Scope { collect: Some(Collected::default()), supply });
    let called = call();
    let scope = outer.now();
    called?;
    copies(scope)
}

/// Runs `call`, in which values are encoded and decoded that are no part of the message under way.
pub(crate) fn aside<T>(call: impl FnOnce() -> T) -> T {
    let outer = Restore::after(Scope::default());
    let value = call();
    drop(outer.now());
    value
}

fn copies(scope: Scope) -> Result<Vec<OwnedFd>, Error> {
    let collected = scope.collect.map_or_else(Vec::new, |collected| collected.0);
    let copies = collected.into_iter().map(|fd| match fd {
        Collectable::Shared(fd) => copy(fd.as_fd()),
        Collectable::Copy(fd) => fd,
    });
    copies.collect()
}

/// Runs `decode`, which may ask for `fds`, and closes those that it left.
pub(crate) fn supply<T>(fds: Vec<OwnedFd>, decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let fds = fds.into_iter().map(|fd| Some(Arc::new(fd))).collect();
    let outer = Restore::after(Scope { collect: None, supply: Some(fds) });
    let value = decode();
    drop(outer.now());
    value
}

const NO_MESSAGE: &str = "a descriptor can only be put into bytes as part of a message to another process";
const NO_DESCRIPTORS: &str = "a descriptor can only be taken from a message of another process";

fn put<S: Serializer>(serializer: S, index: impl FnOnce(&mut Collected) -> usize) -> Result<S::Ok, S::Error> {
    let index = SCOPE.with_borrow_mut(|scope| match &mut scope.collect {
        Some(collected) => Ok(index(collected)),
        None => Err(ser::Error::custom(NO_MESSAGE)),
    })?;
    serializer.serialize_u64(index as u64)
}

fn take<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    take: impl FnOnce(&mut Option<Arc<OwnedFd>>) -> Option<T>,
) -> Result<T, D::Error> {
    let index = u64::deserialize(deserializer)?;
    SCOPE.with_borrow_mut(|scope| {
        let Some(fds) = &mut scope.supply else { return Err(de::Error::custom(NO_DESCRIPTORS)) };
        let place = usize::try_from(index).ok().and_then(|index| fds.get_mut(index));
        place
            .and_then(take)
            .ok_or_else(|| de::Error::custom(format!("descriptor {index} did not come with the message")))
    })
}

/// Serialises a copy of `fd`, which [`receive_owned`] takes out of the message. For what has one owner in each process.
///
/// # Errors
/// Outside [`encode_with_handles`](super::encode_with_handles). A lack of descriptors is an error of that one.
pub(crate) fn send_copy<S: Serializer>(fd: impl AsFd, serializer: S) -> Result<S::Ok, S::Error> {
    put(serializer, |collected| collected.copy(fd.as_fd()))
}

/// Takes a descriptor, which nobody else in this process has, out of the message.
///
/// # Errors
/// Outside [`decode_with_handles`](super::decode_with_handles), and when the descriptor is not there, or not any more.
pub(crate) fn receive_owned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OwnedFd, D::Error> {
    take(deserializer, |place| Arc::into_inner(place.take()?))
}

/// A descriptor that can be part of a message, where copies of the handle are one descriptor.
///
/// Serialising it outside [`encode_with_handles`](super::encode_with_handles) is an error that says so.
#[derive(Debug, Clone)]
pub(crate) struct Handle(Arc<OwnedFd>);

impl From<OwnedFd> for Handle {
    fn from(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }
}

impl Handle {
    /// The descriptor itself, or a copy if the handle has copies.
    ///
    /// # Errors
    /// EMFILE.
    pub(crate) fn into_fd(self) -> Result<OwnedFd, Error> {
        Arc::try_unwrap(self.0).or_else(|shared| copy(shared.as_fd()))
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        put(serializer, |collected| collected.share(&self.0))
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take(deserializer, |place| place.clone()).map(Self)
    }
}
