//! The manager's side of one control connection: requests in, answers out, neither ever waited for.

use std::collections::VecDeque;

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use serde::Deserialize;

use crate::OneLine;
use crate::manager::protocol::{Answer, Code, LONGEST_REQUEST, Refusal, Request, VERSION};
use crate::sys::wait::{self, Interest};

/// Unsent bytes from which on nothing more should be made for this client.
const FULL: usize = 256 * 1024;

/// The longest part of a client's own text that a refusal repeats.
const LONGEST_QUOTE: usize = 200;

/// What a client has sent.
#[derive(Debug, PartialEq)]
pub(crate) enum Incoming {
    /// A command. It is owed answers, of which the last is an `End`.
    Request(Request),
    /// An interrupt that came when no request was under way, so there is nothing to end and nothing to answer.
    Interrupt,
    /// A line that is no request. It is owed this refusal and an `End`.
    Refused(Refusal),
}

/// One client. Nothing here blocks, and no error of a client is more than the end of its connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    backlog: Backlog,
    unsent: VecDeque<u8>,
    /// Requests that were handed out and have no `End` yet.
    owed: usize,
    /// Nothing more will come.
    has_ended: bool,
    /// Nobody reads the answers any more.
    is_gone: bool,
}

impl Connection {
    /// Takes over a connected stream.
    ///
    /// # Errors
    /// EBADF, which an open stream does not give.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let backlog = Backlog::default();
        Ok(Self { stream, backlog, unsent: VecDeque::new(), owed: 0, has_ended: false, is_gone: false })
    }

    /// Takes in what has arrived, as far as there is room. To be called when the descriptor is ready for reading, and
    /// when it has hung up.
    pub(crate) fn receive(&mut self) {
        let mut chunk = [0; 16 * 1024];
        while self.wants_read() {
            let room = self.backlog.room().min(chunk.len());
            match self.stream.read(&mut chunk[..room]) {
                Ok(0) => self.has_ended = true,
                Ok(length) => self.backlog.push(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.lose(),
            }
        }
        if self.has_ended {
            self.backlog.finish();
        }
        // A client that shut down its writing side still reads; one that has closed does not. Looked for even when the
        // backlog is too full to come to the end of the stream, because the hang-up wakes the loop until it is dropped.
        if wait::look(self.stream.as_fd(), Interest::HangUp).is_ok_and(|it| it.hung_up) {
            self.lose();
        }
    }

    /// The next line, in the order in which they came; None while there is none, and while there is no room for answers.
    ///
    /// The caller takes one when no request of this connection is under way.
    pub(crate) fn next(&mut self) -> Option<Incoming> {
        if !self.has_room() {
            return None;
        }
        let incoming = self.backlog.next()?;
        self.owed += usize::from(incoming != Incoming::Interrupt);
        Some(incoming)
    }

    /// Takes an interrupt that has arrived, if there is one, before the requests that came earlier and still wait.
    /// For use while a request is under way: requests behind it would otherwise hide the interrupt that is meant for it.
    pub(crate) fn peek_interrupt(&mut self) -> bool {
        self.backlog.take_interrupt()
    }

    /// Queues an answer and sends what the client takes now.
    pub(crate) fn send(&mut self, answer: Answer) {
        if matches!(answer, Answer::End { .. }) {
            self.owed = self.owed.saturating_sub(1);
        }
        if !self.is_gone {
            self.unsent.extend(answer.line().as_bytes());
            self.flush();
        }
    }

    /// Sends what the client takes now.
    pub(crate) fn flush(&mut self) {
        while !self.unsent.is_empty() && !self.is_gone {
            match self.stream.write(self.unsent.as_slices().0) {
                Ok(length) => drop(self.unsent.drain(..length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.is_gone = true,
            }
        }
        if self.is_gone || self.unsent.is_empty() {
            // One client that once got a long answer does not keep its memory.
            self.unsent = VecDeque::new();
        }
    }

    /// True if nobody reads the answers any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// True if less than 256 KiB are unsent. Who makes answers without end waits until this is true.
    pub(crate) fn has_room(&self) -> bool {
        self.unsent.len() < FULL
    }

    /// True if the loop should wait for bytes from the client: they may still come, and there is room for them.
    pub(crate) fn wants_read(&self) -> bool {
        !self.has_ended && self.backlog.room() > 0
    }

    /// True if the loop should wait until the client takes more.
    pub(crate) fn wants_write(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// True if the connection can be dropped: all that was asked is answered and no more will be, or nobody reads
    /// the answers.
    ///
    /// What a client sent before it went away is still handed out, until a request of it takes its time: that one
    /// goes on by itself, and the rest is dropped.
    pub(crate) fn is_closed(&self) -> bool {
        let is_idle = self.backlog.is_empty() && self.owed == 0;
        if self.is_gone { is_idle || self.owed > 0 } else { self.has_ended && is_idle && self.unsent.is_empty() }
    }

    fn lose(&mut self) {
        self.has_ended = true;
        self.is_gone = true;
        self.unsent = VecDeque::new();
        self.backlog.finish();
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Bytes that were received and not handed out: at most [`LONGEST_REQUEST`].
#[derive(Debug, Default)]
struct Backlog {
    bytes: Vec<u8>,
    /// Where the first line begins that was not handed out.
    start: usize,
    /// The end of the last complete line, at least `start`.
    end: usize,
    /// Up to here, no line is an interrupt.
    searched: usize,
    /// Lines that were too long, were dropped, and are not refused yet. All came before `start`: a line is only known
    /// to be too long when it fills the buffer alone.
    too_long: usize,
    /// The rest of a line that was too long is still to come.
    is_skipping: bool,
}

impl Backlog {
    fn room(&self) -> usize {
        (LONGEST_REQUEST + self.start).saturating_sub(self.bytes.len())
    }

    fn is_empty(&self) -> bool {
        self.too_long == 0 && self.start == self.end
    }

    /// Adds at most [`room`](Self::room) bytes.
    fn push(&mut self, mut more: &[u8]) {
        if self.is_skipping {
            match more.iter().position(|&byte| byte == b'\n') {
                None => return,
                Some(at) => more = &more[at + 1..],
            }
            self.is_skipping = false;
        }
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.end -= self.start;
            self.searched = self.searched.saturating_sub(self.start);
            self.start = 0;
        }
        let old = self.bytes.len();
        self.bytes.extend_from_slice(more);
        if let Some(at) = more.iter().rposition(|&byte| byte == b'\n') {
            self.end = old + at + 1;
        }
        if self.end == 0 && self.room() == 0 {
            self.bytes = Vec::new();
            self.is_skipping = true;
            self.too_long += 1;
        }
    }

    /// The end of the stream ends its last line too.
    fn finish(&mut self) {
        if !self.bytes.is_empty() && self.bytes.len() > self.end {
            self.bytes.push(b'\n');
            self.end = self.bytes.len();
        }
    }

    fn next(&mut self) -> Option<Incoming> {
        if self.too_long > 0 {
            self.too_long -= 1;
            let message = format!("the request has more than {LONGEST_REQUEST} bytes");
            return Some(Incoming::Refused(Refusal::new(Code::Usage, message)));
        }
        let end = self.line_end(self.start)?;
        let incoming = understand(&self.bytes[self.start..end]);
        self.start = end + 1;
        if self.start == self.bytes.len() {
            *self = Self { is_skipping: self.is_skipping, ..Self::default() };
        }
        Some(incoming)
    }

    fn take_interrupt(&mut self) -> bool {
        let mut from = self.searched.max(self.start);
        while let Some(end) = self.line_end(from) {
            if understand(&self.bytes[from..end]) == Incoming::Interrupt {
                self.bytes.drain(from..=end);
                self.end -= end + 1 - from;
                self.searched = from;
                return true;
            }
            from = end + 1;
        }
        self.searched = from;
        false
    }

    /// Where the newline is of the line that begins at `from`.
    fn line_end(&self, from: usize) -> Option<usize> {
        self.bytes.get(from..self.end)?.iter().position(|&byte| byte == b'\n').map(|at| from + at)
    }
}

/// The version alone, which is looked at before anything that another version may have changed.
#[derive(Deserialize)]
struct Head {
    v: Option<serde_json::Number>,
}

fn understand(line: &[u8]) -> Incoming {
    match parse(line) {
        Ok(request) if request.interrupt => Incoming::Interrupt,
        Ok(request) => Incoming::Request(request),
        Err(why) => Incoming::Refused(Refusal::new(Code::Usage, why)),
    }
}

fn parse(line: &[u8]) -> Result<Request, String> {
    let text =
        str::from_utf8(line).map_err(|error| format!("the request is no UTF-8 at byte {}", error.valid_up_to()))?;
    // serde would take an array for the fields of an object.
    if !text.trim_start().starts_with('{') {
        return Err("the request is no JSON object".to_owned());
    }
    match serde_json::from_str::<Head>(text).map_err(|error| flaw(&error))?.v {
        Some(v) if v.as_u64() == Some(VERSION.into()) => {}
        Some(v) => return Err(format!("the request has version {v}, and this manager speaks version {VERSION}")),
        None => return Err(format!("the request has no version: it lacks \"v\":{VERSION}")),
    }
    let request: Request = serde_json::from_str(text).map_err(|error| flaw(&error))?;
    match (request.cmd.is_empty(), request.interrupt) {
        (true, false) => Err("the request has neither \"cmd\" nor \"interrupt\"".to_owned()),
        (false, true) => Err("the request has both \"cmd\" and \"interrupt\"".to_owned()),
        _ => Ok(request),
    }
}

fn flaw(error: &serde_json::Error) -> String {
    let mut why = OneLine::text(&error.to_string()).to_string();
    if why.len() > LONGEST_QUOTE {
        why.truncate(why.floor_char_boundary(LONGEST_QUOTE));
        why.push_str("...");
    }
    format!("the request is no valid JSON request: {why}")
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
