//! The receiving side: frames out of a stream that may hold anything.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::{HEADER, LONGEST, MOST_FDS_OF_ALL, carriers};
use crate::mp::Error;
use crate::mp::wire::Message;
use crate::sys::stream::{self, MOST_FDS, Wait};

/// What is read at once, so that many small messages cost one call.
const BUFFER: usize = 64 * 1024;

/// From so many missing bytes on they are read where they belong, without a copy.
const LARGE: usize = BUFFER / 2;

/// What a look at the stream gave.
pub(super) enum Taken {
    Message(Message),
    /// No whole message has come yet.
    Nothing,
    End,
}

/// The frame whose header has been read.
struct Frame {
    fds: usize,
    /// Carriers of descriptors that are still to come.
    carriers: usize,
    /// Bytes of the message that are still to come.
    left: usize,
    bytes: Vec<u8>,
}

/// What has been read and not been taken.
#[derive(Default)]
pub(super) struct Inbox {
    /// Empty until something is read, then [`BUFFER`] bytes, of which those from `start` to `end` are to be looked at.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    fds: VecDeque<OwnedFd>,
    frame: Option<Frame>,
    has_ended: bool,
}

impl Inbox {
    /// True between two messages.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end && self.frame.is_none() && self.fds.is_empty()
    }

    /// Takes the next message off the stream, as far as it has come.
    pub(super) fn take(&mut self, socket: BorrowedFd<'_>, wait: Wait) -> Result<Taken, Error> {
        if self.has_ended {
            return Ok(Taken::End);
        }
        let taken = self.advance(socket, wait);
        if matches!(taken, Ok(Taken::End) | Err(_)) {
            // After an error nobody knows where a message begins, and what has come is of no use.
            *self = Self { has_ended: true, ..Self::default() };
        }
        taken
    }

    fn advance(&mut self, socket: BorrowedFd<'_>, wait: Wait) -> Result<Taken, Error> {
        loop {
            if let Some(message) = self.parse()? {
                return Ok(Taken::Message(message));
            }
            self.refuse_stray_descriptors()?;
            match self.read(socket, wait) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Taken::Nothing),
                Err(error) if error.kind() != ErrorKind::ConnectionReset => {
                    return Err(stream::explain("cannot receive from another process", error).into());
                }
                Ok(0) | Err(_) if self.is_empty() => return Ok(Taken::End),
                Ok(0) | Err(_) => return Err(Error::codec("the stream ends inside a message")),
            }
        }
    }

    /// Takes a message out of what has been read; None if more has to be.
    fn parse(&mut self) -> Result<Option<Message>, Error> {
        let mut frame = match self.frame.take() {
            Some(frame) => frame,
            None => match self.header()? {
                Some(frame) => frame,
                None => return Ok(None),
            },
        };
        let carriers = frame.carriers.min(self.end - self.start);
        self.start += carriers;
        frame.carriers -= carriers;
        if frame.carriers == 0 && self.fds.len() < frame.fds {
            return Err(Error::codec("descriptors of a message are missing"));
        }
        let length = frame.left.min(self.end - self.start);
        frame.bytes.extend_from_slice(&self.buffer[self.start..self.start + length]);
        self.start += length;
        frame.left -= length;
        if frame.carriers > 0 || frame.left > 0 {
            self.frame = Some(frame);
            return Ok(None);
        }
        let fds = self.fds.drain(..frame.fds).collect();
        Ok(Some(Message { bytes: frame.bytes, fds }))
    }

    /// Takes a header, if there is a whole one.
    fn header(&mut self) -> Result<Option<Frame>, Error> {
        let read = &self.buffer[self.start..self.end];
        let Some((length, rest)) = read.split_first_chunk() else { return Ok(None) };
        let Some(number) = rest.first_chunk() else { return Ok(None) };
        let (length, number) = (u64::from_le_bytes(*length), u32::from_le_bytes(*number) as usize);
        let left = usize::try_from(length).ok().filter(|_| length <= LONGEST);
        let left = left.ok_or_else(|| Error::codec(format!("a message claims a length of {length} bytes")))?;
        if number > MOST_FDS_OF_ALL {
            return Err(Error::codec(format!("a message claims {number} descriptors")));
        }
        self.start += HEADER;
        Ok(Some(Frame { fds: number, carriers: carriers(number), left, bytes: Vec::new() }))
    }

    /// A sender could otherwise take all descriptors that this process may have.
    fn refuse_stray_descriptors(&self) -> Result<(), Error> {
        let most = match &self.frame {
            Some(frame) => frame.fds,
            None if self.start == self.end => 0,
            None => MOST_FDS,
        };
        if self.fds.len() > most { Err(Error::codec("descriptors came that belong to no message")) } else { Ok(()) }
    }

    /// Reads once, into the message itself if much of it is missing.
    fn read(&mut self, socket: BorrowedFd<'_>, wait: Wait) -> std::io::Result<usize> {
        if let Some(frame) = self.frame.as_mut().filter(|it| it.carriers == 0 && it.left >= LARGE) {
            // Memory is had as bytes come, never because of the header alone.
            let room = frame.left.min(frame.bytes.len().max(4 * BUFFER));
            if frame.bytes.capacity() == frame.bytes.len() {
                frame.bytes.reserve_exact(room);
            }
            // An allocator may give more room than was asked for, and then the next frame would get into this one.
            if frame.bytes.capacity() - frame.bytes.len() <= frame.left {
                // No descriptor belongs to these bytes, so that any that comes is closed by the kernel.
                let read = stream::receive_bytes(socket, &mut frame.bytes, wait)?;
                frame.left -= read;
                return Ok(read);
            }
        }
        self.buffer.resize(BUFFER, 0);
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let read = stream::receive(socket, &mut self.buffer[self.end..], &mut self.fds, wait)?;
        self.end += read;
        Ok(read)
    }
}
