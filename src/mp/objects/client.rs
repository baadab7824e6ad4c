//! The client's side: one connection for each thread and manager, so that no operation waits behind another thread's.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::line::Line;
use super::protocol::{Address, Bytes, Failure, New, Operation, Request};
use super::server;
use crate::mp::attempt::Attempt;
use crate::mp::socket::Socket;
use crate::mp::wire::{self, Message};
use crate::mp::{Error, Result};
use crate::sys::handle::Handle;
use crate::sys::socket::{is_exhaustion, own_uid, peer_uid};

/// The servers to which there are connections.
static SERVERS: Mutex<Vec<(Address, Weak<Handle>)>> = Mutex::new(Vec::new());

thread_local! {
    /// Those of this thread that nobody uses just now.
    static CONNECTIONS: RefCell<Vec<(Address, Line)>> = const { RefCell::new(Vec::new()) };
}

/// An object of a manager, by the numbers that it is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    address: Address,
    object: u64,
}

impl Remote {
    pub(super) fn create(address: Address, new: New<'_>) -> Result<Self> {
        let object = ask(address, &Request::Create(new))?;
        Ok(Self { address, object })
    }

    pub(super) fn address(&self) -> Address {
        self.address
    }

    pub(super) fn object(&self) -> u64 {
        self.object
    }

    pub(super) fn remove(&self) -> Result<()> {
        ask(self.address, &Request::Remove(self.object))
    }

    /// Has the server do something, and waits for the answer.
    pub(super) fn call<R: DeserializeOwned>(&self, operation: Operation<'_>) -> Result<R> {
        ask(self.address, &Request::Use(self.object, operation))
    }
}

fn ask<R: DeserializeOwned>(address: Address, request: &Request<'_>) -> Result<R> {
    if server::is_updating() {
        // It could wait for itself, and two of them for each other.
        return Err(Error::Refused("a task that updates an object cannot use objects of a manager".to_owned()));
    }
    let mut message = Message::default();
    wire::encode(request, &mut message.bytes)?;
    let tried = request.tried();
    let answer = exchange(address, &message, tried.0)?;
    read(&answer.bytes, tried)
}

fn read<R: DeserializeOwned>(answer: &[u8], (attempt, time): (Attempt, Duration)) -> Result<R> {
    match answer.split_first() {
        Some((0, rest)) => wire::decode(rest).map_err(|error| error.during(attempt)),
        Some((1, rest)) => Err(wire::decode::<Failure>(rest)?.of(attempt, time)),
        _ => Err(Error::codec("an answer that is none")),
    }
}

fn exchange(address: Address, message: &Message, attempt: Attempt) -> Result<Message> {
    let mut line = match take(address) {
        Some(line) => line,
        None => connect(address, attempt)?,
    };
    // After an error nobody knows whose the next answer is, so the connection ends.
    let answer = line.exchange(message).map_err(|error| gone(error, attempt))?;
    give_back(address, line);
    Ok(answer)
}

/// A stream that ends, be it inside a message, is the end of the server.
fn gone(error: Error, attempt: Attempt) -> Error {
    match error {
        Error::Closed(_) | Error::Codec(_) => Error::ManagerGone(attempt),
        error => error,
    }
}

fn take(address: Address) -> Option<Line> {
    let take = |connections: &RefCell<Vec<(Address, Line)>>| {
        let mut connections = connections.borrow_mut();
        let at = connections.iter().position(|(of, _)| *of == address)?;
        Some(connections.swap_remove(at).1)
    };
    // A thread that is ending has none any more.
    CONNECTIONS.try_with(take).ok().flatten()
}

fn give_back(address: Address, line: Line) {
    let _ = CONNECTIONS.try_with(|connections| connections.borrow_mut().push((address, line)));
}

fn connect(address: Address, attempt: Attempt) -> Result<Line> {
    forget_the_dead();
    let refused = |error| Error::from(crate::Error::os("cannot connect to", address, error));
    let stream = match address.socket().and_then(|address| UnixStream::connect_addr(&address)) {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Err(Error::ManagerGone(attempt)),
        Err(error) => return Err(refused(error)),
    };
    if peer_uid(&stream).map_err(refused)? != own_uid() {
        return Err(Error::Refused(format!("{address} belongs to another user")));
    }
    // The server has ended if its process is not there any more, though somebody who has its listener keeps that open.
    let server = match Handle::peer(stream.as_fd()) {
        Err(error) if is_exhaustion(&error) => return Err(refused(error)),
        server => server.map_err(|_| Error::ManagerGone(attempt))?,
    };
    let mut socket = Socket::from_fd(stream.into()).watch(server.map(Arc::new));
    // The server greets: it may be out of descriptors or threads.
    let mut greeting = socket.receive().map_err(|error| gone(error, attempt))?;
    read::<()>(&greeting.bytes, (attempt, Duration::ZERO))?;
    // Until then, the process on the other side may have been the one that started the server.
    let server = greeting.fds.pop().map(|pidfd| server_of(address, pidfd));
    Ok(Line::new(socket.watch(server)))
}

/// The process of the server, which is held once for all threads of this one.
fn server_of(address: Address, pidfd: OwnedFd) -> Arc<Handle> {
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    servers.retain(|(_, server)| server.strong_count() > 0);
    let known = servers.iter().find(|(of, _)| *of == address).and_then(|(_, server)| server.upgrade());
    known.unwrap_or_else(|| {
        let server = Arc::new(Handle::from(pidfd));
        servers.push((address, Arc::downgrade(&server)));
        server
    })
}

/// Drops the connections to managers that are gone, which nobody will use again.
fn forget_the_dead() {
    let _ = CONNECTIONS.try_with(|all| all.borrow_mut().retain(|(_, line)| !line.socket.is_gone()));
}

/// The encoding of a value that is kept at the server.
pub(super) fn encoded<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let Message { bytes, fds } = wire::encode_with_handles(value)?;
    if fds.is_empty() { Ok(bytes) } else { Err(has_descriptors()) }
}

fn has_descriptors() -> Error {
    Error::codec("a manager keeps no descriptors, so no object in shared memory either; it has such objects of its own")
}

/// The encodings of many values, one behind the other, and where each of them ends.
#[derive(Debug, Default)]
pub(super) struct Encodings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Encodings {
    pub(super) fn of<T: Serialize>(values: impl IntoIterator<Item = T>) -> Result<Self> {
        let mut encodings = Self::default();
        let fds = wire::collect(|| {
            values.into_iter().try_for_each(|value| {
                wire::encode(&value, &mut encodings.bytes)?;
                encodings.ends.push(encodings.bytes.len());
                Ok(())
            })
        })?;
        if fds.is_empty() { Ok(encodings) } else { Err(has_descriptors()) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Bytes<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let piece = &self.bytes[start..end];
            start = end;
            Bytes(piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::QueueOperation;
    use super::*;
    use crate::mp::wire::Handle;

    #[test]
    fn a_value_with_a_descriptor_is_not_kept() {
        let (file, _) = crate::sys::fd::pipe().unwrap();
        let handle = Handle::from(file);
        // Also in a task, around which the descriptors of its answer are collected.
        wire::collect(|| {
            assert!(matches!(encoded(&handle), Err(Error::Codec(_))));
            assert!(matches!(Encodings::of([&handle]), Err(Error::Codec(_))));
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        let tried = Request::Use(3, Operation::Queue(QueueOperation::Get(Some(Duration::from_secs(2))))).tried();
        let read = |answer: &[u8]| read::<u8>(answer, tried);
        for answer in [&[][..], &[2, 0], &[1, 99], &[0, 7, 7]] {
            assert!(matches!(read(answer), Err(Error::Codec(_))));
        }
        assert_eq!(read(&[0, 7]).unwrap(), 7);
        assert_eq!(read(&[1, 1]).unwrap_err().to_string(), "cannot get from QueueProxy 3 within 2s: it is empty");
    }
}
