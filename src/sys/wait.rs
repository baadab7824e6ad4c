//! Waiting on descriptors: poll(2) with a deadline that survives interruptions.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

/// What to look for on a descriptor. Hang-up and error are always reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// It can be read without blocking.
    Read,
    /// It can be written without blocking.
    Write,
    /// Either of them. One entry does it: poll(2) refuses more entries than the process may have descriptors.
    Both,
    /// Only that the other side went away.
    HangUp,
}

impl Interest {
    fn flags(self) -> PollFlags {
        match self {
            Interest::Read => PollFlags::POLLIN,
            Interest::Write => PollFlags::POLLOUT,
            Interest::Both => PollFlags::POLLIN | PollFlags::POLLOUT,
            Interest::HangUp => PollFlags::empty(),
        }
    }
}

/// What a descriptor answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// What was asked for is possible now.
    pub ready: bool,
    /// The other side is gone (POLLHUP, POLLERR) or the descriptor is bad (POLLNVAL).
    pub hung_up: bool,
}

impl Readiness {
    /// Anything at all happened.
    #[must_use]
    pub fn any(self) -> bool {
        self.ready || self.hung_up
    }

    fn of(fd: &PollFd<'_>) -> Self {
        let got = fd.revents().unwrap_or(PollFlags::empty());
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
        Self { ready: got.intersects(PollFlags::POLLIN | PollFlags::POLLOUT), hung_up: got.intersects(gone) }
    }
}

/// Waits until one of `fds` is ready or `deadline` has passed (None: for ever), and says which.
///
/// A signal does not end the wait; whoever cares about signals has a pipe for them among `fds`.
/// With a deadline in the past it only looks. All answers are empty after a time-out.
///
/// # Errors
/// The system's: EINVAL or ENOMEM.
pub fn wait<const N: usize>(
    fds: [(BorrowedFd<'_>, Interest); N],
    deadline: Option<Instant>,
) -> io::Result<[Readiness; N]> {
    let mut polled = fds.map(|(fd, interest)| PollFd::new(fd, interest.flags()));
    wait_polled(&mut polled, deadline)?;
    Ok(polled.each_ref().map(Readiness::of))
}

/// [`wait`] for a number of descriptors that is only known at run time.
///
/// # Errors
/// As [`wait`].
pub fn wait_many(fds: &[(BorrowedFd<'_>, Interest)], deadline: Option<Instant>) -> io::Result<Vec<Readiness>> {
    let mut polled: Vec<_> = fds.iter().map(|&(fd, interest)| PollFd::new(fd, interest.flags())).collect();
    wait_polled(&mut polled, deadline)?;
    Ok(polled.iter().map(Readiness::of).collect())
}

/// Looks at one descriptor without waiting.
///
/// # Errors
/// As [`wait`].
pub fn look(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<Readiness> {
    wait([(fd, interest)], Some(Instant::now())).map(|[readiness]| readiness)
}

fn wait_polled(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<()> {
    loop {
        let left = deadline.map(|at| TimeSpec::from(at.saturating_duration_since(Instant::now())));
        match ppoll(fds, left, None) {
            Ok(_) => return Ok(()),
            // After EINTR the answers are stale, so ask again with what is left of the time.
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The instant `timeout` from now; None when it lies beyond what the clock can hold.
#[must_use]
pub fn deadline_in(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}
