//! A piece of memory that processes share: a file in memory and nowhere else (memfd_create(2)), mapped by each of them.
//!
//! Its pages are allocated when it is made, so that a full memory is an error and not a SIGBUS at some later touch, and its
//! size is sealed, so that nobody can cut it short under the others. The kernel kills somebody rather than refuse pages of
//! a memfd, so what is clearly too much is not even asked for. Death: the kernel unmaps and closes whatever a killed
//! process had, and frees the memory with the last of them; nothing has a name that could stay behind.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl, posix_fallocate};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::fstat;

use crate::Error;
use crate::sys::fd;

/// Shared memory, mapped for reading and writing as long as this lives.
///
/// It hands out atomics and copies, never slices: another process may write at any time.
#[derive(Debug)]
pub(crate) struct Region {
    base: *mut u8,
    size: usize,
    file: OwnedFd,
    inode: u64,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is reached through atomics and copies only.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

/// What makes a size final.
fn seals() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW
}

impl Region {
    /// New memory of `size` bytes, all zero; /proc shows it as `memfd:ipcpipe.NAME`.
    ///
    /// # Errors
    /// EINVAL for no bytes; ENOSPC or ENOMEM when there is not so much memory; EMFILE.
    pub(crate) fn create(name: &str, size: usize) -> Result<Self, Error> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let made = memfd_create(format!("ipcpipe.{name}").as_str(), flags).map_err(io::Error::from).and_then(|file| {
            reserve(&file, size)?;
            fcntl(&file, FcntlArg::F_ADD_SEALS(seals()))?;
            Self::map(file, size)
        });
        made.map_err(|error| explain("cannot create shared memory", format!("{name} ({size} bytes)"), error))
    }

    /// Maps memory that another process made with [`Region::create`].
    ///
    /// # Errors
    /// When it is not exactly `size` bytes, or its size is not final; ENOMEM.
    pub(crate) fn open(file: OwnedFd, size: usize) -> Result<Self, Error> {
        let region = Self::open_sealed(file)?;
        if region.size != size {
            let why = format!("it has {} bytes and not {size}", region.size);
            return Err(Error::refused("cannot use shared memory", "", why));
        }
        Ok(region)
    }

    /// The same for memory whose size is to be found out.
    ///
    /// # Errors
    /// When its size is not final; ENOMEM.
    pub(crate) fn open_sealed(file: OwnedFd) -> Result<Self, Error> {
        match fcntl(&file, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_retain) {
            Ok(found) if found.contains(seals()) => Self::open_file(file),
            _ => Err(Error::refused("cannot use shared memory", "", "its size may change, so it was not made here")),
        }
    }

    /// Maps a whole file in memory whose size cannot be sealed, because it has a name: whoever may write to it can cut it
    /// short, and then a touch behind its end is a SIGBUS.
    ///
    /// # Errors
    /// ENOMEM, EACCES, ENODEV; EINVAL for an empty file.
    pub(crate) fn open_file(file: OwnedFd) -> Result<Self, Error> {
        let size = fstat(&file).map(|stat| stat.st_size).map_err(io::Error::from);
        let size = size.and_then(|size| usize::try_from(size).map_err(|_| io::ErrorKind::InvalidInput.into()));
        size.and_then(|size| Self::map(file, size)).map_err(|error| explain("cannot map shared memory", "", error))
    }

    fn map(file: OwnedFd, size: usize) -> io::Result<Self> {
        let inode = fstat(&file)?.st_ino;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, at a place that the kernel chooses, touches no memory of this process.
        let base = unsafe { libc::mmap(ptr::null_mut(), size, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { base: base.cast(), size, file, inode })
    }

    /// The descriptor by which another process gets at the memory.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// What /proc/PID/maps shows it as, the same in all processes.
    #[inline]
    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    /// Bytes in it.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The address of the byte at `offset`, from which `length` bytes are in the region. Dereferencing it is for the
    /// neighbours that know who else does.
    ///
    /// # Panics
    /// When they are not all in it.
    #[inline]
    pub(super) fn at(&self, offset: usize, length: usize) -> *mut u8 {
        assert!(offset <= self.size && length <= self.size - offset, "bytes from outside shared memory");
        self.base.wrapping_add(offset)
    }

    /// The 32-bit word at `offset`.
    ///
    /// # Panics
    /// When it is not in the region or `offset` is no multiple of 4.
    #[inline]
    pub(crate) fn atomic_u32(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4), "a word at an odd place");
        // SAFETY: the word is in the mapping, which is page-aligned and lives as long as `self`, and is used as an atomic.
        unsafe { AtomicU32::from_ptr(self.at(offset, 4).cast()) }
    }

    /// The 64-bit word at `offset`.
    ///
    /// # Panics
    /// When it is not in the region or `offset` is no multiple of 8.
    #[inline]
    pub(crate) fn atomic_u64(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8), "a word at an odd place");
        // SAFETY: the word is in the mapping, which is page-aligned and lives as long as `self`, and is used as an atomic.
        unsafe { AtomicU64::from_ptr(self.at(offset, 8).cast()) }
    }

    /// Copies `bytes` to `offset`. That nobody else writes there meanwhile is the caller's concern; if somebody does, the
    /// bytes are a mixture.
    ///
    /// # Panics
    /// When they do not fit.
    #[inline]
    #[allow(dead_code, reason = "for queues, whose bytes are not all under one lock")]
    pub(crate) fn copy_in(&self, offset: usize, bytes: &[u8]) {
        let to = self.at(offset, bytes.len());
        // SAFETY: the range is in the mapping, and no slice of this process lies there.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
    }

    /// Copies what is at `offset` into `bytes`; as with [`Region::copy_in`].
    ///
    /// # Panics
    /// When there are not so many.
    #[inline]
    #[allow(dead_code, reason = "for queues, whose bytes are not all under one lock")]
    pub(crate) fn copy_out(&self, offset: usize, bytes: &mut [u8]) {
        let from = self.at(offset, bytes.len());
        // SAFETY: the range is in the mapping, and the buffer is the caller's own.
        unsafe { ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is the region's own, and nothing refers to it any more.
        unsafe { libc::munmap(self.base.cast(), self.size) };
    }
}

/// Makes the file `size` bytes long and allocates all of them. ftruncate(2) only promises them.
pub(super) fn reserve(file: impl AsFd, size: usize) -> io::Result<()> {
    if size >= LARGE && available().is_some_and(|available| size > available) {
        return Err(Errno::ENOMEM.into());
    }
    let size = i64::try_from(size).ok().filter(|size| *size > 0).ok_or(Errno::EINVAL)?;
    loop {
        match posix_fallocate(file.as_fd(), 0, size) {
            // A signal that somebody handles: what is allocated by now stays.
            Err(Errno::EINTR) => {}
            done => return Ok(done?),
        }
    }
}

/// From this size on it is worth a look whether there is so much memory.
const LARGE: usize = 16 << 20;

/// Bytes of memory that can be had now, as the kernel estimates (proc_meminfo(5)); None where it does not say.
fn available() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()
    };
    Some((field("MemAvailable:")? + field("SwapFree:").unwrap_or(0)).saturating_mul(1024))
}

/// The error for a person, with what to do about it.
pub(super) fn explain(what: &'static str, name: impl std::fmt::Display, error: io::Error) -> Error {
    let hint = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE) => Some(fd::RAISE_LIMIT),
        Some(Errno::ENOSPC) => Some("make room in /dev/shm ('df /dev/shm') or ask for less"),
        Some(Errno::ENOMEM) => Some("ask for less, or raise the limit on memory"),
        _ => None,
    };
    let error = Error::os(what, name, error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    fn reopen(region: &Region, size: usize) -> Result<Region, Error> {
        Region::open(region.fd().try_clone_to_owned().unwrap(), size)
    }

    #[test]
    fn two_mappings_show_the_same_bytes() {
        let region = Region::create("test", 5000).unwrap();
        assert_eq!(region.size(), 5000);
        let other = reopen(&region, 5000).unwrap();
        region.copy_in(4990, b"0123456789");
        region.atomic_u32(8).store(7, Ordering::Release);
        region.atomic_u64(16).store(u64::MAX, Ordering::Release);
        let mut bytes = [0; 10];
        other.copy_out(4990, &mut bytes);
        assert_eq!(&bytes, b"0123456789");
        assert_eq!(other.atomic_u32(8).load(Ordering::Acquire), 7);
        assert_eq!(other.atomic_u64(16).load(Ordering::Acquire), u64::MAX);
    }

    #[test]
    fn memory_of_another_size_or_without_a_final_one_is_refused() {
        let region = Region::create("test", 4096).unwrap();
        assert!(reopen(&region, 4095).is_err());
        assert!(reopen(&region, 8192).is_err());
        let file = crate::sys::fd::memory_file("test").unwrap();
        reserve(&file, 4096).unwrap();
        let refused = Region::open(file, 4096).unwrap_err().to_string();
        assert!(refused.contains("size may change"), "{refused}");
        let cut = nix::unistd::ftruncate(region.fd(), 0);
        assert_eq!(cut, Err(Errno::EPERM));
    }

    #[test]
    fn no_bytes_and_too_many_are_refused() {
        assert!(Region::create("test", 0).is_err());
        assert!(Region::create("test", usize::MAX).is_err());
        assert!(Region::create("test", 1 << 60).is_err());
    }

    #[test]
    fn nothing_outside_can_be_reached() {
        let region = Region::create("test", 4096).unwrap();
        let reaches =
            |reach: &dyn Fn(&Region)| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| reach(&region))).is_ok();
        assert!(reaches(&|it| it.copy_in(4096, b"")));
        assert!(!reaches(&|it| it.copy_in(4096, b"x")));
        assert!(!reaches(&|it| it.copy_out(usize::MAX, &mut [0; 2])));
        assert!(!reaches(&|it| it.atomic_u32(4096).store(1, Ordering::Relaxed)));
        assert!(!reaches(&|it| it.atomic_u64(4).store(1, Ordering::Relaxed)));
    }
}
