//! One child process: spawned with exactly the descriptors it is given, held by a pidfd, signalled
//! through it and reaped once.

#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::Error;
use crate::sys::fd::{self, Inheritable};
use crate::sys::handle::{self, Handle};
use crate::sys::wait::{self, Interest};

/// A child process that this process spawned and has not yet reaped.
///
/// Signals go through the pidfd (pidfd_open(2)), so they reach this child or nobody: a number that the
/// kernel has given to another process is never signalled. **Dropping it kills and reaps the child**;
/// [`wait`](Self::wait) for one that is to end by itself.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    pidfd: OwnedFd,
    ended: OnceLock<Ended>,
}

/// What is open for one child is open for every child that another thread spawns at the same moment.
static SPAWNING: Mutex<()> = Mutex::new(());

/// The numbers of children that a [`Child`] will reap.
static HELD: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn held() -> MutexGuard<'static, BTreeSet<u32>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// True if a [`Child`] will reap process `pid`, so nobody else should. None while a child is being spawned, for then it
/// may be that one. Never blocks.
#[must_use]
pub fn is_held(pid: u32) -> Option<bool> {
    match SPAWNING.try_lock() {
        Err(TryLockError::WouldBlock) => None,
        Ok(_) | Err(TryLockError::Poisoned(_)) => Some(held().contains(&pid)),
    }
}

/// How a child ended and what it used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Exit status or signal.
    pub status: Status,
    /// What it used in its life.
    pub usage: Usage,
}

/// The ways a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It exited with this status.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
    /// Somebody else reaped it, so nobody here knows: SIGCHLD is ignored, or foreign code waited.
    Lost,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Status::Exited(code) => write!(f, "exit {code}"),
            Status::Killed(signal) => write!(f, "killed by {}", super::signal::name(signal)),
            Status::Lost => f.write_str("status lost"),
        }
    }
}

/// What a process used in its life (getrusage(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub sys: Duration,
    /// The largest resident set, in KiB.
    pub max_rss_kib: u64,
    /// Context switches because it waited.
    pub voluntary_switches: u64,
    /// Context switches because its time was up.
    pub involuntary_switches: u64,
}

impl Child {
    /// Spawns `command` with `fds` open at their present numbers, besides the standard three.
    ///
    /// # Errors
    /// The system's (EAGAIN: the limit on processes; EMFILE; ENOENT), with the program as operand.
    pub fn spawn<'a>(command: &mut Command, fds: impl IntoIterator<Item = BorrowedFd<'a>>) -> Result<Self, Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(libc::EAGAIN) => {
                Error::os("cannot start", &program, error).hint("raise the limit on processes ('ulimit -u')")
            }
            Some(libc::EMFILE) => Error::os("cannot start", &program, error).hint(fd::RAISE_LIMIT),
            _ => Error::os("cannot start", &program, error),
        };
        let _alone = SPAWNING.lock().unwrap_or_else(PoisonError::into_inner);
        let open = Inheritable::new(fds).map_err(failed)?;
        let process = command.spawn().map_err(failed)?;
        held().insert(process.id());
        drop(open);
        Self::hold(process).map_err(failed)
    }

    fn hold(mut process: std::process::Child) -> io::Result<Self> {
        let pid = rustix::process::Pid::from_child(&process);
        match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self { process, pidfd, ended: OnceLock::new() }),
            Err(errno) => {
                process.kill()?;
                process.wait()?;
                held().remove(&process.id());
                Err(errno.into())
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends `signal`. A child that has ended already is no error.
    pub fn signal(&self, signal: Signal) {
        if self.ended.get().is_none()
            && let Some(signal) = rustix::process::Signal::from_named_raw(signal as i32)
        {
            // ESRCH, the only possible failure on our own child, means it has ended.
            let _ = rustix::process::pidfd_send_signal(&self.pidfd, signal);
        }
    }

    /// Sends the signal of that number, as [`signal`](Self::signal) does.
    pub fn signal_number(&self, number: i32) {
        if let (None, Ok(signal)) = (self.ended.get(), Signal::try_from(number)) {
            self.signal(signal);
        }
    }

    /// Sends `signal`, a raw number, to the whole process group that the child leads; one that it was spawned with, say by
    /// `process_group(0)`. True if it reached somebody, which it does as long as anybody is in the group, be the child
    /// reaped or not. Only on a kernel before 6.9 it needs the child unreaped, whose number nobody else can have.
    pub fn signal_group(&self, signal: i32) -> bool {
        match handle::signal_group(self.pidfd.as_fd(), signal) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                // No other thread reaps it meanwhile.
                let _held = held();
                self.ended.get().is_none() && handle::signal_group_number(self.pid(), signal).is_ok()
            }
            sent => sent.is_ok(),
        }
    }

    /// The read ends of its standard output and standard error, where the command asked for pipes; each at most once.
    pub fn take_output(&mut self) -> (Option<OwnedFd>, Option<OwnedFd>) {
        let (output, error) = (self.process.stdout.take(), self.process.stderr.take());
        (output.map(OwnedFd::from), error.map(OwnedFd::from))
    }

    /// A second hold on the child that outlives this one.
    ///
    /// # Errors
    /// EMFILE: the process is out of descriptors.
    pub fn handle(&self) -> io::Result<Handle> {
        self.pidfd.try_clone().map(Handle::of)
    }

    /// Reaps the child if it has ended; never blocks. The pidfd becomes readable at that moment.
    pub fn try_reap(&self) -> Option<Ended> {
        if self.ended.get().is_none() {
            // Together, for the number is free for another child as soon as this one is reaped; and once, for all threads.
            let mut held = held();
            if self.ended.get().is_none()
                && let Some(ended) = wait4(self.process.id(), libc::WNOHANG)
            {
                held.remove(&self.process.id());
                let _ = self.ended.set(ended);
            }
        }
        self.ended.get().copied()
    }
}

impl Child {
    /// Waits until the child has ended, however long that takes, and reaps it.
    ///
    /// # Errors
    /// The system's: EINVAL or ENOMEM.
    pub fn wait(&mut self) -> io::Result<Ended> {
        loop {
            if let Some(ended) = self.try_reap() {
                return Ok(ended);
            }
            wait::wait([(self.pidfd.as_fd(), Interest::Read)], None)?;
        }
    }
}

impl AsFd for Child {
    /// The pidfd: readable once the child has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.try_reap().is_none() {
            self.signal(Signal::SIGKILL);
            // There is nobody to tell if the system cannot wait.
            let _ = self.wait();
        }
    }
}

/// wait4(2) because it alone gives the usage of one child; std and nix only wait.
fn wait4(pid: u32, options: libc::c_int) -> Option<Ended> {
    loop {
        let mut status = 0;
        // SAFETY: rusage is plain numbers, for which all zero bytes are a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live locals; the pid is an unreaped child of ours.
        let got = unsafe { libc::wait4(pid as libc::pid_t, &raw mut status, options, &raw mut usage) };
        match got {
            0 => return None,
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => return Some(Ended { status: Status::Lost, usage: Usage::default() }),
            _ => return Some(Ended { status: decode(status), usage: Usage::from(&usage) }),
        }
    }
}

fn decode(status: libc::c_int) -> Status {
    if libc::WIFSIGNALED(status) {
        Status::Killed(libc::WTERMSIG(status))
    } else {
        Status::Exited(libc::WEXITSTATUS(status))
    }
}

impl Usage {
    /// What this process has used so far, all its threads together.
    #[must_use]
    pub fn own() -> Self {
        // SAFETY: rusage is plain numbers, for which all zero bytes are a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live local. The call fails only for a pointer or a whom that is none.
        unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
        Self::from(&usage)
    }
}

impl From<&libc::rusage> for Usage {
    fn from(usage: &libc::rusage) -> Self {
        let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
        Self {
            user: time(usage.ru_utime),
            sys: time(usage.ru_stime),
            max_rss_kib: usage.ru_maxrss as u64,
            voluntary_switches: usage.ru_nvcsw as u64,
            involuntary_switches: usage.ru_nivcsw as u64,
        }
    }
}
