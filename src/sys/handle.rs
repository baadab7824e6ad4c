//! Processes held by pidfd that need not be children, process groups reached through one, and children that end
//! without anybody who knows them.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::sys::proc;
use crate::sys::socket::peer_pid;
use crate::sys::wait::{self, Interest};

/// PIDFD_SIGNAL_PROCESS_GROUP of pidfd_send_signal(2), since Linux 6.9.
const PROCESS_GROUP: libc::c_uint = 1 << 2;

/// A process held by pidfd that need not be a child: signals reach it or nobody.
#[derive(Debug)]
pub struct Handle(OwnedFd);

impl Handle {
    /// Takes hold of process `pid`, which started at `start_ticks` ([`proc::Stat::start_ticks`]). None unless the
    /// process that started then is still the one with this pid; a zombie still is. Never blocks.
    #[must_use]
    pub fn open(pid: u32, start_ticks: u64) -> Option<Self> {
        let number = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let pidfd = pidfd_open(number, PidfdFlags::empty()).ok()?;
        // Looked at after the pidfd is held: from then on the start time is that of the process that it holds, or that
        // of a later one, which differs.
        (proc::stat(pid)?.start_ticks == start_ticks).then_some(Self(pidfd))
    }

    pub(in crate::sys) fn of(pidfd: OwnedFd) -> Self {
        Self(pidfd)
    }

    /// Takes hold of this process, for others.
    ///
    /// # Errors
    /// EMFILE: the process is out of descriptors.
    pub(crate) fn this() -> io::Result<Self> {
        Ok(Self(pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?))
    }

    /// Takes hold of the process on the other side of a Unix stream socket: the one that connected it, began to listen or
    /// made the pair. None if it is in another pid namespace.
    ///
    /// # Errors
    /// ESRCH when it has ended and was reaped; EMFILE.
    pub(crate) fn peer(socket: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        let Some(pid) = peer_pid(&socket).and_then(|pid| Pid::from_raw(pid.cast_signed())) else { return Ok(None) };
        Ok(Some(Self(pidfd_open(pid, PidfdFlags::empty())?)))
    }

    /// Sends `signal` to the process. True if it was there to get it, as a zombie is.
    pub fn signal(&self, signal: i32) -> bool {
        send(self.0.as_fd(), signal, 0).is_ok()
    }

    /// Sends `signal` to the process group that the process leads or led. True if it reached somebody, which it does
    /// as long as anybody is in the group, be the leader reaped or not. On a kernel before 6.9, which cannot do that
    /// without a number that may be somebody else's, it reaches the process alone.
    pub fn signal_group(&self, signal: i32) -> bool {
        match signal_group(self.0.as_fd(), signal) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => self.signal(signal),
            sent => sent.is_ok(),
        }
    }

    /// True once the process has ended, as a zombie has. Never blocks.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        wait::look(self.as_fd(), Interest::Read).is_ok_and(|readiness| readiness.any())
    }
}

impl From<OwnedFd> for Handle {
    /// Of a pidfd that another process has sent.
    fn from(pidfd: OwnedFd) -> Self {
        Self(pidfd)
    }
}

impl From<Handle> for OwnedFd {
    fn from(handle: Handle) -> Self {
        handle.0
    }
}

impl AsFd for Handle {
    /// The pidfd: readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends `signal` to the group whose leader `pidfd` holds or held. The pidfd keeps the number of the group from being
/// mistaken: it finds the members of that very group.
pub(in crate::sys) fn signal_group(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    send(pidfd, signal, PROCESS_GROUP)
}

/// Sends `signal` to group `number`, which must be one that no other process can have got meanwhile.
pub(in crate::sys) fn signal_group_number(number: u32, signal: i32) -> io::Result<()> {
    let group = i32::try_from(number).ok().filter(|&group| group > 1).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: kill touches no memory of this process.
    let status = unsafe { libc::kill(-group, signal) };
    answer(status.into()).map(drop)
}

/// The raw call, because rustix and nix know neither the group flag nor real-time signals.
fn send(pidfd: BorrowedFd<'_>, signal: i32, flags: libc::c_uint) -> io::Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is borrowed, hence open, and a null siginfo is allowed.
    let status = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, flags) };
    answer(status).map(drop)
}

fn answer(status: libc::c_long) -> io::Result<libc::c_long> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}

/// A child of this process that has ended and is not reaped yet, if there is one; it stays unreaped. Never blocks. The
/// same child is named until somebody reaps it.
#[must_use]
pub fn next_dead() -> Option<u32> {
    // SAFETY: siginfo_t is plain data, for which all zero bytes are a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the pointer is to a live local.
    let status = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, options) };
    // SAFETY: waitid filled the structure in for a child, or left it zero.
    let pid = unsafe { info.si_pid() };
    u32::try_from(pid).ok().filter(|&pid| status == 0 && pid != 0)
}

/// Reaps child `pid` if it has ended. Never blocks; what is no dead child is left alone.
pub fn reap(pid: u32) {
    // A pid of 0 would stand for any child of the group.
    if let Some(pid) = i32::try_from(pid).ok().filter(|&pid| pid > 0) {
        let pid = nix::unistd::Pid::from_raw(pid);
        // Nobody asked how it ended.
        let _ = nix::sys::wait::waitpid(pid, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::sys::child::{Child, Status};
    use crate::sys::testing::{alone, eventually};

    /// A shell that leads a group of its own, and its output.
    fn leader(script: &str) -> (Child, OwnedFd) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = Child::spawn(&mut command, []).unwrap();
        let (output, error) = child.take_output();
        assert!(error.is_none() && child.take_output().0.is_none());
        (child, output.unwrap())
    }

    fn first_line(output: OwnedFd) -> String {
        let mut line = String::new();
        let mut file = std::fs::File::from(output);
        let mut byte = [0];
        while file.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(byte[0].into());
        }
        line
    }

    fn gone(pid: u32) -> bool {
        proc::stat(pid).is_none_or(|stat| stat.is_zombie())
    }

    #[test]
    fn a_group_is_reached_after_its_leader_was_reaped() {
        let (mut child, output) = leader("sleep 1000 >/dev/null & echo $!");
        let member: u32 = first_line(output).parse().unwrap();
        let handle = child.handle().unwrap();
        child.wait().unwrap();
        assert!(handle.has_ended() && !gone(member));
        assert!(child.signal_group(libc::SIGSTOP));
        eventually(|| proc::stat(member).is_some_and(|stat| stat.is_stopped()));
        assert!(handle.signal_group(libc::SIGKILL));
        eventually(|| gone(member));
        eventually(|| !child.signal_group(0));
        assert!(!handle.signal(0) && !handle.signal_group(0));
    }

    #[test]
    fn a_real_time_signal_reaches_the_group() {
        let (mut child, output) = leader("echo; exec sleep 1000");
        first_line(output);
        assert!(child.signal_group(libc::SIGRTMAX()));
        assert_eq!(child.wait().unwrap().status, Status::Killed(libc::SIGRTMAX()));
    }

    #[test]
    fn a_handle_is_had_only_for_the_process_that_was_meant() {
        let (mut child, _output) = leader("exec sleep 1000");
        let start_ticks = proc::stat(child.pid()).unwrap().start_ticks;
        assert!(Handle::open(child.pid(), start_ticks + 1).is_none());
        assert!(Handle::open(0, 0).is_none() && Handle::open(u32::MAX, 0).is_none());
        let handle = Handle::open(child.pid(), start_ticks).unwrap();
        assert!(!handle.has_ended());
        assert!(handle.signal(libc::SIGTERM));
        assert_eq!(child.wait().unwrap().status, Status::Killed(libc::SIGTERM));
        assert!(handle.has_ended() && !handle.signal(libc::SIGTERM));
        assert!(Handle::open(child.pid(), start_ticks).is_none());
    }

    #[test]
    fn the_dead_are_named_until_they_are_reaped() {
        alone("sys::handle::tests::the_dead_are_named_until_they_are_reaped", || {
            assert_eq!(next_dead(), None);
            let (child, output) = leader("echo; kill -KILL $$");
            first_line(output);
            eventually(|| next_dead() == Some(child.pid()));
            assert_eq!(next_dead(), Some(child.pid()));
            reap(0);
            assert_eq!(next_dead(), Some(child.pid()));
            reap(child.pid());
            reap(child.pid());
            assert_eq!(next_dead(), None);
        });
    }
}
