//! The two faces of every data path: bytes of whole frames in at one side, bytes in any pieces out at the
//! other. An enum rather than a trait object: the set is closed, and the calls inline.

use std::io;
use std::time::Instant;

use super::error::{RecvError, SendError};
use super::{mq, shm, stream};
use crate::Error;

/// What a transport reports; the sender or receiver adds the link's name.
#[derive(Debug)]
pub(crate) enum Fault {
    Disconnected,
    Corrupt(String),
    System(Error),
}

impl Fault {
    pub(crate) fn system(what: &'static str, object: &str, error: io::Error) -> Self {
        Self::System(Error::os(what, object, error))
    }

    pub(crate) fn of_sender(self, link: &str) -> SendError {
        match self {
            Fault::Disconnected => SendError::disconnected(link),
            Fault::Corrupt(fault) => SendError::corrupt(link, fault),
            Fault::System(error) => SendError::System(error),
        }
    }

    pub(crate) fn of_receiver(self, link: &str) -> RecvError {
        match self {
            Fault::Disconnected => RecvError::disconnected(link),
            Fault::Corrupt(fault) => RecvError::corrupt(link, fault),
            Fault::System(error) => RecvError::System(error),
        }
    }
}

/// Whether the receiver has to hear of a frame at once, or may sleep on because more follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    Now,
    MoreFollows,
}

/// How hard to look for a receiver that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// If the last look was some time ago.
    NowAndThen,
    Now,
}

/// The sending side of a data path.
#[derive(Debug)]
pub(crate) enum Tx {
    Stream(stream::Writer),
    Mq(mq::Writer),
    Shm(shm::Writer),
}

impl Tx {
    /// The most bytes that a frame may have.
    pub(crate) fn max_frame(&self) -> usize {
        match self {
            Tx::Stream(_) | Tx::Shm(_) => super::frame::MAX_FRAME,
            Tx::Mq(queue) => queue.max_message(),
        }
    }

    /// Writes one frame; blocks while the link is full.
    pub(crate) fn write(&mut self, header: &[u8], records: &[u8], urgency: Urgency) -> Result<(), Fault> {
        match self {
            Tx::Stream(stream) => stream.write(header, records),
            Tx::Mq(queue) => queue.write(header, records),
            Tx::Shm(ring) => ring.write(header, records, urgency),
        }
    }

    /// Wakes a receiver that was left to sleep.
    pub(crate) fn wake(&mut self) {
        match self {
            Tx::Stream(_) | Tx::Mq(_) => {}
            Tx::Shm(ring) => ring.wake(1),
        }
    }

    /// Notices a receiver that is gone, where writing does not.
    pub(crate) fn check_peer(&mut self, effort: Effort) -> Result<(), Fault> {
        let lifeline = match self {
            Tx::Stream(_) => return Ok(()),
            Tx::Mq(queue) => &mut queue.lifeline,
            Tx::Shm(ring) => &mut ring.lifeline,
        };
        let is_gone = match effort {
            Effort::NowAndThen => lifeline.peer_is_known_to_be_gone(),
            Effort::Now => lifeline.peer_is_gone(),
        };
        if is_gone { Err(Fault::Disconnected) } else { Ok(()) }
    }
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Bytes(usize),
    TimedOut,
}

/// The receiving side of a data path.
#[derive(Debug)]
pub(crate) enum Rx {
    Stream(stream::Reader),
    Mq(mq::Reader),
    Shm(shm::Reader),
}

impl Rx {
    /// Reads what there is, at least one byte; blocks until then or until the deadline. `space` has room
    /// for a whole frame.
    pub(crate) fn read(&mut self, space: &mut [u8], deadline: Option<Instant>) -> Result<Read, Fault> {
        match self {
            Rx::Stream(stream) => stream.read(space, deadline),
            Rx::Mq(queue) => queue.read(space, deadline),
            Rx::Shm(ring) => ring.read(space, deadline),
        }
    }

    /// True if a read is known not to block, found out without a system call.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Rx::Stream(_) | Rx::Mq(_) => false,
            Rx::Shm(ring) => ring.is_ready(),
        }
    }
}
