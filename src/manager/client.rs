//! The program's side of a control connection.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::task::Poll;

use crate::OneLine;
use crate::error::errno_text;
use crate::manager::protocol::{Answer, Code, Envelope, Refusal, Request, VERSION};
use crate::sys::socket::{own_uid, path_flaw, peer_uid};
use crate::sys::wait::{self, Interest};

/// A connection to a manager.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    received: Vec<u8>,
    /// Where the first answer begins that was not handed out.
    start: usize,
    /// Up to here, there is no newline after `start`.
    searched: usize,
}

impl Client {
    /// Connects to the manager that listens at `path`. A manager of another user is not believed, unless it is root's.
    ///
    /// Blocks only while the manager's queue of callers is full.
    ///
    /// # Errors
    /// [`Code::Unreachable`], with what to do about it when no manager runs.
    pub fn connect(path: &Path) -> Result<Self, Refusal> {
        let cannot = |why: &str| {
            let message = format!("cannot reach the manager at {}: {why}", OneLine::path(path));
            Refusal::new(Code::Unreachable, message)
        };
        if let Some(flaw) = path_flaw(path) {
            return Err(cannot(&flaw));
        }
        let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Refusal::new(
                Code::Unreachable,
                "no manager is running; start one with `ipcpipe manager serve --detach`",
            ),
            _ => cannot(&errno_text(&error)),
        })?;
        match peer_uid(&stream) {
            Ok(uid) if uid == own_uid() || uid == 0 => Ok(Self::over(stream)),
            Ok(uid) => Err(cannot(&format!("it is run by uid {uid}, and you are uid {}", own_uid()))),
            Err(error) => Err(cannot(&errno_text(&error))),
        }
    }

    /// Talks over a connected stream, which has to be a blocking one.
    #[must_use]
    pub fn over(stream: UnixStream) -> Self {
        Self { stream, received: Vec::new(), start: 0, searched: 0 }
    }

    /// Sends a request. Blocks while the manager does not read, which it does not while many answers are unread.
    ///
    /// # Errors
    /// EPIPE when the manager has gone; the system's.
    pub fn send(&mut self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.write_all(&line)
    }

    /// Ends the request that is under way. Blocks as [`Client::send`].
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn interrupt(&mut self) -> io::Result<()> {
        self.send(&Request { v: VERSION, interrupt: true, ..Request::default() })
    }

    /// Waits for the next answer. None: the manager has gone.
    ///
    /// # Errors
    /// InvalidData when the answer is not of this protocol, as one of a newer manager may be; the system's.
    #[allow(clippy::should_implement_trait, reason = "an iterator could not tell the end from an error")]
    pub fn next(&mut self) -> io::Result<Option<Answer>> {
        loop {
            if let Some(answer) = self.received()? {
                return Ok(Some(answer));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The next answer as far as it has arrived: pending if it has not, None if the manager has gone. Never blocks.
    ///
    /// Answers may be here although the descriptor is not ready, so call this until it is pending before a wait.
    ///
    /// # Errors
    /// As [`Client::next`].
    pub fn try_next(&mut self) -> io::Result<Poll<Option<Answer>>> {
        loop {
            if let Some(answer) = self.received()? {
                return Ok(Poll::Ready(Some(answer)));
            }
            if !wait::look(self.stream.as_fd(), Interest::Read)?.any() {
                return Ok(Poll::Pending);
            }
            if !self.fill()? {
                return Ok(Poll::Ready(None));
            }
        }
    }

    /// The first complete line that has arrived.
    fn received(&mut self) -> io::Result<Option<Answer>> {
        let Some(at) = self.received[self.searched..].iter().position(|&byte| byte == b'\n') else {
            self.searched = self.received.len();
            return Ok(None);
        };
        let end = self.searched + at;
        let envelope = serde_json::from_slice::<Envelope>(&self.received[self.start..end]);
        self.start = end + 1;
        self.searched = self.start;
        match envelope? {
            Envelope { v: VERSION, answer } => Ok(Some(answer)),
            Envelope { v, .. } => Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("the manager speaks version {v} of the protocol, and this program version {VERSION}"),
            )),
        }
    }

    /// Reads once; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        self.received.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(length) => {
                    self.received.extend_from_slice(&chunk[..length]);
                    return Ok(length > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A manager that ends with a request unread.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::manager::connection::{Connection, Incoming};
    use crate::manager::word::Word;

    fn end(exit: u8) -> Answer {
        Answer::End { exit, id: None }
    }

    #[test]
    fn a_request_goes_over_and_its_answers_come_back() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut client, mut server) = (Client::over(ours), Connection::new(theirs).unwrap());
        let request = Request { v: VERSION, cmd: vec![Word::Text("list".into())], ..Request::default() };
        client.send(&request).unwrap();
        client.interrupt().unwrap();
        server.receive();
        assert_eq!(server.next(), Some(Incoming::Request(request)));
        assert!(server.peek_interrupt());
        assert!(client.try_next().unwrap().is_pending());
        for exit in 0..3 {
            server.send(end(exit));
        }
        assert_eq!(client.next().unwrap(), Some(end(0)));
        assert_eq!(client.try_next().unwrap(), Poll::Ready(Some(end(1))));
        assert_eq!(client.try_next().unwrap(), Poll::Ready(Some(end(2))));
        assert!(client.try_next().unwrap().is_pending());
        drop(server);
        assert_eq!(client.try_next().unwrap(), Poll::Ready(None));
        assert_eq!(client.next().unwrap(), None);
        assert_eq!(client.interrupt().unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn an_answer_in_pieces_is_pending_until_it_is_whole() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut client = Client::over(ours);
        let line = end(3).line();
        for byte in line.trim_end().bytes() {
            theirs.write_all(&[byte]).unwrap();
            assert!(client.try_next().unwrap().is_pending());
        }
        theirs.write_all(b"\n{\"v\":2,\"type\":\"end\",\"exit\":0}\nnonsense\n").unwrap();
        assert_eq!(client.next().unwrap(), Some(end(3)));
        assert!(client.next().unwrap_err().to_string().contains("version 2"));
        assert_eq!(client.next().unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn a_refused_connection_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m");
        let message = |path: &Path| {
            let refusal = Client::connect(path).unwrap_err();
            assert_eq!(refusal.code, Code::Unreachable);
            refusal.message
        };
        assert!(message(&path).contains("manager serve --detach"));
        drop(UnixListener::bind(&path).unwrap());
        assert!(message(&path).contains("manager serve --detach"));
        assert!(message(&path.join("below")).contains("Not a directory"));
        assert!(message(&dir.path().join("x".repeat(200))).contains("bytes and a socket's at most 107"));
        let path = dir.path().join("m2");
        let _listener = UnixListener::bind(&path).unwrap();
        assert!(Client::connect(&path).is_ok());
    }
}
