//! Named memory that is left of processes that were killed.

use std::fmt;

use crate::OneLine;
use crate::mp::Result;
use crate::sys::shared::owner::Abandoned;

/// Named shared memory ([`SharedMemory`](super::SharedMemory) or [`SharedList`](super::SharedList)) whose maker died before he
/// could unlink it.
///
/// That he is dead is proved by the lock (flock(2)) that he held on it, which this holds now. It is not memory that somebody let
/// [`persist`](super::SharedMemory::persist), nor memory that another process still has from its maker as part of a message; a
/// process that only opened it by its name keeps it, but not the name.
///
/// ```
/// use ipcpipe::mp::AbandonedMemory;
///
/// for memory in AbandonedMemory::all()? {
///     println!("{memory}"); // memory.unlink()? removes it
/// }
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "it stays where it is until it is unlinked"]
pub struct AbandonedMemory(Abandoned);

impl AbandonedMemory {
    /// All that this user has in /dev/shm, found as it is asked for. It never blocks, follows no links, and reads
    /// no file of another user.
    ///
    /// # Errors
    /// [`Error::System`](crate::mp::Error::System) when /dev/shm cannot be read.
    pub fn all() -> Result<impl Iterator<Item = Self>> {
        Ok(Abandoned::all()?.map(Self))
    }

    /// Its name, as [`SharedMemory::open`](super::SharedMemory::open) takes it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Bytes in it.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// The pid that its maker had. Another process may have it by now.
    #[must_use]
    pub fn maker(&self) -> u32 {
        self.0.maker
    }

    /// Takes its name away; whoever has it mapped keeps it.
    ///
    /// # Errors
    /// [`Error::System`](crate::mp::Error::System) if it has the name no more (ENOENT), or somebody has let it persist since it
    /// was found.
    pub fn unlink(self) -> Result<()> {
        Ok(self.0.unlink()?)
    }
}

impl fmt::Display for AbandonedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Abandoned { name, size, maker, .. } = &self.0;
        write!(f, "shared memory /dev/shm/{} ({size} bytes) of pid {maker}, dead", OneLine::text(name))
    }
}
