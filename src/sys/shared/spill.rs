//! Bytes that are too many for a place in shared memory: a file in memory without end, whose holes take no memory.
//!
//! It is read and written with pread(2) and pwrite(2), not mapped, so that nobody can be hit by a SIGBUS. Who may write where
//! and when is settled by whoever has the file.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::fcntl::{FallocateFlags, fallocate};

use super::region::explain;
use crate::Error;
use crate::sys::fd::memory_file;

/// The file.
#[derive(Debug)]
pub(crate) struct Spill(File);

impl Spill {
    /// The kernel frees whole pages only.
    pub(crate) const PAGE: u64 = 4096;

    /// A new one, empty; /proc shows it as `memfd:ipcpipe.NAME`.
    ///
    /// # Errors
    /// EMFILE or ENOMEM.
    pub(crate) fn create(name: &str) -> Result<Self, Error> {
        let file = memory_file(&format!("ipcpipe.{name}"));
        file.map(Self::open).map_err(|error| explain("cannot create shared memory", name, error))
    }

    /// That which another process made.
    pub(crate) fn open(file: OwnedFd) -> Self {
        Self(File::from(file))
    }

    /// The descriptor by which another process gets at it.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// ENOMEM, ENOSPC; EFBIG beyond the limit on the size of files (`ulimit -f`).
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let written = self.0.write_all_at(bytes, offset);
        written.map_err(|error| explain("cannot write to shared memory", format!("({} bytes)", bytes.len()), error))
    }

    /// The `length` bytes from `offset` on.
    ///
    /// # Errors
    /// When the file ends before they do, and the memory for them is not even asked for then; ENOMEM.
    pub(crate) fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        let read = || {
            let end = offset.checked_add(length).filter(|end| self.0.metadata().is_ok_and(|it| *end <= it.len()));
            end.ok_or(io::ErrorKind::UnexpectedEof)?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(length as usize)?;
            bytes.resize(length as usize, 0);
            self.0.read_exact_at(&mut bytes, offset)?;
            Ok(bytes)
        };
        read().map_err(|error| explain("cannot read from shared memory", format!("({length} bytes)"), error))
    }

    /// Gives the memory of the pages that lie wholly between the two offsets back to the system; they read as zero then.
    /// Where the system cannot, it stays taken until the file is gone.
    pub(crate) fn free(&self, from: u64, to: u64) {
        let (from, to) = (from.div_ceil(Self::PAGE) * Self::PAGE, to / Self::PAGE * Self::PAGE);
        let (Ok(start), Ok(length)) = (i64::try_from(from), i64::try_from(to.saturating_sub(from))) else { return };
        if length > 0 {
            let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            let _ = fallocate(&self.0, hole, start, length);
        }
    }

    /// Bytes of memory that it takes now.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> u64 {
        std::os::unix::fs::MetadataExt::blocks(&self.0.metadata().unwrap()) * 512
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_freed_takes_no_memory() {
        let spill = Spill::create("test").unwrap();
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        spill.write(1 << 40, &bytes).unwrap();
        assert_eq!(spill.read(1 << 40, 100_000).unwrap(), bytes);
        assert!(spill.taken() >= 100_000);
        spill.free(0, (1 << 40) + 100_001);
        assert_eq!(spill.taken(), Spill::PAGE, "the last page holds what is behind it as well");
        spill.free(1 << 40, (1 << 40) + (1 << 20));
        assert_eq!(spill.taken(), 0);
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let spill = Spill::create("test").unwrap();
        spill.write(0, b"abc").unwrap();
        assert!(spill.read(1, 3).is_err());
        assert!(spill.read(u64::MAX, 1).is_err());
        assert!(spill.read(0, u64::MAX).is_err());
        spill.free(i64::MAX as u64, u64::MAX / 2 + 9000);
    }
}
