//! The memory that two processes share: how it is made, checked and reached.

#![allow(unsafe_code)]

use std::fmt;
use std::fs::{OpenOptions, Permissions, set_permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::posix_fallocate;
use shared_memory::{Shmem, ShmemConf, ShmemError};

use super::ring::{Line, Memory, Shared};
use crate::Error;
use crate::sys::semaphore::Semaphore;

const MAGIC: u64 = u64::from_ne_bytes(*b"ipcpshm1");

/// The ring's bytes start on a page of their own.
const DATA: usize = 4096;

/// What stands before the ring's bytes.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Control {
    magic: AtomicU64,
    capacity: AtomicU64,
    pub(super) shared: Shared,
    /// Rung when there is data.
    pub(super) data: Line<Semaphore>,
    /// Rung when there is room.
    pub(super) space: Line<Semaphore>,
}

const _: () = assert!(size_of::<Control>() <= DATA && align_of::<Control>() <= DATA);

/// A mapped segment whose layout has been checked. The capacity is a private copy: what the other process
/// does to the shared one later is of no consequence.
pub(super) struct Segment {
    memory: Shmem,
    capacity: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and Segment has no interior state of its own.
unsafe impl Send for Segment {}

impl Segment {
    /// Makes the segment `name` for a ring of `capacity` bytes, a power of two from 4096 to 1 GiB.
    pub(super) fn create(name: &str, capacity: usize) -> Result<Self, Error> {
        let size = DATA.saturating_add(capacity);
        let failed = |error| explain(name, size, error);
        if !is_valid(capacity) {
            return Err(Error::refused(
                "cannot create shared memory",
                name,
                format!("{capacity} bytes is no power of two from 4096 to 1 GiB"),
            ));
        }
        let memory = ShmemConf::new().os_id(name).size(size).create().map_err(|error| failed(os_error(&error)))?;
        reserve(name, size).map_err(failed)?;
        let mut segment = Self { memory, capacity };
        segment.format().map_err(failed)?;
        // From here on the name belongs to the run, which removes it once both ends are attached.
        segment.memory.set_owner(false);
        Ok(segment)
    }

    /// Maps the segment `name` and checks that it is one of ours.
    pub(super) fn open(name: &str) -> Result<Self, Error> {
        let memory = ShmemConf::new()
            .os_id(name)
            .open()
            .map_err(|error| Error::os("cannot open shared memory", name, os_error(&error)))?;
        check(&memory)
            .map(|capacity| Self { memory, capacity })
            .map_err(|why| Error::refused("cannot use shared memory", name, why))
    }

    fn format(&mut self) -> io::Result<()> {
        let control = self.control();
        control.data.0.init()?;
        control.space.0.init()?;
        control.capacity.store(self.capacity as u64, Ordering::Relaxed);
        control.magic.store(MAGIC, Ordering::Release);
        Ok(())
    }

    pub(super) fn control(&self) -> &Control {
        control(&self.memory)
    }

    /// Bytes that the ring holds.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The address of the ring's byte at `at`, from which `length` bytes are used.
    fn at(&self, at: usize, length: usize) -> *mut u8 {
        assert!(at + length <= self.capacity, "the ring reaches outside its memory");
        self.memory.as_ptr().wrapping_add(DATA + at)
    }
}

fn is_valid(capacity: usize) -> bool {
    capacity.is_power_of_two() && (4096..=MAX_CAPACITY).contains(&capacity)
}

/// Beyond this a ring is a mistake.
const MAX_CAPACITY: usize = 1 << 30;

/// Checks the size before anything behind it is read, and answers the ring's capacity.
fn check(memory: &Shmem) -> Result<usize, String> {
    let size = memory.len();
    if size < DATA {
        return Err(format!("it has {size} bytes, fewer than a header"));
    }
    let control = control(memory);
    if control.magic.load(Ordering::Acquire) != MAGIC {
        return Err("it was not made by this version of ipcpipe".to_owned());
    }
    let capacity = control.capacity.load(Ordering::Relaxed) as usize;
    if !is_valid(capacity) || capacity.checked_add(DATA) != Some(size) {
        return Err(format!("a ring of {capacity} bytes does not fit its {size} bytes"));
    }
    Ok(capacity)
}

fn control(memory: &Shmem) -> &Control {
    assert!(memory.len() >= DATA);
    // SAFETY: the mapping is page-aligned, at least DATA bytes long and lives as long as `memory`; every field
    // of Control is an atomic or a semaphore, for which any bytes are valid and concurrent change is expected.
    unsafe { &*memory.as_ptr().cast::<Control>() }
}

impl Memory for Segment {
    fn write(&self, at: usize, bytes: &[u8]) {
        let to = self.at(at, bytes.len());
        // SAFETY: `at` checked the range; the ring's indices give this range to the producer alone until it is published.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
    }

    fn read(&self, at: usize, bytes: &mut [u8]) {
        let from = self.at(at, bytes.len());
        // SAFETY: `at` checked the range; the ring's indices give this range to the consumer alone until it is released.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) }
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("name", &self.memory.get_os_id()).field("capacity", &self.capacity).finish()
    }
}

/// Reserves the pages: ftruncate(2) promises them even on a full file system, and the first touch of a page
/// that is not there is SIGBUS.
fn reserve(name: &str, size: usize) -> io::Result<()> {
    let path = Path::new("/dev/shm").join(name.trim_start_matches('/'));
    // The umask may have taken bits away that we and the children need.
    set_permissions(&path, Permissions::from_mode(0o600))?;
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    posix_fallocate(&file, 0, size as i64)?;
    Ok(())
}

fn explain(name: &str, size: usize, error: io::Error) -> Error {
    let full = error.raw_os_error() == Some(nix::libc::ENOSPC);
    let error = Error::os("cannot create shared memory", format!("{name} ({size} bytes in /dev/shm)"), error);
    if full { error.hint("make room in /dev/shm ('df /dev/shm'), or use --backend pipe") } else { error }
}

/// The crate's errors carry the number of the system's.
fn os_error(error: &ShmemError) -> io::Error {
    match *error {
        ShmemError::MapCreateFailed(errno) | ShmemError::MapOpenFailed(errno) | ShmemError::UnknownOsError(errno) => {
            io::Error::from_raw_os_error(errno as i32)
        }
        ShmemError::MappingIdExists => io::Error::from_raw_os_error(nix::libc::EEXIST),
        _ => io::Error::other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Unlinked(String);

    impl Drop for Unlinked {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(Path::new("/dev/shm").join(&self.0[1..]));
        }
    }

    /// A segment with a header of the test's making, opened as an end would (row D53 of the fault matrix).
    fn open_with(name: &str, tamper: impl FnOnce(&Control)) -> Result<Segment, Error> {
        let name = Unlinked(format!("/ipcpipe.test-{}.{name}", std::process::id()));
        let made = Segment::create(&name.0, 4096).unwrap();
        tamper(made.control());
        Segment::open(&name.0)
    }

    #[test]
    fn a_sound_header_is_accepted() {
        assert_eq!(open_with("sound", |_| {}).unwrap().capacity(), 4096);
    }

    #[test]
    fn a_capacity_that_is_not_the_ring_s_is_refused() {
        for capacity in [0, 1, 4095, 4097, 8192, 1 << 40, u64::MAX] {
            let opened = open_with(&format!("capacity-{capacity}"), |control| {
                control.capacity.store(capacity, Ordering::Relaxed)
            });
            assert!(opened.is_err(), "capacity {capacity} was accepted");
        }
    }

    #[test]
    fn a_foreign_segment_is_refused() {
        assert!(open_with("magic", |control| control.magic.store(1, Ordering::Relaxed)).is_err());
    }

    #[test]
    fn an_odd_capacity_is_never_made() {
        assert!(Segment::create("/ipcpipe.test.odd", 5000).is_err());
    }
}
