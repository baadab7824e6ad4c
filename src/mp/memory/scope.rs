//! Names that go together.
//!
//! Kill points: a scope is memory of one process; if that is killed, the names stay, as those of any shared memory do.

use std::sync::{Arc, Mutex, PoisonError};

use super::block::Name;
use super::{Item, SharedList, SharedMemory};
use crate::mp::Result;

/// Shared memory whose names last as long as this does: dropping it unlinks all that was made in it and did not
/// [`persist`](SharedMemory::persist), whoever has handles still. Who has the memory keeps it.
///
/// A handle that is dropped earlier leaves the name to the scope.
///
/// ```
/// use ipcpipe::mp::{SharedMemory, ShmScope};
///
/// let scope = ShmScope::new();
/// let name = scope.create(100)?.name().unwrap().to_owned();
/// let kept = SharedMemory::open(&name)?;
/// drop(scope);
/// assert!(SharedMemory::open(&name).is_err());
/// kept.write(0, b"still there")?;
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ShmScope {
    names: Mutex<Vec<Arc<Name>>>,
}

impl ShmScope {
    /// A scope with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A new block of `size` bytes with a name that nobody else has.
    ///
    /// # Errors
    /// As [`SharedMemory::create`].
    pub fn create(&self, size: usize) -> Result<SharedMemory> {
        self.keep(SharedMemory::create(None, size)?)
    }

    /// A new block of `size` bytes with this name.
    ///
    /// # Errors
    /// As [`SharedMemory::create`].
    pub fn create_named(&self, name: &str, size: usize) -> Result<SharedMemory> {
        self.keep(SharedMemory::create(name, size)?)
    }

    /// A new list with a name that nobody else has.
    ///
    /// # Errors
    /// As [`SharedList::named`].
    pub fn list(&self, items: impl IntoIterator<Item = impl Into<Item>>) -> Result<SharedList> {
        let list = SharedList::named(None, items)?;
        self.names().extend(list.held_name());
        Ok(list)
    }

    /// How many names it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names().len()
    }

    /// True if it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names().is_empty()
    }

    fn keep(&self, block: SharedMemory) -> Result<SharedMemory> {
        self.names().extend(block.held_name());
        Ok(block)
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Name>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ShmScope {
    fn drop(&mut self) {
        self.names().iter().for_each(|name| name.give_up());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c8_a_scope_unlinks_all_that_was_made_in_it() {
        let name = format!("ipcpipe.test-{}-scope", std::process::id());
        let scope = ShmScope::new();
        let block = scope.create_named(&name, 10).unwrap();
        let dropped = scope.create(10).unwrap().name().unwrap().to_owned();
        let list = scope.list([1_i64, 2]).unwrap();
        assert_eq!((scope.len(), scope.is_empty()), (3, false));
        assert!(SharedMemory::open(&dropped).is_ok(), "the scope keeps the name");
        drop(scope);
        for name in [name.as_str(), &dropped, list.name().unwrap()] {
            assert!(!std::path::Path::new("/dev/shm").join(name).exists(), "{name} is still there");
        }
        block.write(0, b"kept").unwrap();
        assert_eq!(list.get(1).unwrap(), Item::I64(2));
    }

    #[test]
    fn c8_what_persists_outlives_its_scope() {
        let scope = ShmScope::new();
        let block = scope.create(10).unwrap();
        block.persist().unwrap();
        drop(scope);
        block.unlink().unwrap();
    }
}
