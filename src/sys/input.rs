//! Input that may never come: a read of a terminal, a pipe or a FIFO that somebody can end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::sys::wait::{self, Interest};
use crate::sys::wake::Waker;

/// A stream that reads as ended once a waker was woken.
#[derive(Debug)]
pub struct Interruptible {
    file: File,
    stop: Waker,
}

impl Interruptible {
    /// Reads `file` until its end or until `stop` is woken.
    #[must_use]
    pub fn new(file: OwnedFd, stop: Waker) -> Self {
        Self { file: file.into(), stop }
    }

    /// Opens `path` without waiting for whoever writes into it: the first read does that.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path, stop: Waker) -> io::Result<Self> {
        Ok(Self { file: open_without_waiting(path)?, stop })
    }
}

/// Opens `path` for reads that do not block, without waiting for whoever writes into it.
///
/// # Errors
/// The system's.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)
}

impl Read for Interruptible {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let fds = [(self.stop.as_fd(), Interest::Read), (self.file.as_fd(), Interest::Read)];
            let [stop, _] = wait::wait(fds, None)?;
            if stop.any() {
                return Ok(0);
            }
            match self.file.read(buffer) {
                // Another reader of the same pipe was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_stream_ends_with_its_writer_or_when_it_is_stopped() {
        for stopped in [false, true] {
            let (read, write) = crate::sys::fd::pipe().unwrap();
            let stop = Waker::new().unwrap();
            let mut input = Interruptible::new(read, stop.clone());
            let mut writer = File::from(write);
            writer.write_all(b"abc").unwrap();
            let mut found = [0; 8];
            assert_eq!(input.read(&mut found).unwrap(), 3);
            let reader = std::thread::spawn(move || input.read(&mut [0; 8]).unwrap());
            if stopped {
                stop.wake()
            } else {
                drop(writer)
            }
            assert_eq!(reader.join().unwrap(), 0);
        }
    }
}
