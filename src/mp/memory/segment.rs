//! A block of bytes that processes share.
//!
//! Kill points: as a block's, and a writer that is killed leaves some bytes new and some old, which the next taker of the
//! lock is told.

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::block::{Block, Name, Naming};
use super::{Array, Plain};
use crate::mp::attempt::{Attempt, Kind, Verb};
use crate::mp::sync::{OwnerDied, TryLockError, with_deadline, without_deadline};
use crate::mp::{Error, Result};
use crate::sys::shared::{Held, deadline_in};

/// A block of bytes in shared memory with a lock, which other processes get by its name or as part of a message.
///
/// - **close**: to drop it, or [`close`](Self::close). The memory lives on with those who have it, and by its name.
/// - **unlink**: the name goes, those who have the memory keep it, and with the last of them it is freed. The process that
///   made the block does that when its last handle is dropped, unless it said [`persist`](Self::persist). Who only opened
///   it never does so by itself.
///
/// A process that is killed cannot unlink what it made; [`AbandonedMemory`](super::AbandonedMemory) finds that, and `ipcpipe
/// clean` removes it.
/// Named memory is a file in /dev/shm that only this user may use. Nobody should truncate it: a touch of bytes that are
/// gone ends a process with SIGBUS. Memory without a name is safe from that (F_SEAL_SHRINK of memfd_create(2)).
///
/// ```
/// use ipcpipe::mp::SharedMemory;
///
/// let made = SharedMemory::create(None, 1000)?;
/// made.write(10, b"hello")?;
///
/// let opened = SharedMemory::open(made.name().unwrap())?;
/// assert_eq!(opened.read(10..15)?, b"hello");
/// let numbers = opened.array::<u32>(250)?;
/// numbers.set(249, 7)?;
/// assert_eq!(made.lock()?[996], 7);
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
#[derive(Clone, Serialize)]
pub struct SharedMemory(pub(super) Block);

pub(super) const KIND: [u8; 4] = *b"shm ";

impl SharedMemory {
    /// A new block of `size` bytes, all zero, with this name, or with one that nobody else has. The name is that of a file
    /// in /dev/shm; a slash in front does not count.
    ///
    /// # Errors
    /// [`Error::System`]: the name is taken (EEXIST) or impossible, or there is not so much memory (ENOSPC, ENOMEM).
    pub fn create<'a>(name: impl Into<Option<&'a str>>, size: usize) -> Result<Self> {
        let naming = name.into().map_or(Naming::Made, Naming::Given);
        Self::make(naming, size)
    }

    /// A new block of `size` bytes, all zero, without a name.
    ///
    /// # Errors
    /// [`Error::System`]: out of memory or of descriptors.
    pub fn anonymous(size: usize) -> Result<Self> {
        Self::make(Naming::Anonymous, size)
    }

    fn make(naming: Naming<'_>, size: usize) -> Result<Self> {
        Block::create(KIND, naming, size, |_| {}).map(Self)
    }

    /// The block that has this name, whoever made it.
    ///
    /// # Errors
    /// [`Error::System`]: there is none (ENOENT), or it is not one of ours.
    pub fn open(name: &str) -> Result<Self> {
        Block::open(KIND, name).map(Self)
    }

    /// Its name; None for anonymous memory. It stays the same when it is unlinked.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// Bytes in it: exactly as many as were asked for.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// Gives the block up, as dropping it does.
    pub fn close(self) {}

    /// Takes its name away: nobody can open it any more, and who has it keeps it.
    ///
    /// # Errors
    /// [`Error::System`] if it has the name no more (ENOENT); [`Error::Refused`] if it never had one.
    pub fn unlink(&self) -> Result<()> {
        self.0.unlink()
    }

    /// Leaves the name behind when the process that made the block gives it up, until somebody calls
    /// [`unlink`](Self::unlink) or the machine is started anew. Whoever has it can say so, also when the maker is dead.
    ///
    /// # Errors
    /// [`Error::Refused`] if it has no name.
    pub fn persist(&self) -> Result<()> {
        self.0.persist()
    }

    /// Takes the lock and gives access to the bytes; blocks while somebody else holds it.
    ///
    /// # Errors
    /// [`OwnerDied`] if the last holder died: the guard in it holds the lock.
    ///
    /// # Panics
    /// When this thread holds it already, since it would wait for itself for ever.
    pub fn lock(&self) -> Result<BytesGuard<'_>, OwnerDied<BytesGuard<'_>>> {
        without_deadline(self.0.shared.lock(None).map(BytesGuard), || self.attempt())
    }

    /// The same, but does not block.
    ///
    /// # Errors
    /// [`TryLockError::TimedOut`] if somebody holds the lock; [`TryLockError::OwnerDied`].
    pub fn try_lock(&self) -> Result<BytesGuard<'_>, TryLockError<BytesGuard<'_>>> {
        with_deadline(self.0.shared.try_lock().map(BytesGuard), Duration::ZERO, || self.attempt())
    }

    /// The same, but blocks for `time` at most.
    ///
    /// # Errors
    /// [`TryLockError::TimedOut`] when the time is over; [`TryLockError::OwnerDied`].
    pub fn lock_timeout(&self, time: Duration) -> Result<BytesGuard<'_>, TryLockError<BytesGuard<'_>>> {
        let Some(deadline) = deadline_in(time) else { return Ok(self.lock()?) };
        with_deadline(self.0.shared.lock(Some(deadline)).map(BytesGuard), time, || self.attempt())
    }

    /// A copy of a range of bytes, under the lock.
    ///
    /// # Errors
    /// [`Error::Refused`] if they are not all in the block; [`Error::OwnerDied`] if the last holder of the lock died.
    pub fn read(&self, range: Range<usize>) -> Result<Vec<u8>> {
        let held = self.lock()?;
        let bytes = held.get(range.clone());
        bytes.map(<[u8]>::to_vec).ok_or_else(|| self.outside(range))
    }

    /// Copies `bytes` to `offset`, under the lock.
    ///
    /// # Errors
    /// [`Error::Refused`] if they do not fit, nothing is written then; [`Error::OwnerDied`] if the last holder of the lock
    /// died, as well.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        let range = offset..offset.saturating_add(bytes.len());
        let mut held = self.lock()?;
        let place = held.get_mut(range.clone()).ok_or_else(|| self.outside(range))?;
        place.copy_from_slice(bytes);
        Ok(())
    }

    /// The first `len` elements of this type as an array of the same bytes, under the same lock. It keeps the memory, but
    /// not its name.
    ///
    /// # Errors
    /// [`Error::Refused`] if the block is smaller.
    pub fn array<T: Plain>(&self, len: usize) -> Result<Array<T>> {
        Array::view(&self.0.shared, len)
    }

    /// What holds the name.
    pub(super) fn held_name(&self) -> Option<std::sync::Arc<Name>> {
        self.0.name.clone()
    }

    fn attempt(&self) -> Attempt {
        Attempt::new(Verb::Take, Kind::SharedMemory, self.0.shared.inode())
    }

    fn outside(&self, range: Range<usize>) -> Error {
        Error::Refused(format!("bytes {range:?} are not in a block of {}", self.size()))
    }
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMemory").field("name", &self.name()).field("size", &self.size()).finish()
    }
}

impl<'de> Deserialize<'de> for SharedMemory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Block::receive(KIND, deserializer).map(Self)
    }
}

/// The bytes of a [`SharedMemory`], as long as its lock is held.
#[derive(Debug)]
#[must_use = "the lock is free again when this is dropped"]
pub struct BytesGuard<'a>(Held<'a>);

impl Deref for BytesGuard<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for BytesGuard<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp::wire::{decode_with_handles, encode_with_handles};

    fn is_there(name: &str) -> bool {
        std::path::Path::new("/dev/shm").join(name).exists()
    }

    #[test]
    fn b18_close_keeps_the_name_and_the_makers_last_handle_takes_it() {
        let made = SharedMemory::create(None, 100).unwrap();
        let name = made.name().unwrap().to_owned();
        let opened = SharedMemory::open(&name).unwrap();
        opened.close();
        let copy = made.clone();
        made.close();
        assert!(is_there(&name));
        let opened = SharedMemory::open(&name).unwrap();
        copy.write(99, b"x").unwrap();
        drop(copy);
        assert!(!is_there(&name));
        assert_eq!(opened.read(99..100).unwrap(), b"x", "who has it keeps it");
    }

    #[test]
    fn c8_unlink_takes_the_name_and_not_the_memory() {
        let made = SharedMemory::create(None, 8).unwrap();
        let name = made.name().unwrap();
        SharedMemory::open(name).unwrap().unlink().unwrap();
        assert!(!is_there(name));
        made.write(0, b"kept").unwrap();
        assert!(made.unlink().is_err(), "it is unlinked already");
        assert!(SharedMemory::open(name).is_err());
        assert!(SharedMemory::anonymous(8).unwrap().unlink().is_err());
    }

    #[test]
    fn c8_a_name_that_persists_is_there_until_it_is_unlinked() {
        let name = format!("ipcpipe.test-{}-persists", std::process::id());
        let made = SharedMemory::create(name.as_str(), 8).unwrap();
        made.persist().unwrap();
        assert!(SharedMemory::create(name.as_str(), 8).is_err(), "the name is taken");
        drop(made);
        let opened = SharedMemory::open(&format!("/{name}")).unwrap();
        opened.unlink().unwrap();
        assert!(!is_there(&name));
    }

    #[test]
    fn b18_nothing_outside_the_block_is_read_or_written() {
        let block = SharedMemory::anonymous(10).unwrap();
        assert_eq!(block.size(), 10);
        for offset in [3, 10, usize::MAX] {
            assert!(block.write(offset, b"12345678").is_err());
        }
        assert!(block.read(5..11).is_err());
        assert_eq!(block.read(0..10).unwrap(), [0; 10]);
    }

    #[test]
    fn b18_a_block_is_sent_with_or_without_its_name() {
        for made in [SharedMemory::create(None, 20).unwrap(), SharedMemory::anonymous(20).unwrap()] {
            let got: SharedMemory = decode_with_handles(encode_with_handles(&made).unwrap()).unwrap();
            made.write(0, b"same").unwrap();
            assert_eq!((got.read(0..4).unwrap(), got.name()), (b"same".to_vec(), made.name()));
        }
    }

    #[test]
    fn b19_a_view_shows_the_bytes_as_elements() {
        let block = SharedMemory::anonymous(11).unwrap();
        let view = block.array::<u32>(2).unwrap();
        block.write(4, &7_u32.to_ne_bytes()).unwrap();
        assert_eq!(view.to_vec().unwrap(), [0, 7]);
        assert!(block.array::<u32>(3).is_err());
        assert!(block.array::<u64>(usize::MAX).is_err());
        let got: Array<u32> = decode_with_handles(encode_with_handles(&view).unwrap()).unwrap();
        got.set(0, 9).unwrap();
        assert_eq!(block.read(0..4).unwrap(), 9_u32.to_ne_bytes());
    }
}
