//! How a service shows that it is ready: by a message, or by accepting connections.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::sys::socket::{connect_tcp_now, datagrams_private, is_dead_datagram, path_flaw, receive_datagram};
use crate::sys::wait::{self, Interest};

/// The longest message in bytes. Real ones have a few dozen; a longer one is dropped.
const LONGEST_MESSAGE: usize = 8 * 1024;

/// How many messages are taken at once, so that a service that does nothing but report does not hold up the manager.
const AT_ONCE: usize = 64;

/// What a service says of itself, as in sd_notify(3). What a manager has no use for is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Who says it, by the kernel's word; None if the sender is of another pid namespace.
    pub(crate) pid: Option<u32>,
    /// `READY=1`.
    pub(crate) ready: bool,
    /// `STATUS=`: one line for a person.
    pub(crate) status: Option<String>,
    /// `STOPPING=1`.
    pub(crate) stopping: bool,
}

impl Message {
    fn parse(bytes: &[u8], pid: Option<u32>) -> Self {
        let mut message = Self { pid, ..Self::default() };
        for line in bytes.split(|&byte| byte == b'\n') {
            match line {
                b"READY=1" => message.ready = true,
                b"STOPPING=1" => message.stopping = true,
                _ => {
                    if let Some(status) = line.strip_prefix(b"STATUS=") {
                        message.status = Some(String::from_utf8_lossy(status).into_owned());
                    }
                }
            }
        }
        message
    }
}

/// The socket that NOTIFY_SOCKET names. Dropping it removes its name.
#[derive(Debug)]
pub(crate) struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl NotifySocket {
    /// Binds `path`, mode 0600, and takes over the name of a socket that nobody has any more.
    ///
    /// # Errors
    /// A path of more than 107 bytes or one that is in use; the system's.
    pub(crate) fn bind(path: &Path) -> Result<Self, Error> {
        const WHAT: &str = "cannot make the notification socket";
        if let Some(flaw) = path_flaw(path) {
            return Err(Error::refused(WHAT, path.display(), flaw));
        }
        if is_dead_datagram(path) {
            // Should this fail, binding says why.
            let _ = fs::remove_file(path);
        }
        let socket = datagrams_private(path).map_err(|error| Error::os(WHAT, path.display(), error))?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The messages that have arrived, oldest first, but not more than 64 of them. Never blocks.
    pub(crate) fn receive(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut buffer = [0; LONGEST_MESSAGE];
        for _ in 0..AT_ONCE {
            match receive_datagram(&self.socket, &mut buffer) {
                // It may have been cut, and then its last line means something else.
                Ok((LONGEST_MESSAGE, _)) => {}
                Ok((length, pid)) => messages.push(Message::parse(&buffer[..length], pid)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        messages
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// One attempt to connect. Its descriptor is writable, or hangs up, when it is over.
#[derive(Debug)]
pub(crate) struct TcpProbe(TcpStream);

impl TcpProbe {
    /// Begins to connect to `addr`, without waiting.
    ///
    /// # Errors
    /// When there is no descriptor for it. A refusal is no error but an answer.
    pub(crate) fn start(addr: SocketAddr) -> io::Result<Self> {
        connect_tcp_now(addr).map(Self)
    }

    /// True if the connection was accepted, false if not; None while that is not known. Never blocks.
    pub(crate) fn finish(&mut self) -> Option<bool> {
        let is_over = wait::look(self.0.as_fd(), Interest::Write).is_ok_and(|it| it.any());
        is_over.then(|| match (self.0.peer_addr(), self.0.local_addr()) {
            // Without a listener, a socket whose own port happens to be the wanted one connects to itself.
            (Ok(peer), Ok(own)) => peer != own,
            _ => false,
        })
    }
}

impl AsFd for TcpProbe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_service_says_that_it_is_ready() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n");
        let socket = NotifySocket::bind(&path).unwrap();
        assert_eq!(socket.path(), path);
        assert!(socket.receive().is_empty());
        assert!(NotifySocket::bind(&path).is_err(), "it is in use");
        let service = UnixDatagram::unbound().unwrap();
        for text in ["STATUS=loading \u{e9}\nFDSTORE=1", "READY=1\nSTATUS=serving\n", "READY=10", "STOPPING=1"] {
            service.send_to(text.as_bytes(), &path).unwrap();
        }
        let own = Message { pid: Some(std::process::id()), ..Message::default() };
        let expected = [
            Message { status: Some("loading é".into()), ..own.clone() },
            Message { ready: true, status: Some("serving".into()), ..own.clone() },
            own.clone(),
            Message { stopping: true, ..own },
        ];
        assert_eq!(socket.receive(), expected);
        service.send_to(&[b'x'; LONGEST_MESSAGE + 1], &path).unwrap();
        assert!(socket.receive().is_empty());
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_of_the_dead_is_taken_over_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (dir.path().join("n"), dir.path().join("f"));
        drop(UnixDatagram::bind(&path).unwrap());
        assert!(NotifySocket::bind(&path).is_ok());
        fs::write(&file, "precious").unwrap();
        assert!(NotifySocket::bind(&file).unwrap_err().to_string().contains("in use"));
        assert_eq!(fs::read(&file).unwrap(), b"precious");
    }

    fn answer(addr: SocketAddr) -> bool {
        let mut probe = TcpProbe::start(addr).unwrap();
        let deadline = wait::deadline_in(Duration::from_secs(20));
        wait::wait([(probe.as_fd(), Interest::Write)], deadline).unwrap();
        probe.finish().expect("it is over")
    }

    #[test]
    fn a_port_is_ready_when_somebody_accepts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        assert!(answer(addr));
        drop(listener);
        assert!(!answer(addr));
    }
}
