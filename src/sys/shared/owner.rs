//! Whose a name in /dev/shm is: its maker's, until he unlinks it, lets it persist, or dies.
//!
//! The maker holds the memory locked (flock(2)) from before it has its name, and the kernel frees that however he ends. Those
//! whom he has handed the descriptor share his lock, so it is free when all of them are gone. Who opens the memory by its name
//! has no part in it. What ends the maker's right to the name, letting it persist, is written into the memory.
//!
//! The header also says which name the memory was given, and which file it is, as one number. So what is only called or copied
//! like ours is nobody's, and so is a name that somebody moved or linked: he meant to keep it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

use super::named::{self, DIR, Identity};
use super::object::{HEADER, Header};
use crate::Error;
use crate::sys::fd;

/// Locks memory that has no name yet, for as long as this process or anybody whom it hands the descriptor lives.
///
/// # Errors
/// EMFILE, for the moment of a second descriptor.
pub(super) fn hold(file: BorrowedFd<'_>) -> Result<(), Error> {
    let lock = file.try_clone_to_owned().map(File::from).and_then(|file| Ok(file.try_lock()?));
    lock.map_err(|error| Error::os("cannot lock", "shared memory that is new", error))
}

/// What the header of memory says that is its maker's: its name and its file as one number, never zero.
pub(super) fn mark(name: &str, of: Identity) -> u64 {
    let (device, inode) = of.numbers();
    let bytes = name.bytes().chain(device.to_le_bytes()).chain(inode.to_le_bytes());
    // FNV-1a: the same in every build, which the hasher of std does not promise.
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    hash | 1
}

/// Named memory whose maker is dead, held locked, so that two who clean up never meet.
#[derive(Debug)]
pub(crate) struct Abandoned {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) maker: u32,
    of: Identity,
    lock: File,
}

impl Abandoned {
    /// All that there is of this user, one after the other. What cannot be looked at is not ours.
    ///
    /// # Errors
    /// When /dev/shm cannot be read, or this process may not open a file in it.
    pub(crate) fn all() -> Result<impl Iterator<Item = Self>, Error> {
        // One for the directory, one for what is looked at.
        fd::room_for(2).map_err(|error| fd::with_way_out(Error::os("cannot look into", DIR, error)))?;
        let entries = match fs::read_dir(DIR) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            entries => Some(entries.map_err(|error| Error::os("cannot read", DIR, error))?),
        };
        let names = entries.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter_map(Self::find))
    }

    /// The memory of this name, if that is all that is left of a maker who is dead.
    fn find(name: String) -> Option<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(open(&named::path(&name), flags, Mode::empty()).ok()?);
        let found = file.metadata().ok()?;
        if !found.is_file() || found.uid() != geteuid().as_raw() || found.nlink() != 1 {
            return None;
        }
        let of = Identity::from(&found);
        // Nobody but a maker is locked, and least of all what is not ours.
        owner(&file, &name, of)?;
        file.try_lock().ok()?;
        // Somebody may have let it persist before the lock was had.
        let header = owner(&file, &name, of)?;
        Some(Self { name, size: header.size, maker: header.maker, of, lock: file })
    }

    /// Takes its name away.
    ///
    /// # Errors
    /// ENOENT when the memory has the name no more; when somebody has let it persist since it was found.
    pub(crate) fn unlink(&self) -> Result<(), Error> {
        match owner(&self.lock, &self.name, self.of) {
            Some(_) => named::unlink(&self.name, self.of),
            None => {
                Err(Error::refused("cannot unlink", named::path(&self.name).display(), "somebody has let it persist"))
            }
        }
    }
}

/// The header of the memory in `file`, if that is still its maker's.
fn owner(file: &File, name: &str, of: Identity) -> Option<Header> {
    let mut bytes = [0; HEADER];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Header::parse(&bytes).filter(|header| header.mark == mark(name, of))
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        // A close alone would leave the lock to a child of another thread that is about to execute its program.
        let _ = self.lock.unlock();
    }
}
