//! Sockets beyond what std offers: private ones, who is on the other side, and connecting without waiting.

use std::fs::{self, Permissions};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr,
    UnixCredentials, bind, connect, getsockopt, listen, recvmsg, setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{close, geteuid};

/// The longest path that fits a socket address (unix(7)): 108 bytes with the closing zero.
pub(crate) const LONGEST_PATH: usize = 107;

/// Why `path` cannot be a socket's, in a clause; None if it can.
pub(crate) fn path_flaw(path: &Path) -> Option<String> {
    let bytes = path.as_os_str().as_bytes();
    match bytes.len() {
        0 => Some("the path is empty".to_owned()),
        length if length > LONGEST_PATH => {
            Some(format!("the path has {length} bytes and a socket's at most {LONGEST_PATH}"))
        }
        _ if bytes.contains(&0) => Some("the path holds a zero byte".to_owned()),
        _ => None,
    }
}

/// The effective user id of this process.
pub(crate) fn own_uid() -> u32 {
    geteuid().as_raw()
}

/// The effective user id that the peer had when it connected, or when it began to listen (SO_PEERCRED).
///
/// # Errors
/// The system's; none on a connected stream.
pub(crate) fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(getsockopt(stream, sockopt::PeerCredentials)?.uid())
}

/// The process id that the peer had when it connected; None if that cannot be said here, as in another pid namespace.
pub(crate) fn peer_pid(stream: &impl AsFd) -> Option<u32> {
    let credentials = getsockopt(stream, sockopt::PeerCredentials).ok()?;
    u32::try_from(credentials.pid()).ok().filter(|&pid| pid != 0)
}

/// Makes this process the one that listens, in the eyes of those who connect from now on (SO_PEERCRED), if another one
/// began to.
///
/// # Errors
/// None in practice.
pub(crate) fn listen_as_this_process(listener: &UnixListener) -> io::Result<()> {
    Ok(listen(listener, Backlog::MAXCONN)?)
}

/// Binds and listens at `path`, mode 0600 from the first moment on. Accepting does not block.
///
/// # Errors
/// EADDRINUSE when anything has the name; the system's.
pub(crate) fn listen_private(path: &Path) -> io::Result<UnixListener> {
    let socket = bind_private(path, SockType::Stream)?;
    listen(&socket, Backlog::MAXCONN)?;
    Ok(socket.into())
}

/// Binds a datagram socket at `path`, mode 0600 from the first moment on, whose messages tell who sent them. Receiving
/// does not block.
///
/// # Errors
/// EADDRINUSE when anything has the name; the system's.
pub(crate) fn datagrams_private(path: &Path) -> io::Result<UnixDatagram> {
    let socket = bind_private(path, SockType::Datagram)?;
    setsockopt(&socket, sockopt::PassCred, &true)?;
    Ok(socket.into())
}

/// A nonblocking socket, bound to `path`, that only this user can reach.
fn bind_private(path: &Path, kind: SockType) -> io::Result<OwnedFd> {
    let socket = unbound(AddressFamily::Unix, kind)?;
    // The mode of the new name is the mode of the socket without the bits of the umask. So nobody gets in between
    // bind(2) and a chmod(2), and the umask, which all threads share, stays as it is.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    if path.symlink_metadata()?.mode() & 0o600 != 0o600 {
        // The umask has taken bits away that we need ourselves.
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    Ok(socket)
}

/// Connects to `path` without waiting, and the stream does not block either.
///
/// # Errors
/// ECONNREFUSED when nobody listens, EAGAIN when somebody does and has too many callers; the system's.
pub(crate) fn connect_now(path: &Path) -> io::Result<UnixStream> {
    let socket = unbound(AddressFamily::Unix, SockType::Stream)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket.into())
}

/// True if `path` is the name of a datagram socket that nobody has any more.
pub(crate) fn is_dead_datagram(path: &Path) -> bool {
    let reach = || {
        let socket = unbound(AddressFamily::Unix, SockType::Datagram).map_err(|_| Errno::EMFILE)?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?)
    };
    // A file that is no socket answers so as well.
    reach() == Err(Errno::ECONNREFUSED) && path.symlink_metadata().is_ok_and(|it| it.file_type().is_socket())
}

/// Begins to connect to `addr`. The stream is writable when it is known whether that worked, or has failed already.
///
/// # Errors
/// When there is no descriptor for it.
pub(crate) fn connect_tcp_now(addr: SocketAddr) -> io::Result<TcpStream> {
    let addr = SockaddrStorage::from(addr);
    let family = addr.family().unwrap_or(AddressFamily::Inet);
    let socket = unbound(family, SockType::Stream)?;
    // EINPROGRESS is as it should be; after anything else the socket is not connected, which the caller sees.
    let _ = connect(socket.as_raw_fd(), &addr);
    Ok(socket.into())
}

/// Takes one message of a datagram socket made by [`datagrams_private`]: its length in bytes, cut at that of `buffer`,
/// and the sender's process id, if it has one here. Descriptors that come with it are closed.
///
/// # Errors
/// EAGAIN when there is none; the system's.
pub(crate) fn receive_datagram(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Option<u32>)> {
    // With room for all that the kernel sends at once nothing is cut off, least of all the sender.
    let mut control = nix::cmsg_space!(UnixCredentials, [i32; 253]);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let mut pid = None;
    for part in message.cmsgs().into_iter().flatten() {
        match part {
            ControlMessageOwned::ScmCredentials(sender) => {
                pid = u32::try_from(sender.pid()).ok().filter(|pid| *pid != 0);
            }
            ControlMessageOwned::ScmRights(fds) => fds.into_iter().for_each(|fd| {
                let _ = close(fd);
            }),
            _ => {}
        }
    }
    Ok((message.bytes, pid))
}

/// True if `error` says that the process or the system has no descriptor or memory left for one more connection.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS))
}

fn unbound(family: AddressFamily, kind: SockType) -> io::Result<OwnedFd> {
    Ok(socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?)
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{ControlMessage, sendmsg};

    use super::*;
    use crate::sys::wait::{Interest, look};

    #[test]
    fn nobody_else_ever_reaches_a_private_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let socket = unbound(AddressFamily::Unix, SockType::Stream).unwrap();
        fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        bind(socket.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o077, 0, "the moment after bind(2)");
    }

    #[test]
    fn a_connection_knows_who_is_on_the_other_side_and_is_never_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert_eq!(connect_now(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        let listener = listen_private(&path).unwrap();
        let stream = connect_now(&path).unwrap();
        assert_eq!(peer_uid(&stream).unwrap(), own_uid());
        assert_eq!(peer_uid(&listener.accept().unwrap().0).unwrap(), own_uid());
        drop(listener);
        assert_eq!(connect_now(&path).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_descriptor_that_comes_with_a_message_is_closed_and_hides_no_sender() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let socket = datagrams_private(&path).unwrap();
        let (read, write) = crate::sys::fd::pipe().unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect(&path).unwrap();
        let fds = [write.as_raw_fd()];
        let (text, with) = ([io::IoSlice::new(b"BARRIER=1")], [ControlMessage::ScmRights(&fds)]);
        sendmsg::<()>(sender.as_raw_fd(), &text, &with, MsgFlags::empty(), None).unwrap();
        drop(write);
        let mut buffer = [0; 100];
        assert_eq!(receive_datagram(&socket, &mut buffer).unwrap(), (9, Some(std::process::id())));
        assert!(look(read.as_fd(), Interest::HangUp).unwrap().hung_up, "sd_notify_barrier(3) waits for this");
        assert_eq!(receive_datagram(&socket, &mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
