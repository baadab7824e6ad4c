//! Connected Unix streams with descriptors between the bytes (SCM_RIGHTS of unix(7)).
//!
//! Of rustix and not of nix, because nix forgets the descriptors that did arrive when others did not fit into the process.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::cmsg_space;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recv, recvmsg, send as send_bytes, sendmsg,
    shutdown, socketpair,
};

use crate::Error;
use crate::sys::fd;

/// The most descriptors that are sent at once. The kernel's own limit is 253.
pub(crate) const MOST_FDS: usize = 250;

/// What the kernel sends at once fits, so that nothing is ever cut off for want of room here.
const CONTROL: usize = cmsg_space!(ScmRights(256));

/// Whether a call waits until it can do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Yes,
    /// It answers EAGAIN instead, whatever the mode of the descriptor.
    No,
}

/// Two connected sockets, both closed on exec.
///
/// # Errors
/// EMFILE or ENFILE.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// Sends bytes of `parts`, as many as there is room for, and with the first of them all of `fds`, which are at most
/// [`MOST_FDS`]. Says how many bytes; it is at least one if there are any.
///
/// # Errors
/// EPIPE, never with a signal, when nobody can receive; ETOOMANYREFS; EAGAIN; the system's. Then nothing has been sent.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
    wait: Wait,
) -> io::Result<usize> {
    let flags = match wait {
        Wait::Yes => SendFlags::NOSIGNAL,
        Wait::No => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    };
    if fds.is_empty() {
        if let [only] = parts {
            return Ok(retry_on_intr(|| send_bytes(socket, only, flags))?);
        }
        return Ok(retry_on_intr(|| sendmsg(socket, parts, &mut SendAncillaryBuffer::default(), flags))?);
    }
    let mut space = [MaybeUninit::uninit(); CONTROL];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL.into());
    }
    Ok(retry_on_intr(|| sendmsg(socket, parts, &mut control, flags))?)
}

/// Receives bytes into `buffer` and appends the descriptors that come with them, closed on exec, to `fds`. Says how many
/// bytes; none are the end of the stream.
///
/// # Errors
/// ECONNRESET when the other side went away with bytes unread; EAGAIN; the system's. EMFILE when descriptors came for
/// which this process has no room: they and the bytes are lost.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    fds: &mut impl Extend<OwnedFd>,
    wait: Wait,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); CONTROL];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = flags(wait) | RecvFlags::CMSG_CLOEXEC;
    let received = retry_on_intr(|| recvmsg(socket, &mut parts, &mut control, flags))?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) { Err(Errno::MFILE.into()) } else { Ok(received.bytes) }
}

/// Receives bytes into the room that `buffer` has behind its content. Says how many; none are the end of the stream, if
/// there was room. Descriptors that come with them are closed.
///
/// # Errors
/// ECONNRESET as in [`receive`]; EAGAIN; the system's.
pub(crate) fn receive_bytes(socket: BorrowedFd<'_>, buffer: &mut Vec<u8>, wait: Wait) -> io::Result<usize> {
    let flags = flags(wait);
    let (received, _) = retry_on_intr(|| recv(socket, spare_capacity(buffer), flags))?;
    Ok(received)
}

fn flags(wait: Wait) -> RecvFlags {
    match wait {
        Wait::Yes => RecvFlags::empty(),
        Wait::No => RecvFlags::DONTWAIT,
    }
}

/// Tells the other side that nothing more will come, whoever else has this socket.
pub(crate) fn end(socket: BorrowedFd<'_>) {
    // Fails only if it is not connected, and then nobody has to be told.
    let _ = shutdown(socket, Shutdown::Write);
}

/// What failed, with a way out where descriptors are the trouble.
pub(crate) fn explain(what: &'static str, cause: io::Error) -> Error {
    let errno = Errno::from_io_error(&cause);
    let error = Error::os(what, "", cause);
    match errno {
        Some(Errno::MFILE) => error.hint(fd::RAISE_LIMIT),
        Some(Errno::TOOMANYREFS) => {
            error.hint("let receivers take what is under way, or raise the limit on open files ('ulimit -n')")
        }
        _ => error,
    }
}
