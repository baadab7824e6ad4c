//! The dataless pipe that gives a message queue and a shared ring what they lack: the kernel's word
//! that the other side is gone.
//!
//! The sender holds the write end and the receiver the read end; no byte is ever written. When either
//! process dies, however it dies, the kernel closes its end and the other one's poll(2) reports it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::wait::{Interest, look};

/// One end of a lifeline.
#[derive(Debug)]
pub(crate) struct Lifeline(OwnedFd);

impl Lifeline {
    pub(crate) fn new(end: OwnedFd) -> Self {
        Self(end)
    }

    /// True once the peer's process has closed its end. A failed look counts as loss: nothing could be
    /// relied on any more.
    pub(crate) fn peer_is_gone(&self) -> bool {
        look(self.0.as_fd(), Interest::HangUp).map_or(true, |answer| answer.hung_up)
    }
}

impl AsFd for Lifeline {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
