//! The data path of pipe, FIFO and socket: a byte stream that the kernel ends when the peer goes.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use super::transport::{Fault, Read};
use crate::sys::wait::{self, Interest};

#[derive(Debug)]
pub(crate) struct Writer(File);

impl Writer {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(File::from(fd))
    }

    pub(crate) fn write(&mut self, header: &[u8], records: &[u8]) -> Result<(), Fault> {
        let mut slices = [IoSlice::new(header), IoSlice::new(records)];
        let mut left = &mut slices[..];
        while left.iter().any(|slice| !slice.is_empty()) {
            match self.0.write_vectored(left) {
                Ok(count) => IoSlice::advance_slices(&mut left, count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(fault("cannot write to a link", error)),
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Reader(File);

impl Reader {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(File::from(fd))
    }

    pub(crate) fn read(&mut self, space: &mut [u8], deadline: Option<Instant>) -> Result<Read, Fault> {
        if deadline.is_some() {
            let [answer] = wait::wait([(self.0.as_fd(), Interest::Read)], deadline)
                .map_err(|error| fault("cannot wait for a link", error))?;
            if !answer.any() {
                return Ok(Read::TimedOut);
            }
        }
        loop {
            match self.0.read(space) {
                Ok(0) => return Err(Fault::Disconnected),
                Ok(count) => return Ok(Read::Bytes(count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(fault("cannot read from a link", error)),
            }
        }
    }
}

/// A socket whose peer died with unread data of ours answers ECONNRESET after its own data: to us that
/// is the same loss as the end of a pipe.
fn fault(what: &'static str, error: io::Error) -> Fault {
    match error.kind() {
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Fault::Disconnected,
        _ => Fault::system(what, "", error),
    }
}
