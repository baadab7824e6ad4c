//! The sending side: frames into a stream, at once or as there is room.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{HEADER, LONGEST, Line, MOST_FDS_OF_ALL, attempt, carriers};
use crate::mp::Error;
use crate::mp::attempt::Verb;
use crate::mp::wire::Message;
use crate::sys::stream::{self, MOST_FDS, Wait};
use crate::sys::wait::Interest;

/// Up to this size a frame is copied together, which takes the kernel less time than a look at two pieces.
const TINY: usize = 256;

/// Up to this size messages are put together to be sent with one call.
const SMALL: usize = 16 * 1024;

/// How many pieces are handed to the kernel at once.
const PIECES: usize = 16;

/// What stands before the bytes of a message, carriers included.
pub(super) struct Head {
    bytes: [u8; HEADER + MOST_FDS_OF_ALL.div_ceil(MOST_FDS)],
    length: usize,
}

impl Head {
    pub(super) fn of(length: usize, fds: usize) -> Result<Self, Error> {
        let length = length as u64;
        if length > LONGEST {
            return Err(Error::codec(format!("a message of {length} bytes is too long")));
        }
        let Some(number) = u32::try_from(fds).ok().filter(|_| fds <= MOST_FDS_OF_ALL) else {
            return Err(Error::codec(format!("a message has {fds} descriptors, and {MOST_FDS_OF_ALL} are the most")));
        };
        let mut head = Self { bytes: [0; _], length: HEADER + carriers(fds) };
        head.bytes[..8].copy_from_slice(&length.to_le_bytes());
        head.bytes[8..HEADER].copy_from_slice(&number.to_le_bytes());
        Ok(head)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Bytes with the first of which descriptors are sent.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

/// What is still to be sent.
#[derive(Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Piece>,
    /// How much of the first piece is sent.
    sent: usize,
    /// An error came in the middle of a message, so that no other can follow.
    is_broken: bool,
}

impl Outbox {
    pub(super) fn wants_write(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// Sends all that is queued, and then `message`.
    pub(super) fn send(&mut self, line: Line<'_>, message: &Message) -> Result<(), Error> {
        self.flush(line, Wait::Yes)?;
        let head = Head::of(message.bytes.len(), message.fds.len())?;
        if message.fds.is_empty() {
            let mut joined = [0; TINY];
            return match joined.get_mut(..HEADER + message.bytes.len()) {
                Some(frame) => {
                    frame[..HEADER].copy_from_slice(head.bytes());
                    frame[HEADER..].copy_from_slice(&message.bytes);
                    self.send_all(line, [frame, &[]], &[], false)
                }
                None => self.send_all(line, [head.bytes(), &message.bytes], &[], false),
            };
        }
        let mut rest = head.bytes();
        let mut chunks = message.fds.chunks(MOST_FDS).peekable();
        while let Some(chunk) = chunks.next() {
            let fds: Vec<_> = chunk.iter().map(AsFd::as_fd).collect();
            let begun = rest.len() != head.length;
            if chunks.peek().is_none() {
                return self.send_all(line, [rest, &message.bytes], &fds, begun);
            }
            let (part, after) = rest.split_at(if begun { 1 } else { HEADER + 1 });
            self.send_all(line, [part, &[]], &fds, begun)?;
            rest = after;
        }
        Ok(())
    }

    /// Sends all of `parts`, with `fds` at their first byte. `begun` says that a part of the message is sent already.
    fn send_all(
        &mut self,
        line: Line<'_>,
        parts: [&[u8]; 2],
        fds: &[BorrowedFd<'_>],
        begun: bool,
    ) -> Result<(), Error> {
        let mut slices = parts.map(IoSlice::new);
        let number = if parts[1].is_empty() { 1 } else { 2 };
        let (mut left, mut fds) = (&mut slices[..number], fds);
        let mut sent = 0;
        while sent < parts[0].len() + parts[1].len() {
            match stream::send(line.socket, left, fds, line.patience()) {
                Ok(count) => {
                    sent += count;
                    IoSlice::advance_slices(&mut left, count);
                    fds = &[];
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.await_room(line)?,
                Err(error) => return Err(self.failed(line, error, begun || sent > 0)),
            }
        }
        Ok(())
    }

    /// Puts `message` behind what is still to be sent.
    pub(super) fn queue(&mut self, message: Message) -> Result<(), Error> {
        let Message { bytes, mut fds } = message;
        let head = Head::of(bytes.len(), fds.len())?;
        let mut head = head.bytes();
        while fds.len() > MOST_FDS {
            let rest = fds.split_off(MOST_FDS);
            let length = head.len() - carriers(rest.len());
            self.pieces.push_back(Piece { bytes: head[..length].to_vec(), fds });
            head = &head[length..];
            fds = rest;
        }
        match self.pieces.back_mut().filter(|last| fds.is_empty() && last.bytes.len() <= SMALL) {
            Some(last) => last.bytes.extend_from_slice(head),
            None => self.pieces.push_back(Piece { bytes: head.to_vec(), fds }),
        }
        match self.pieces.back_mut().filter(|_| bytes.len() <= SMALL) {
            Some(last) => last.bytes.extend_from_slice(&bytes),
            None => self.pieces.push_back(Piece { bytes, fds: Vec::new() }),
        }
        Ok(())
    }

    /// Sends what is queued, all of it if it may wait. True when nothing is left.
    pub(super) fn flush(&mut self, line: Line<'_>, wait: Wait) -> Result<bool, Error> {
        if self.is_broken {
            return Err(Error::Closed(attempt(line.socket, Verb::Send)));
        }
        let patience = if wait == Wait::Yes { line.patience() } else { wait };
        while let Some(first) = self.pieces.front() {
            let mut slices = [IoSlice::new(&first.bytes[self.sent..]); PIECES];
            let mut number = 1;
            for piece in self.pieces.iter().take(PIECES).skip(1).take_while(|piece| piece.fds.is_empty()) {
                slices[number] = IoSlice::new(&piece.bytes);
                number += 1;
            }
            let fds: Vec<_> = first.fds.iter().map(AsFd::as_fd).collect();
            match stream::send(line.socket, &slices[..number], &fds, patience) {
                Ok(count) => self.advance(count),
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(self.failed(line, error, true)),
                Err(_) if wait == Wait::No => return Ok(false),
                Err(_) => self.await_room(line)?,
            }
        }
        Ok(true)
    }

    /// Takes note that `count` bytes are sent, and with them the descriptors of the first piece.
    fn advance(&mut self, count: usize) {
        self.sent += count;
        while let Some(first) = self.pieces.front_mut() {
            first.fds.clear();
            if self.sent < first.bytes.len() {
                break;
            }
            self.sent -= first.bytes.len();
            self.pieces.pop_front();
            if self.sent == 0 {
                break;
            }
        }
    }

    fn await_room(&mut self, line: Line<'_>) -> Result<(), Error> {
        match line.wait(Interest::Write, None) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.failed(line, ErrorKind::BrokenPipe.into(), true)),
            Err(error) => Err(stream::explain("cannot wait for another process", error).into()),
        }
    }

    /// What an error means, and what it leaves: a message that is sent in part cannot be followed by another.
    fn failed(&mut self, line: Line<'_>, error: std::io::Error, begun: bool) -> Error {
        let is_gone = matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
        if is_gone || begun {
            self.is_broken = true;
            self.pieces.clear();
            stream::end(line.socket);
        }
        if is_gone {
            Error::Closed(attempt(line.socket, Verb::Send))
        } else {
            stream::explain("cannot send to another process", error).into()
        }
    }
}
