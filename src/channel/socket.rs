//! The Unix socket: how one is made and joined. Its data path is the byte stream's.

use std::fs::{Permissions, set_permissions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use interprocess::ConnectWaitMode;
use interprocess::local_socket::traits::Listener as _;
use interprocess::local_socket::{ConnectOptions, GenericFilePath, Listener, ListenerOptions, Name, Stream, ToFsName};
use interprocess::os::unix::local_socket::ListenerOptionsExt;
use nix::sys::socket::{setsockopt, sockopt};

use super::lifeline::Lifeline;
use super::link::Geometry;
use crate::Error;
use crate::sys::wait::{self, Interest};

/// The longest path that fits a socket address (unix(7)): 108 bytes with the closing zero.
const MAX_PATH: usize = 107;

/// How long a sender waits for a place in the listener's queue, which holds many more than the one that comes.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Binds and listens at `path`, mode 0600. The name stays until [`KernelName`](super::KernelName) removes it.
pub(crate) fn create(path: &Path) -> Result<OwnedFd, Error> {
    let length = path.as_os_str().as_bytes().len();
    if length > MAX_PATH {
        let why = format!("the path has {length} bytes and a socket's at most {MAX_PATH}");
        return Err(Error::refused("cannot create socket", path.display(), why)
            .hint("set XDG_RUNTIME_DIR to a shorter directory"));
    }
    let options = ListenerOptions::new().name(name(path)?).mode(0o600).reclaim_name(false);
    let failed = |error| Error::os("cannot create socket", path.display(), error);
    let listener = options.create_sync().map_err(failed)?;
    // The umask may have taken bits away that the children need.
    set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener_fd(listener))
}

/// Waits on the listening descriptor that the launcher handed on until the sender has connected, or is gone without: its
/// end of the lifeline is the launcher's until it is started, so the death of either ends the wait.
pub(crate) fn accept(listener: OwnedFd, lifeline: &Lifeline, path: &Path) -> Result<OwnedFd, Error> {
    let failed = |error| Error::os("cannot accept on socket", path.display(), error);
    let fds = [(listener.as_fd(), Interest::Read), (lifeline.as_fd(), Interest::HangUp)];
    let [connected, _] = wait::wait(fds, None).map_err(failed)?;
    if !connected.ready {
        return Err(Error::refused("cannot accept on socket", path.display(), "the sender is gone"));
    }
    let listener = interprocess::os::unix::uds_local_socket::Listener::from(listener);
    let stream = listener.accept().map_err(failed)?;
    Ok(stream.into())
}

/// Connects to the receiver at `path`.
pub(crate) fn connect(path: &Path, geometry: Geometry) -> Result<OwnedFd, Error> {
    let options = ConnectOptions::new().name(name(path)?).wait_mode(ConnectWaitMode::Timeout(CONNECT_TIME));
    let stream: Stream =
        options.connect_sync().map_err(|error| Error::os("cannot connect to socket", path.display(), error))?;
    let Stream::UdSocket(stream) = stream;
    enlarge(stream.inner().as_fd(), geometry);
    Ok(stream.into())
}

/// Asks for a larger buffer. A refusal (net.core.wmem_max) costs speed only.
fn enlarge(stream: BorrowedFd<'_>, geometry: Geometry) {
    let _ = setsockopt(&stream, sockopt::SndBuf, &geometry.buffer_bytes);
}

fn listener_fd(listener: Listener) -> OwnedFd {
    let Listener::UdSocket(listener) = listener;
    listener.into()
}

fn name(path: &Path) -> Result<Name<'_>, Error> {
    path.to_fs_name::<GenericFilePath>().map_err(|error| Error::os("cannot name socket", path.display(), error))
}
