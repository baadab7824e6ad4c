//! File descriptors: pipes that no child inherits by accident, and handing one to one child.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{mkstemp, pipe2, unlink};

use crate::Error;

/// An anonymous pipe, (read end, write end), both closed on exec from the start: pipe(2) followed by
/// fcntl(2) leaks the ends into whatever another thread spawns in between.
///
/// # Errors
/// EMFILE or ENFILE: the process or the system is out of descriptors.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    pipe2(OFlag::O_CLOEXEC).map_err(|errno| with_way_out(Error::os("cannot create a pipe", "", errno)))
}

/// A second descriptor of what `fd` is open on, closed on exec; `name` is what an error calls it.
///
/// # Errors
/// EMFILE: the process is out of descriptors.
pub fn duplicate(fd: impl AsFd, name: &str) -> Result<OwnedFd, Error> {
    let copy = fd.as_fd().try_clone_to_owned();
    copy.map_err(|error| with_way_out(Error::os("cannot open", name, error)))
}

/// What to do about a lack of descriptors.
/// The number of its inode, by which /proc/PID/fd shows a socket.
pub(crate) fn inode(fd: impl AsFd) -> Option<u64> {
    fstat(fd).ok().map(|stat| stat.st_ino)
}

pub(crate) const RAISE_LIMIT: &str = "raise the limit on open files ('ulimit -n')";

/// `error`, with what to do about it if it is a lack of descriptors. It is not for calls that answer other limits with EMFILE
/// too.
#[must_use]
pub fn with_way_out(error: Error) -> Error {
    if error.raw_os_error() == Some(Errno::EMFILE as i32) { error.hint(RAISE_LIMIT) } else { error }
}

/// True if this process may not open one more descriptor. Some calls answer other limits with EMFILE too; this tells them
/// apart.
#[must_use]
pub(crate) fn are_used_up() -> bool {
    matches!(memfd_create("probe", MFdFlags::MFD_CLOEXEC), Err(Errno::EMFILE))
}

/// A file that is in memory and nowhere else (memfd_create(2)); `name` is what /proc shows.
///
/// # Errors
/// EMFILE or ENOMEM.
pub fn memory_file(name: &str) -> io::Result<OwnedFd> {
    Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC)?)
}

/// A file in directory `dir` that has no name, so that nothing of it is left whatever ends this process.
///
/// # Errors
/// The system's.
pub fn unnamed_file(dir: &Path) -> io::Result<File> {
    let open = |flags: OFlag| File::options().read(true).write(true).custom_flags(flags.bits()).open(dir);
    match open(OFlag::O_TMPFILE) {
        // Not every file system has such files, so it gets a name for a moment.
        Err(error)
            if matches!(Errno::from_raw(error.raw_os_error().unwrap_or(0)), Errno::EOPNOTSUPP | Errno::EISDIR) =>
        {
            let (fd, path) = mkstemp(&dir.join(format!("ipcpipe-{}", "X".repeat(6))))?;
            unlink(&path)?;
            set_cloexec(fd.as_fd(), true)?;
            Ok(fd.into())
        }
        opened => opened,
    }
}

/// How many descriptors this process may have (RLIMIT_NOFILE).
#[must_use]
pub fn limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Descriptors that the next child inherits, for as long as this guard lives.
///
/// Spawn exactly one child while it lives. A child that another thread spawns meanwhile inherits
/// them too, so spawn from one thread.
#[derive(Debug)]
pub struct Inheritable<'a>(Vec<BorrowedFd<'a>>);

impl<'a> Inheritable<'a> {
    /// Makes `fds` inheritable until the guard is dropped.
    ///
    /// # Errors
    /// EBADF: a descriptor is not open.
    pub fn new(fds: impl IntoIterator<Item = BorrowedFd<'a>>) -> io::Result<Self> {
        let guard = Self(fds.into_iter().collect());
        guard.0.iter().try_for_each(|fd| set_cloexec(*fd, false))?;
        Ok(guard)
    }
}

impl Drop for Inheritable<'_> {
    fn drop(&mut self) {
        for fd in &self.0 {
            // Cannot fail on a descriptor that is borrowed, hence open.
            let _ = set_cloexec(*fd, true);
        }
    }
}

/// Takes over descriptor number `raw` that the parent left open for this process, and closes it on
/// exec from now on. The result owns the descriptor.
///
/// What came over an exec is not closed on exec; what this process opened itself, or has taken over before, is.
/// That is how a descriptor with an owner is told from one without.
///
/// # Errors
/// When no such descriptor is open, it is one of the standard three, or it has an owner.
pub fn adopt(raw: RawFd) -> Result<OwnedFd, Error> {
    let refused = |why: &str| Err(Error::refused("cannot take over descriptor", raw, why));
    if raw <= 2 {
        return refused("it is not one that a launcher hands on");
    }
    // SAFETY: the number is only looked at here; F_GETFD on a closed descriptor answers EBADF.
    let probe = unsafe { BorrowedFd::borrow_raw(raw) };
    match fcntl(probe, FcntlArg::F_GETFD).map(FdFlag::from_bits_retain) {
        Err(_) => {
            let error = Error::refused("cannot take over descriptor", raw, "the launcher did not hand it on");
            return Err(error.hint("spawn the child while sys::fd::Inheritable holds the endpoint's descriptors"));
        }
        Ok(flags) if flags.contains(FdFlag::FD_CLOEXEC) => return refused("it has an owner in this process"),
        Ok(_) => {}
    }
    if set_cloexec(probe, true).is_err() {
        return refused("it cannot be closed on exec");
    }
    // SAFETY: the descriptor is open and came over an exec, so nothing in this process owns it yet.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Takes over standard input, if it is a Unix socket, and puts /dev/null in its place.
///
/// # Errors
/// ENOTSOCK if it is none, and the system's: EMFILE.
pub(crate) fn take_input_socket() -> io::Result<OwnedFd> {
    let input = io::stdin();
    if nix::sys::socket::getsockopt(&input, nix::sys::socket::sockopt::SockType)? != nix::sys::socket::SockType::Stream
    {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let socket = input.as_fd().try_clone_to_owned()?;
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    nix::unistd::dup2_stdin(null)?;
    Ok(socket)
}

/// A read end of the pipe that process `pid` has at descriptor `raw`, without blocking reads: the kernel opens a pipe anew
/// through proc_pid_fd(5), as it does a FIFO. None if it is no pipe, or belongs to somebody else.
#[must_use]
pub fn tap(pid: u32, raw: RawFd) -> Option<OwnedFd> {
    let path = format!("/proc/{pid}/fd/{raw}");
    let target = std::fs::read_link(&path).ok()?;
    if !target.to_string_lossy().starts_with("pipe:") {
        return None;
    }
    open(path.as_str(), OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

/// Descriptors that stay free for what a moment needs: a look into /proc, a signal, a line for a log.
const RESERVE: u64 = 8;

/// True if `fd` is one of the last that this process may have, which are not for keeping: whoever holds them for long
/// takes from everybody else the means to find out and to act. Since the kernel gives the lowest free number, nobody has
/// to count.
pub(crate) fn is_reserved(fd: impl AsFd) -> bool {
    u64::from(fd.as_fd().as_raw_fd().unsigned_abs()) + RESERVE >= limit()
}

/// Whether the next `number` descriptors that are opened can be kept.
///
/// # Errors
/// EMFILE, though the system would still give them, if one of them [`is_reserved`].
pub(crate) fn room_for(number: usize) -> io::Result<()> {
    let (first, second) = pipe2(OFlag::O_CLOEXEC)?;
    let opened = (2..number).map(|_| first.try_clone()).collect::<io::Result<Vec<_>>>()?;
    let last = opened.iter().chain([&first, &second]).max_by_key(|fd| fd.as_raw_fd());
    if last.is_some_and(is_reserved) { Err(Errno::EMFILE.into()) } else { Ok(()) }
}

fn set_cloexec(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let flags = if on { FdFlag::FD_CLOEXEC } else { FdFlag::empty() };
    fcntl(fd, FcntlArg::F_SETFD(flags))?;
    Ok(())
}

/// Sets or clears O_NONBLOCK on the open file that `fd` refers to.
///
/// # Errors
/// EBADF: the descriptor is not open.
pub fn set_nonblocking(fd: impl AsFd, on: bool) -> io::Result<()> {
    let mut flags = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_NONBLOCK, on);
    fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags))?;
    Ok(())
}
