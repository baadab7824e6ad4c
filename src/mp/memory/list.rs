//! A list of mixed items that processes share.
//!
//! Kill points: an item is written as nothing first, then its bytes, then what they are; so a writer who is killed leaves
//! an item that is the old one, nothing, or the new one, never a mixture, and the next taker of the lock is told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{Ordering, compiler_fence};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Item;
use super::block::{Block, Name, Naming};
use crate::mp::attempt::{Attempt, Kind, Verb};
use crate::mp::sync::without_deadline;
use crate::mp::{Error, Result};

/// A list of [`Item`]s in shared memory whose length is fixed.
///
/// Each place has the room that it was made with: 8 bytes for what is no text and no bytes, and for text and bytes their
/// length, rounded up to the next multiple of 8 above it. Any item that fits may replace any other. All calls lock the
/// whole list, so nobody sees half an item; a loop over many places is better served by [`to_vec`](Self::to_vec), which
/// locks once. About its name see [`SharedMemory`](super::SharedMemory).
///
/// When a process dies while it holds the lock, the next call of any process answers [`Error::OwnerDied`], once; the item
/// that was being written may be [`Item::None`] then.
///
/// ```
/// use ipcpipe::mp::{Item, SharedList};
///
/// let list = SharedList::new([Item::from("howdy"), Item::from(-273.154), Item::from(100)])?;
/// list.set(0, "hello")?;
/// list.set(2, true)?;
/// assert_eq!(list.to_vec()?, ["hello".into(), (-273.154).into(), true.into()]);
/// assert!(list.set(1, "longer than 8 bytes").is_err());
/// assert_eq!(list.index(&"hello".into())?, Some(0));
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedList {
    block: Block,
    places: Arc<[Place]>,
}

/// Where an item lies: 8 bytes that say what it is and how long, then its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    start: usize,
    room: usize,
}

const KIND: [u8; 4] = *b"list";

impl SharedList {
    /// A new list of these items, without a name.
    ///
    /// # Errors
    /// [`Error::System`]: there is not so much memory, or no descriptor.
    pub fn new(items: impl IntoIterator<Item = impl Into<Item>>) -> Result<Self> {
        Self::make(Naming::Anonymous, items.into_iter().map(Into::into).collect())
    }

    /// A new list of these items with this name, or with one that nobody else has.
    ///
    /// # Errors
    /// [`Error::System`]: the name is taken (EEXIST) or impossible, or there is not so much memory.
    pub fn named<'a>(
        name: impl Into<Option<&'a str>>,
        items: impl IntoIterator<Item = impl Into<Item>>,
    ) -> Result<Self> {
        let naming = name.into().map_or(Naming::Made, Naming::Given);
        Self::make(naming, items.into_iter().map(Into::into).collect())
    }

    /// The list that has this name, whoever made it.
    ///
    /// # Errors
    /// [`Error::System`]: there is none (ENOENT), or it is no list.
    pub fn open(name: &str) -> Result<Self> {
        Self::of(Block::open(KIND, name)?)
    }

    fn make(naming: Naming<'_>, items: Vec<Item>) -> Result<Self> {
        let rooms: Vec<usize> = items.iter().map(room).collect();
        let places = lay_out(&rooms).unwrap_or_default();
        let size = places.last().map_or(8, |last| last.start + 8 + last.room);
        let block = Block::create(KIND, naming, size, |bytes| {
            put_word(bytes, 0, items.len());
            rooms.iter().enumerate().for_each(|(index, room)| put_word(bytes, 8 + 8 * index, *room));
            places.iter().zip(&items).for_each(|(place, item)| drop(place.write(bytes, item)));
        })?;
        Ok(Self { block, places: places.into() })
    }

    /// Reads how the list is laid out, which never changes, and checks that it is so.
    fn of(block: Block) -> Result<Self> {
        let places = {
            // A death is news for whoever uses the items; how they are laid out is not concerned.
            let held =
                without_deadline(block.shared.lock(None), || attempt(&block)).unwrap_or_else(|died| died.into_inner());
            read_layout(&held)
        };
        let places = places.ok_or_else(|| Error::codec("a shared list whose layout does not fit its size"))?;
        Ok(Self { block, places: places.into() })
    }

    /// How many items it has, always the same.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True if it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Its name; None if it has none.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.block.name()
    }

    /// A copy of the item at `index`. Blocks while somebody else uses the list, as all calls do.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is none; [`Error::OwnerDied`]; [`Error::Codec`] if the memory is damaged.
    pub fn get(&self, index: usize) -> Result<Item> {
        let place = self.place(index)?;
        let held = without_deadline(self.block.shared.lock(None), || attempt(&self.block))?;
        place.read(&held).ok_or_else(|| damaged(index))
    }

    /// Replaces the item at `index`.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is none, or the new one is larger than its place; [`Error::OwnerDied`]. Nothing is
    /// replaced then.
    #[inline]
    pub fn set(&self, index: usize, item: impl Into<Item>) -> Result<()> {
        let place = self.place(index)?;
        let item = item.into();
        let mut held = without_deadline(self.block.shared.lock(None), || attempt(&self.block))?;
        place.write(&mut held, &item)
    }

    /// Copies of all items, of the same moment.
    ///
    /// # Errors
    /// [`Error::OwnerDied`]; [`Error::Codec`] if the memory is damaged.
    pub fn to_vec(&self) -> Result<Vec<Item>> {
        let held = without_deadline(self.block.shared.lock(None), || attempt(&self.block))?;
        let items = self.places.iter().enumerate();
        items.map(|(index, place)| place.read(&held).ok_or_else(|| damaged(index))).collect()
    }

    /// Copies of all items, made now, one after the other.
    ///
    /// # Errors
    /// As [`SharedList::to_vec`].
    pub fn iter(&self) -> Result<std::vec::IntoIter<Item>> {
        Ok(self.to_vec()?.into_iter())
    }

    /// How many items are equal to this one.
    ///
    /// # Errors
    /// As [`SharedList::to_vec`].
    pub fn count(&self, item: &Item) -> Result<usize> {
        Ok(self.iter()?.filter(|it| it == item).count())
    }

    /// The first place of an item that is equal to this one.
    ///
    /// # Errors
    /// As [`SharedList::to_vec`].
    pub fn index(&self, item: &Item) -> Result<Option<usize>> {
        Ok(self.iter()?.position(|it| it == *item))
    }

    /// Takes its name away; see [`SharedMemory::unlink`](super::SharedMemory::unlink).
    ///
    /// # Errors
    /// [`Error::System`] if it has the name no more (ENOENT); [`Error::Refused`] if it never had one.
    pub fn unlink(&self) -> Result<()> {
        self.block.unlink()
    }

    /// Leaves the name behind; see [`SharedMemory::persist`](super::SharedMemory::persist).
    ///
    /// # Errors
    /// [`Error::Refused`] if it has no name.
    pub fn persist(&self) -> Result<()> {
        self.block.persist()
    }

    /// What holds the name.
    pub(super) fn held_name(&self) -> Option<Arc<Name>> {
        self.block.name.clone()
    }

    #[inline]
    fn place(&self, index: usize) -> Result<Place> {
        let place = self.places.get(index).copied();
        place.ok_or_else(|| Error::Refused(format!("no item {index} in a list of {}", self.len())))
    }
}

fn damaged(index: usize) -> Error {
    Error::codec(format!("item {index} of a shared list is damaged"))
}

/// The room that an item is given.
fn room(item: &Item) -> usize {
    match item {
        Item::Str(text) => text.len() / 8 * 8 + 8,
        Item::Bytes(bytes) => bytes.len() / 8 * 8 + 8,
        _ => 8,
    }
}

/// Where items with such rooms lie: behind their number and the rooms themselves. None if no memory is so large.
fn lay_out(rooms: &[usize]) -> Option<Vec<Place>> {
    let mut start = rooms.len().checked_add(1)?.checked_mul(8)?;
    let mut places = Vec::with_capacity(rooms.len());
    for room in rooms {
        places.push(Place { start, room: *room });
        start = start.checked_add(8)?.checked_add(*room)?;
    }
    Some(places)
}

/// How a list in these bytes is laid out; None if that cannot be.
fn read_layout(bytes: &[u8]) -> Option<Vec<Place>> {
    let count = word(bytes, 0)?;
    let end = count.checked_add(1)?.checked_mul(8)?;
    let rooms: Vec<usize> = bytes.get(8..end)?.chunks_exact(8).filter_map(|it| word(it, 0)).collect();
    let places = lay_out(&rooms)?;
    let size = places.last().map_or(Some(end), |last| last.start.checked_add(8)?.checked_add(last.room))?;
    (size == bytes.len()).then_some(places)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
    usize::try_from(u64::from_ne_bytes(word)).ok()
}

fn put_word(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 8].copy_from_slice(&(value as u64).to_ne_bytes());
}

impl Place {
    /// Writes an item, if it fits.
    #[inline]
    fn write(self, bytes: &mut [u8], item: &Item) -> Result<()> {
        item.with_bytes(|tag, content| {
            if content.len() > self.room {
                return Err(Error::Refused(format!("{} bytes do not fit a place of {}", content.len(), self.room)));
            }
            put_word(bytes, self.start, 0);
            // The order counts if this process is killed now, which is like a signal to the compiler's eyes.
            compiler_fence(Ordering::SeqCst);
            bytes[self.start + 8..][..content.len()].copy_from_slice(content);
            compiler_fence(Ordering::SeqCst);
            put_word(bytes, self.start, content.len() << 8 | usize::from(tag));
            Ok(())
        })
    }

    /// The item; None if there is none such.
    #[inline]
    fn read(self, bytes: &[u8]) -> Option<Item> {
        let word = word(bytes, self.start)?;
        let length = word >> 8;
        let content = (length <= self.room).then(|| &bytes[self.start + 8..][..length])?;
        Item::from_bytes(word as u8, content)
    }
}

fn attempt(block: &Block) -> Attempt {
    Attempt::new(Verb::Take, Kind::SharedList, block.shared.inode())
}

impl fmt::Debug for SharedList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedList").field("name", &self.name()).field("len", &self.len()).finish()
    }
}

impl Serialize for SharedList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.block.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(Block::receive(KIND, deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
