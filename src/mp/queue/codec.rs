//! Items as bytes, and queues as parts of messages.

use std::cell::Cell;
use std::os::fd::{BorrowedFd, OwnedFd};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::mp::{Result, wire};

/// What a thread keeps for its next item; a larger buffer is given back.
const KEPT: usize = 64 << 10;

/// Runs `put` on the encoding of `item`.
///
/// # Errors
/// [`Error::Codec`](crate::mp::Error::Codec), and those of `put`.
#[inline]
pub(super) fn encoded<T: Serialize + ?Sized>(item: &T, put: impl FnOnce(&[u8]) -> Result<()>) -> Result<()> {
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    // Taken and not borrowed, because serialising an item may put another one into another queue.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let done = wire::encode(item, &mut buffer).and_then(|()| put(&buffer));
    if buffer.capacity() <= KEPT {
        BUFFER.set(buffer);
    }
    done
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
