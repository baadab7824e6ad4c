//! Items as bytes, and queues as parts of messages.

use std::cell::Cell;
use std::os::fd::{BorrowedFd, OwnedFd};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::mp::attempt::Attempt;
use crate::mp::{Result, wire};

/// What a thread keeps for its next item; a larger buffer is given back.
const KEPT: usize = 64 << 10;

/// Runs `use_it` with an empty buffer. It is taken and not borrowed, because serialising an item may put another one into
/// another queue.
#[inline]
fn with_buffer<R>(use_it: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    let mut buffer = BUFFER.take();
    buffer.clear();
    let result = use_it(&mut buffer);
    if buffer.capacity() <= KEPT {
        BUFFER.set(buffer);
    }
    result
}

/// Runs `put` on the encoding of `item`.
///
/// # Errors
/// [`Error::Codec`](crate::mp::Error::Codec), and those of `put`.
#[inline]
pub(super) fn encoded<T: Serialize + ?Sized>(
    item: &T,
    attempt: impl FnOnce() -> Attempt,
    put: impl FnOnce(&[u8]) -> Result<()>,
) -> Result<()> {
    with_buffer(|buffer| {
        wire::encode(item, buffer).map_err(|error| error.during(attempt()))?;
        put(buffer)
    })
}

/// The item whose encoding `get` leaves in the buffer.
///
/// # Errors
/// [`Error::Codec`](crate::mp::Error::Codec), and those of `get`.
#[inline]
pub(super) fn decoded<T: DeserializeOwned>(
    attempt: impl FnOnce() -> Attempt,
    get: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<T> {
    with_buffer(|buffer| {
        get(buffer)?;
        wire::decode(buffer).map_err(|error| error.during(attempt()))
    })
}

/// Serialises the two descriptors of a queue.
pub(super) fn send_fds<S: Serializer>([memory, spill]: [BorrowedFd<'_>; 2], serializer: S) -> Result<S::Ok, S::Error> {
    (Sent(memory), Sent(spill)).serialize(serializer)
}

/// Takes the two descriptors of a queue out of a message.
pub(super) fn receive_fds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(OwnedFd, OwnedFd), D::Error> {
    let (memory, spill) = <(Received, Received)>::deserialize(deserializer)?;
    Ok((memory.0, spill.0))
}

struct Sent<'a>(BorrowedFd<'a>);

impl Serialize for Sent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        wire::send_copy(self.0, serializer)
    }
}

struct Received(OwnedFd);

impl<'de> Deserialize<'de> for Received {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        wire::receive_owned(deserializer).map(Self)
    }
}
