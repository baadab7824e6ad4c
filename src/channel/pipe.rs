//! The anonymous pipe: how one is made. Its data path is the byte stream's.

use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, fcntl};

use super::link::Geometry;
use crate::Error;
use crate::sys::fd;

/// A pipe of the wished size, (read end, write end).
pub(crate) fn create(geometry: Geometry) -> Result<(OwnedFd, OwnedFd), Error> {
    let (read, write) = fd::pipe()?;
    enlarge(&write, geometry);
    Ok((read, write))
}

/// Asks for a larger buffer. A refusal (pipe-max-size, or the user's share of pipe pages) costs speed only.
pub(crate) fn enlarge(end: &impl AsFd, geometry: Geometry) {
    let _ = fcntl(end.as_fd(), FcntlArg::F_SETPIPE_SZ(geometry.buffer_bytes as i32));
}
