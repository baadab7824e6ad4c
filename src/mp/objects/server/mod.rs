//! The server: a process that keeps objects, with a thread for each connection.
//!
//! Nothing that a client sends or does ends it. A request that cannot be met is answered with an error; one that blocks
//! blocks only the thread of its connection, which looks every 100 ms whether the client is still there.

mod barrier;
mod condition;
mod dict;
mod event;
mod gate;
mod list;
mod lock;
mod namespace;
mod object;
mod queue;
mod semaphore;
mod session;
mod update;
mod value;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::Duration;

use super::protocol::Failure;
use crate::mp::socket::Socket;
use crate::mp::wire::{self, Handle, Message};
use crate::mp::{Error, Result};
use crate::sys::socket::{is_exhaustion, listen_as_this_process, own_uid, peer_pid, peer_uid};
use crate::sys::{handle as process, signal};

use object::Objects;
use session::{Session, answered};

pub(super) use update::is_updating;

/// How long it waits when it cannot accept a connection: when even the last descriptor is taken.
const PAUSE: Duration = Duration::from_millis(10);

/// What the server process runs, until it is killed.
pub(super) fn serve(listener: Handle) -> Result<(), String> {
    // A key that is pressed in the terminal is for its owner, with whom the server ends.
    signal::ignore(&signal::LEFT_TO_OTHERS).map_err(|error| error.to_string())?;
    let listener = UnixListener::from(listener.into_fd().map_err(|error| error.to_string())?);
    // Who connects has to see the end of this process, also while somebody else has the listener.
    listen_as_this_process(&listener).map_err(|error| error.to_string())?;
    let objects = Arc::new(Objects::default());
    // Without one it could not even tell a client that there is none: better that it is gone.
    let mut spare = Spare(Some(listener.try_clone().map_err(|error| error.to_string())?));
    let mut clients = Clients::default();
    for id in 0.. {
        match listener.accept() {
            Ok((stream, _)) => receive(id, stream, &mut clients, &objects),
            Err(error) if is_exhaustion(&error) => spare.refuse_one(&listener, &error),
            // A client that went away before it was received, or worse: then this must not become a spin.
            Err(_) => thread::sleep(PAUSE),
        }
    }
    Ok(())
}

/// Gives the client a thread, if it belongs to the user.
fn receive(id: u64, stream: UnixStream, clients: &mut Clients, objects: &Arc<Objects>) {
    if !peer_uid(&stream).is_ok_and(|uid| uid == own_uid()) {
        return;
    }
    let (client, greeting) = match clients.of(&stream).and_then(|client| Ok((client, greeting()?))) {
        Ok(both) => both,
        Err(error) if is_exhaustion(&error) => return refuse(stream, &error),
        // It has ended already.
        Err(_) => return,
    };
    let (given, taken) = mpsc::sync_channel(1);
    let objects = Arc::clone(objects);
    let serve = move || {
        if let Ok(stream) = taken.recv() {
            let socket = Socket::from_fd(OwnedFd::from(stream)).watch(client);
            Session::new(id, socket, objects).serve(greeting);
        }
    };
    match thread::Builder::new().name(format!("client-{id}")).spawn(serve) {
        // It waits for the stream, which is still here if there is no thread.
        Ok(_) => drop(given.send(stream)),
        Err(error) => refuse(stream, &error),
    }
}

/// The greeting, by which a client gets hold of this process.
fn greeting() -> io::Result<Message> {
    let mut greeting = Message { bytes: Vec::new(), fds: vec![process::Handle::this()?.into()] };
    answered(Ok(()), &mut greeting.bytes);
    Ok(greeting)
}

/// The processes that have connections, by their pids, each held once for all its threads.
#[derive(Default)]
struct Clients(HashMap<u32, Weak<process::Handle>>);

impl Clients {
    /// The process that has connected; None if it cannot be seen, in another pid namespace.
    ///
    /// # Errors
    /// ESRCH when it has ended; EMFILE.
    fn of(&mut self, stream: &UnixStream) -> io::Result<Option<Arc<process::Handle>>> {
        let Some(pid) = peer_pid(stream) else { return Ok(None) };
        // As long as the process lives that has the number, no other one can have it.
        if let Some(known) = self.0.get(&pid).and_then(Weak::upgrade).filter(|it| !it.has_ended()) {
            return Ok(Some(known));
        }
        let client = process::Handle::peer(stream.as_fd())?.map(Arc::new);
        self.0.retain(|_, client| client.strong_count() > 0);
        self.0.extend(client.iter().map(|client| (pid, Arc::downgrade(client))));
        Ok(client)
    }
}

/// Answers the client's wish to be served with an error.
fn refuse(stream: UnixStream, error: &io::Error) {
    let mut message = Message::default();
    let why = format!("the manager cannot serve another thread: {error}");
    answered(Err(Failure::Refused(why)), &mut message.bytes);
    // One that does not want to hear it needs no answer.
    let _ = Socket::from_fd(stream.into()).send(&message);
}

/// A descriptor that is given up to tell a client that there is none left.
struct Spare(Option<UnixListener>);

impl Spare {
    fn refuse_one(&mut self, listener: &UnixListener, error: &io::Error) {
        drop(self.0.take());
        match listener.accept() {
            Ok((stream, _)) => refuse(stream, error),
            Err(_) => thread::sleep(PAUSE),
        }
        self.0 = listener.try_clone().ok();
    }
}

/// Appends an option of a value.
fn put_option(out: &mut Vec<u8>, value: Option<&[u8]>) {
    out.push(value.is_some().into());
    out.extend_from_slice(value.unwrap_or_default());
}

/// Appends a sequence, or a map, of `length` of them.
fn put_sequence<'a>(out: &mut Vec<u8>, length: usize, items: impl Iterator<Item = &'a [u8]>) -> Result<(), Error> {
    wire::encode(&(length as u64), out)?;
    items.for_each(|item| out.extend_from_slice(item));
    Ok(())
}
