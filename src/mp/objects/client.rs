//! The client's side: one connection for each thread and manager, so that no operation waits behind another thread's.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::protocol::{Address, Failure, New, Operation, Request};
use super::server;
use crate::mp::socket::Socket;
use crate::mp::wire::{self, Message};
use crate::mp::{Error, Result};
use crate::sys::socket::{own_uid, peer_uid};
use crate::sys::wait::{Interest, look};

thread_local! {
    /// Those of this thread that nobody uses just now.
    static CONNECTIONS: RefCell<Vec<(Address, Socket)>> = const { RefCell::new(Vec::new()) };
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
    let answer = exchange(address, &message)?;
    read(&answer.bytes)
}

fn read<R: DeserializeOwned>(answer: &[u8]) -> Result<R> {
    match answer.split_first() {
        Some((0, rest)) => wire::decode(rest),
        Some((1, rest)) => Err(wire::decode::<Failure>(rest)?.into()),
        _ => Err(Error::codec("an answer that is none")),
    }
}

fn exchange(address: Address, message: &Message) -> Result<Message> {
    let mut socket = match take(address) {
        Some(socket) => socket,
        None => connect(address)?,
    };
    // After an error nobody knows whose the next answer is, so the connection ends.
    let answer = socket.send(message).and_then(|()| socket.receive()).map_err(gone)?;
    give_back(address, socket);
    Ok(answer)
}

/// A stream that ends, be it inside a message, is the end of the server.
fn gone(error: Error) -> Error {
    match error {
        Error::Closed | Error::Codec(_) => Error::ManagerGone,
        error => error,
    }
}

fn take(address: Address) -> Option<Socket> {
    let take = |connections: &RefCell<Vec<(Address, Socket)>>| {
        let mut connections = connections.borrow_mut();
        let at = connections.iter().position(|(of, _)| *of == address)?;
        Some(connections.swap_remove(at).1)
    };
    // A thread that is ending has none any more.
    CONNECTIONS.try_with(take).ok().flatten()
}

fn give_back(address: Address, socket: Socket) {
    let _ = CONNECTIONS.try_with(|connections| connections.borrow_mut().push((address, socket)));
}

fn connect(address: Address) -> Result<Socket> {
    forget_the_dead();
    let refused = |error| Error::from(crate::Error::os("cannot connect to", address, error));
    let stream = match address.socket().and_then(|address| UnixStream::connect_addr(&address)) {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Err(Error::ManagerGone),
        Err(error) => return Err(refused(error)),
    };
    if peer_uid(&stream).map_err(refused)? != own_uid() {
        return Err(Error::Refused(format!("{address} belongs to another user")));
    }
    let mut socket = Socket::from_fd(stream.into());
    // The server greets: it may be out of descriptors or threads.
    read::<()>(&socket.receive().map_err(gone)?.bytes)?;
    Ok(socket)
}

/// Drops the connections to managers that are gone, which nobody will use again.
fn forget_the_dead() {
    let is_alive = |socket: &Socket| look(socket.as_fd(), Interest::HangUp).is_ok_and(|it| !it.hung_up);
    let _ = CONNECTIONS.try_with(|all| all.borrow_mut().retain(|(_, socket)| is_alive(socket)));
}

/// The encoding of a value that is kept at the server, without the descriptors that a message could carry.
pub(super) fn encoded<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    wire::encode(value, &mut bytes)?;
    Ok(bytes)
}

/// The encodings of `values`, one behind the other, and where each of them ends.
#[derive(Debug, Default)]
pub(super) struct Encodings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Encodings {
    pub(super) fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        wire::encode(value, &mut self.bytes)?;
        self.ends.push(self.bytes.len());
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let piece = &self.bytes[start..end];
            start = end;
            piece
        })
    }
}
