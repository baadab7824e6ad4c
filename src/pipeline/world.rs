//! The world as a source process finds it: a stop line, a clock and bytes to read.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::stage::{Clock, Input, InputWake, Taken, Wake, World};
use crate::sys::clock;
use crate::sys::wait::{Interest, deadline_in, look, wait};

/// CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ns(&self) -> u64 {
        clock::now_ns()
    }
}

/// Waits that end when the launcher closes the stop line, or dies.
#[derive(Debug)]
pub struct StopLine(OwnedFd);

impl StopLine {
    /// The read end of a pipe whose write end the launcher holds.
    #[must_use]
    pub fn new(pipe: OwnedFd) -> Self {
        Self(pipe)
    }

    /// The same line for a second waiter of this process.
    ///
    /// # Errors
    /// EMFILE.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl Clock for StopLine {
    fn now_ns(&self) -> u64 {
        clock::now_ns()
    }
}

/// A failed wait is taken for a wish to stop: to go on without a way to be stopped would be worse.
impl World for StopLine {
    fn wait_until(&mut self, at_ns: u64) -> Wake {
        match wait([(self.0.as_fd(), Interest::Read)], instant(at_ns)) {
            Ok([stop]) if !stop.any() => Wake::Due,
            _ => Wake::Stopped,
        }
    }

    fn stopped(&mut self) -> bool {
        look(self.0.as_fd(), Interest::Read).map_or(true, |stop| stop.any())
    }
}

/// A file, pipe or terminal that is read without blocking, whatever its flags: others may share them.
#[derive(Debug)]
pub struct StoppableInput {
    file: File,
    stop: StopLine,
}

impl StoppableInput {
    /// Reads `file` until `stop`.
    #[must_use]
    pub fn new(file: OwnedFd, stop: StopLine) -> Self {
        Self { file: File::from(file), stop }
    }
}

impl Input for StoppableInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Taken> {
        if !look(self.file.as_fd(), Interest::Read)?.any() {
            return Ok(Taken::WouldBlock);
        }
        Ok(match self.file.read(buffer)? {
            0 => Taken::End,
            count => Taken::Bytes(count),
        })
    }

    fn wait_input(&mut self, until_ns: Option<u64>) -> InputWake {
        let fds = [(self.stop.0.as_fd(), Interest::Read), (self.file.as_fd(), Interest::Read)];
        match wait(fds, until_ns.and_then(instant)) {
            Ok([stop, _]) if stop.any() => InputWake::Stopped,
            Ok([_, input]) if input.any() => InputWake::Ready,
            Ok(_) => InputWake::Due,
            Err(_) => InputWake::Stopped,
        }
    }
}

/// The instant at which the monotonic clock reads `at_ns`; None if it lies too far ahead to be reached.
fn instant(at_ns: u64) -> Option<Instant> {
    deadline_in(Duration::from_nanos(at_ns.saturating_sub(clock::now_ns())))
}
