//! Unix sockets beyond what std offers: private ones, who is on the other side, and connecting without waiting.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen, socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::geteuid;

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

/// Binds and listens at `path`, mode 0600 from the first moment on. Accepting does not block.
///
/// # Errors
/// EADDRINUSE when anything has the name; the system's.
pub(crate) fn listen_private(path: &Path) -> io::Result<UnixListener> {
    let socket = bind_private(path, SockType::Stream)?;
    listen(&socket, Backlog::MAXCONN)?;
    Ok(socket.into())
}

/// A nonblocking socket, bound to `path`, that only this user can reach.
pub(crate) fn bind_private(path: &Path, kind: SockType) -> io::Result<OwnedFd> {
    let socket = unbound(kind)?;
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
    let socket = unbound(SockType::Stream)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket.into())
}

/// True if `error` says that the process or the system has no descriptor or memory left for one more connection.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS))
}

fn unbound(kind: SockType) -> io::Result<OwnedFd> {
    Ok(socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_ever_reaches_a_private_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let socket = unbound(SockType::Stream).unwrap();
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
}
