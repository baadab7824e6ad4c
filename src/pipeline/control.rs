//! The control pipe: what a stage tells the launcher, one JSON value a line.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use crate::stage::Fault;
use crate::sys::fd::set_nonblocking;

/// What a stage says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Message {
    /// Every link is attached.
    Ready,
    /// Somebody sent this signal to the stage instead of to the launcher.
    Request(i32),
    /// So many samples have been produced.
    Progress(u64),
    /// It cannot do its work any more and only lets the stream pass; the run should end.
    Drain(Fault),
    /// It is done.
    Finished {
        /// What cut it short.
        fault: Option<Fault>,
        /// What it did.
        outcome: Value,
    },
}

impl Message {
    fn to_line(&self) -> Vec<u8> {
        // A value without maps of odd keys always serializes.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// The line that a signal handler writes.
    pub(super) fn request_line(signal: Signal) -> Vec<u8> {
        Message::Request(signal as i32).to_line()
    }
}

/// The stage's end.
#[derive(Debug)]
pub(super) struct Outbox(File);

impl Outbox {
    pub(super) fn new(pipe: OwnedFd) -> Self {
        Self(File::from(pipe))
    }

    /// Says `message`. A launcher that is gone hears nothing, and the stage goes on to its end without it.
    pub(super) fn say(&self, message: &Message) {
        let _ = (&self.0).write_all(&message.to_line());
    }
}

impl AsFd for Outbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A stage says less than this in one line, whatever it counts.
const MAX_LINE: usize = 64 * 1024;

/// The launcher's end.
#[derive(Debug)]
pub(super) struct Inbox {
    pipe: File,
    unread: Vec<u8>,
    open: bool,
}

impl Inbox {
    pub(super) fn new(pipe: OwnedFd) -> Result<Self, Error> {
        set_nonblocking(&pipe, true).map_err(|error| Error::os("cannot set up", "a control pipe", error))?;
        Ok(Self { pipe: File::from(pipe), unread: Vec::new(), open: true })
    }

    /// True until every copy of the stage's end is closed.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Takes the messages that have arrived; never blocks. Lines that are no messages are passed over: the
    /// stage will be missing its outcome, which is reported.
    pub(super) fn take(&mut self) -> Vec<Message> {
        self.fill();
        let Some(end) = self.unread.iter().rposition(|&byte| byte == b'\n') else { return Vec::new() };
        let lines: Vec<u8> = self.unread.drain(..=end).collect();
        lines.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    fn fill(&mut self) {
        let mut piece = [0; 4096];
        while self.open && self.unread.len() < MAX_LINE {
            match self.pipe.read(&mut piece) {
                Ok(0) => self.open = false,
                Ok(count) => self.unread.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.open = false,
            }
        }
        if !self.unread.contains(&b'\n') && self.unread.len() >= MAX_LINE {
            self.open = false;
        }
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::pipe;

    #[test]
    fn messages_cross_whole_and_rubbish_is_passed_over() {
        let (read, write) = pipe().unwrap();
        let (mut inbox, outbox) = (Inbox::new(read).unwrap(), Outbox::new(write));
        assert_eq!(inbox.take(), []);
        outbox.say(&Message::Ready);
        (&outbox.0).write_all(b"{rubbish\n\xff\n\"rea").unwrap();
        assert_eq!(inbox.take(), [Message::Ready]);
        (&outbox.0).write_all(b"dy\"\n").unwrap();
        drop(outbox);
        assert_eq!(inbox.take(), [Message::Ready]);
        assert!(!inbox.is_open());
    }

    #[test]
    fn a_line_without_end_does_not_grow_for_ever() {
        let (read, write) = pipe().unwrap();
        let mut inbox = Inbox::new(read).unwrap();
        set_nonblocking(&write, true).unwrap();
        while inbox.is_open() {
            let _ = File::from(write.try_clone().unwrap()).write(&[b'x'; 4096]);
            assert_eq!(inbox.take(), []);
        }
        assert!(inbox.unread.len() < 2 * MAX_LINE);
    }
}
