//! Shared memory that is found by its name in /dev/shm (shm_overview(7)).
//!
//! It gets its name when it is complete: a file without one (O_TMPFILE of open(2)), which linkat(2) makes known in one step
//! that also refuses a name that is taken. So nobody ever finds half of one, and who is killed before leaves nothing
//! behind. Who is killed after leaves the name.

use std::fs::Metadata;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::{geteuid, linkat};

use super::Region;
use super::region::{explain, reserve};
use crate::Error;

pub(super) const DIR: &str = "/dev/shm";

/// A file of memory, whatever its name is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl From<FileStat> for Identity {
    fn from(stat: FileStat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

impl From<&Metadata> for Identity {
    fn from(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}

impl Identity {
    /// Device and inode.
    pub(super) fn numbers(self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// The name as the system has it, without a slash in front.
///
/// # Errors
/// When it is none: empty, longer than 255 bytes, with a slash or a zero byte in it, or hidden by a dot in front.
pub(crate) fn checked(name: &str) -> Result<&str, Error> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let why = match bare {
        "" => "it is empty",
        _ if bare.len() > 255 => "it is longer than 255 bytes",
        _ if bare.starts_with('.') => "it begins with a dot",
        _ if bare.contains(['/', '\0']) => "it has a slash or a zero byte in it",
        _ => return Ok(bare),
    };
    Err(Error::refused("no name for shared memory:", name, why))
}

pub(super) fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// New memory of `size` bytes, all zero, that can be given a name.
///
/// # Errors
/// ENOSPC or ENOMEM when there is not so much memory; EMFILE; ENOENT without a /dev/shm.
pub(crate) fn create(size: usize) -> Result<Region, Error> {
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let made = open(DIR, flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(io::Error::from);
    let made = made.and_then(|file| reserve(&file, size).map(|()| file));
    let file =
        made.map_err(|error| explain("cannot create shared memory", format!("({size} bytes in {DIR})"), error))?;
    Region::open_file(file)
}

/// Gives memory that is complete its name.
///
/// # Errors
/// EEXIST when the name is taken.
pub(crate) fn publish(file: BorrowedFd<'_>, name: &str) -> Result<Identity, Error> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    let linked = linkat(AT_FDCWD, own.as_str(), AT_FDCWD, &path(name), AtFlags::AT_SYMLINK_FOLLOW);
    let linked = linked.and_then(|()| fstat(file)).map(Identity::from);
    linked.map_err(|errno| match errno {
        Errno::EEXIST => Error::os("cannot create shared memory", name, errno).hint("open it, or choose another name"),
        errno => Error::os("cannot create shared memory", name, errno),
    })
}

/// Maps the memory that has this name.
///
/// # Errors
/// ENOENT when there is none; a refusal when it is another user's or no memory at all.
pub(crate) fn find(name: &str) -> Result<Region, Error> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let failed = |errno| Error::os("cannot open shared memory", name, errno);
    let file = open(&path(name), flags, Mode::empty()).map_err(failed)?;
    let stat = fstat(&file).map_err(failed)?;
    if SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG {
        return Err(Error::refused("cannot open shared memory", name, "it is no file"));
    }
    if stat.st_uid != geteuid().as_raw() {
        return Err(Error::refused("cannot open shared memory", name, "it belongs to another user"));
    }
    Region::open_file(file)
}

/// Which file this is.
///
/// # Errors
/// Never, for a descriptor that is open.
pub(crate) fn identity(file: BorrowedFd<'_>) -> Result<Identity, Error> {
    fstat(file).map(Identity::from).map_err(|errno| Error::os("cannot look at shared memory", "", errno))
}

/// Takes the name from the memory; who has it mapped keeps it. A name that other memory has by now is left alone.
///
/// # Errors
/// ENOENT when the memory has the name no more.
pub(crate) fn unlink(name: &str, of: Identity) -> Result<(), Error> {
    let path = path(name);
    let found = std::fs::symlink_metadata(&path).and_then(|found| {
        let is_other = Identity::from(&found) != of;
        if is_other { Err(io::Error::from_raw_os_error(Errno::ENOENT as i32)) } else { std::fs::remove_file(&path) }
    });
    found.map_err(|error| Error::os("cannot unlink shared memory", name, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c8_a_name_is_given_once_and_found_until_it_is_taken() {
        let name = format!("ipcpipe.test-{}-named", std::process::id());
        let region = create(100).unwrap();
        assert!(find(&name).is_err());
        let own = publish(region.fd(), &name).unwrap();
        assert_eq!(publish(create(100).unwrap().fd(), &name).unwrap_err().raw_os_error(), Some(Errno::EEXIST as i32));
        region.copy_in(99, b"x");
        let found = find(&name).unwrap();
        let mut byte = [0];
        found.copy_out(99, &mut byte);
        assert_eq!((byte, found.size()), (*b"x", 100));
        let other = identity(create(1).unwrap().fd()).unwrap();
        assert!(unlink(&name, other).is_err(), "other memory has the name");
        unlink(&name, own).unwrap();
        assert_eq!(unlink(&name, own).unwrap_err().raw_os_error(), Some(Errno::ENOENT as i32));
        assert!(find(&name).is_err());
    }

    #[test]
    fn c8_what_is_no_name_is_refused() {
        for name in ["", "/", "a/b", "//a", ".", "..", ".hidden", "a\0b", &"x".repeat(256)] {
            assert!(checked(name).is_err(), "{name:?} was accepted");
        }
        assert_eq!(checked("/good").unwrap(), "good");
        assert!(find("ipcpipe.test-there-is-no-such").is_err());
    }
}
