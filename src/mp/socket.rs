//! Whole messages, with descriptors, over a Unix stream socket.
//!
//! A message is a frame: its length (u64, little-endian), the number of its descriptors (u32), a zero byte for every 250
//! of them, and its bytes. The descriptors are sent with the frame's first byte and with the zero bytes from the second
//! on, so all of them are there before the first byte of the message is.

mod inbox;
mod outbox;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::mp::Error;
use crate::mp::attempt::{Attempt, Kind, Verb};
use crate::mp::wire::Message;
use crate::sys::fd::inode;
use crate::sys::handle::Handle;
use crate::sys::stream::{self, MOST_FDS, Wait};
use crate::sys::wait::{Interest, look, wait};

use inbox::{Inbox, Taken};
use outbox::Outbox;

/// Bytes of the length and the number of descriptors.
const HEADER: usize = 12;

/// The longest message. Nothing is allocated because of a length alone, so this only tells nonsense from a frame.
const LONGEST: u64 = 1 << 40;

/// The most descriptors of a message.
const MOST_FDS_OF_ALL: usize = 65536;

/// One end of a connected Unix stream socket that carries whole messages with descriptors; it is closed on exec.
pub(crate) struct Socket {
    fd: OwnedFd,
    /// The process on the other side. Its end is not always the end of the stream: a child that it forked has its sockets.
    peer: Option<Arc<Handle>>,
    inbox: Inbox,
    /// A message that was read before anybody took it.
    ready: Option<Message>,
    outbox: Outbox,
    /// What errors call it, once there was one.
    attempt: OnceLock<Attempt>,
}

impl Socket {
    /// Two connected ends.
    ///
    /// # Errors
    /// EMFILE or ENFILE.
    pub(crate) fn pair() -> Result<(Self, Self), Error> {
        let (one, other) = stream::pair().map_err(|error| stream::explain("cannot connect two processes", error))?;
        Ok((Self::from_fd(one), Self::from_fd(other)))
    }

    /// Takes over a connected socket from which nothing has been read but whole messages.
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self {
            fd,
            peer: None,
            inbox: Inbox::default(),
            ready: None,
            outbox: Outbox::default(),
            attempt: OnceLock::new(),
        }
    }

    /// Takes the end of process `peer` for the end of the stream, too: who waits for it waits no longer.
    pub(crate) fn watch(mut self, peer: Option<Arc<Handle>>) -> Self {
        self.peer = peer;
        self
    }

    /// True once nobody is there to send anything more. Never blocks.
    pub(crate) fn is_gone(&self) -> bool {
        let hung_up = look(self.fd.as_fd(), Interest::HangUp).is_ok_and(|it| it.hung_up);
        hung_up || self.peer.as_ref().is_some_and(|peer| peer.has_ended())
    }

    fn line(&self) -> Line<'_> {
        Line { socket: self.fd.as_fd(), peer: self.peer.as_deref() }
    }

    /// Gives the descriptor away, without what was read ahead or is not sent yet.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// True if nothing was read ahead and nothing is still to be sent, so that somebody else can go on with the
    /// descriptor.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.ready.is_none() && self.inbox.is_empty() && !self.outbox.wants_write()
    }

    /// Sends `message`. Waits while the other side has no room for it, and before it for what was queued.
    ///
    /// # Errors
    /// [`Error::Closed`] when nobody can receive any more; [`Error::Codec`] when the message is too large. The system's,
    /// of which ETOOMANYREFS says that too many descriptors are under way: if a part of the message was sent already,
    /// the other side sees the stream end there, and this one is closed.
    pub(crate) fn send(&mut self, message: &Message) -> Result<(), Error> {
        let line = Line { socket: self.fd.as_fd(), peer: self.peer.as_deref() };
        self.outbox.send(line, message)
    }

    /// Takes the next message. Waits until all of it has come.
    ///
    /// # Errors
    /// [`Error::Closed`] at the end of the stream; [`Error::Codec`], once, when it ends inside a message or what comes is
    /// no message. The system's: EMFILE when the descriptors of the message have no room, and then it is lost and the
    /// stream with it.
    pub(crate) fn receive(&mut self) -> Result<Message, Error> {
        loop {
            if let Some(message) = self.take(self.line().patience())? {
                return Ok(message);
            }
            self.await_bytes(None)?;
        }
    }

    /// [`receive`](Self::receive) that waits until `deadline` (None: for ever). None when the time is over; of a message
    /// that has come in part, the part is kept.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub(crate) fn receive_deadline(&mut self, deadline: Option<Instant>) -> Result<Option<Message>, Error> {
        let Some(deadline) = deadline else { return self.receive().map(Some) };
        loop {
            let taken = self.take(Wait::No)?;
            if taken.is_some() || Instant::now() >= deadline {
                return Ok(taken);
            }
            self.await_bytes(Some(deadline))?;
        }
    }

    /// [`receive`](Self::receive) that does not wait: None when no whole message has come.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub(crate) fn try_receive(&mut self) -> Result<Option<Message>, Error> {
        self.take(Wait::No)
    }

    /// Waits until `deadline` (None: for ever) for the next message or the end of the stream, and says whether
    /// [`receive`](Self::receive) would answer at once.
    ///
    /// # Errors
    /// As [`receive`](Self::receive), but for the end.
    pub(crate) fn is_ready(&mut self, deadline: Option<Instant>) -> Result<bool, Error> {
        if self.ready.is_none() {
            match self.receive_deadline(deadline) {
                Ok(message) => self.ready = message,
                Err(Error::Closed(_)) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(self.ready.is_some())
    }

    /// Puts `message` behind what is still to be sent. Never waits and sends nothing.
    ///
    /// # Errors
    /// [`Error::Codec`] when it is too large.
    pub(crate) fn queue(&mut self, message: Message) -> Result<(), Error> {
        self.outbox.queue(message)
    }

    /// Sends of what was queued as much as there is room for. True when all of it is sent. Never waits.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) fn flush(&mut self) -> Result<bool, Error> {
        let line = Line { socket: self.fd.as_fd(), peer: self.peer.as_deref() };
        self.outbox.flush(line, Wait::No)
    }

    /// Tells the other side that nothing more will come. What comes from there can still be received.
    pub(crate) fn finish(&self) {
        stream::end(self.fd.as_fd());
    }

    /// True while something that was queued is not sent.
    pub(crate) fn wants_write(&self) -> bool {
        self.outbox.wants_write()
    }

    /// What was tried with it, for an error.
    pub(crate) fn attempt(&self, verb: Verb) -> Attempt {
        self.attempt.get_or_init(|| attempt(self.fd.as_fd(), verb)).to(verb)
    }

    fn take(&mut self, wait: Wait) -> Result<Option<Message>, Error> {
        if let Some(message) = self.ready.take() {
            return Ok(Some(message));
        }
        match self.inbox.take(self.fd.as_fd(), wait)? {
            Taken::Message(message) => Ok(Some(message)),
            Taken::Nothing => Ok(None),
            Taken::End => Err(Error::Closed(self.attempt(Verb::Receive))),
        }
    }

    fn await_bytes(&self, deadline: Option<Instant>) -> Result<(), Error> {
        match self.line().wait(Interest::Read, deadline) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Closed(self.attempt(Verb::Receive))),
            Err(error) => Err(stream::explain("cannot wait for another process", error).into()),
        }
    }
}

/// A stream, and the process on the other side if that is known.
#[derive(Clone, Copy)]
struct Line<'a> {
    socket: BorrowedFd<'a>,
    peer: Option<&'a Handle>,
}

impl Line<'_> {
    /// Whether a call on the stream may block: it would not see the end of the process.
    fn patience(self) -> Wait {
        if self.peer.is_some() { Wait::No } else { Wait::Yes }
    }

    /// Waits until the stream is ready, or the deadline; false if it never will be, because the process has ended.
    fn wait(self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        let Some(peer) = self.peer else {
            return wait([(self.socket, interest)], deadline).map(|_| true);
        };
        let [stream, end] = wait([(self.socket, interest), (peer.as_fd(), Interest::Read)], deadline)?;
        Ok(stream.any() || !end.any())
    }
}

impl AsFd for Socket {
    /// Readable when something has come. A message that was read ahead does not show.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("fd", &self.fd).finish_non_exhaustive()
    }
}

/// What was tried, with the number of the socket that /proc/PID/fd shows.
#[cold]
fn attempt(socket: BorrowedFd<'_>, verb: Verb) -> Attempt {
    match inode(socket) {
        Some(number) => Attempt::new(verb, Kind::Pipe, number),
        None => Attempt::with_some(verb, Kind::Pipe),
    }
}

/// How many zero bytes a frame with so many descriptors has.
fn carriers(fds: usize) -> usize {
    fds.div_ceil(MOST_FDS)
}
