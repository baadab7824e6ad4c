//! The dataless pipe that gives a message queue and a shared ring what they lack: the kernel's word
//! that the other side is gone.
//!
//! The sender holds the write end and the receiver the read end; no byte is ever written. When either
//! process dies, however it dies, the kernel closes its end and the other one's poll(2) reports it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::clock::now_ns;
use crate::sys::wait::{Interest, look};

/// One end of a lifeline.
#[derive(Debug)]
pub(crate) struct Lifeline {
    end: OwnedFd,
    looked_ns: u64,
}

/// A look costs a system call, as much as sending a record does, so a stream of records looks this often only.
const LOOK_EVERY_NS: u64 = 100_000_000;

impl Lifeline {
    pub(crate) fn new(end: OwnedFd) -> Self {
        Self { end, looked_ns: 0 }
    }

    /// As [`peer_is_gone`](Self::peer_is_gone), but looks only if the last look was some time ago.
    pub(crate) fn peer_is_known_to_be_gone(&mut self) -> bool {
        let now = now_ns();
        if now.saturating_sub(self.looked_ns) < LOOK_EVERY_NS {
            return false;
        }
        self.looked_ns = now;
        self.peer_is_gone()
    }

    /// True once the peer's process has closed its end. A failed look counts as loss: nothing could be
    /// relied on any more.
    pub(crate) fn peer_is_gone(&self) -> bool {
        look(self.end.as_fd(), Interest::HangUp).map_or(true, |answer| answer.hung_up)
    }
}

impl AsFd for Lifeline {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}
