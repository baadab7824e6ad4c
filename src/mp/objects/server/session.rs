//! One connection of one client: its requests, one after the other, and what it holds meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::super::line::Line;
use super::super::protocol::{Failure, Operation, Request};
use super::gate::Client;
use super::object::{Kept, Objects};
use crate::mp::process::{catch, current};
use crate::mp::socket::Socket;
use crate::mp::wire::{self, Message};
use crate::mp::{Error, Result};

/// How much room for answers a connection keeps.
const MOST_KEPT: usize = 1 << 16;

pub(super) struct Session {
    /// A number that no other connection has.
    id: u64,
    line: Line,
    objects: Arc<Objects>,
    /// The locks and semaphores of which it has something.
    held: HashMap<u64, Arc<Kept>>,
}

impl Session {
    pub(super) fn new(id: u64, socket: Socket, objects: Arc<Objects>) -> Self {
        Self { id, line: Line::new(socket), objects, held: HashMap::new() }
    }

    /// Greets the client, and serves it until it is gone. What it holds then becomes free.
    pub(super) fn serve(mut self, greeting: Message) {
        let mut answer = greeting;
        while self.line.socket.send(&answer).is_ok() {
            // Whoever sends what is no message is no client.
            answer.fds.clear();
            let Ok(request) = self.line.receive() else { break };
            self.answer(&request.bytes, &mut answer.bytes);
        }
    }

    /// Writes the answer to `request`, whatever that is, into `out`.
    fn answer(&mut self, request: &[u8], out: &mut Vec<u8>) {
        out.clear();
        // The room of one large answer is not kept for all the small ones after it.
        out.shrink_to(MOST_KEPT);
        out.push(0);
        let performed = catch(|| self.perform(request, out));
        let performed = performed
            .unwrap_or_else(|panic| Err(Error::Panicked(Box::new(current().worker), Box::new(panic))))
            .map_err(Failure::from);
        answered(performed, out);
    }

    fn perform(&mut self, request: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match wire::decode::<Request<'_>>(request)? {
            Request::Create(new) => wire::encode(&self.objects.create(&new)?, out),
            Request::Remove(number) => self.objects.remove(number),
            Request::Use(number, operation) => self.perform_on(number, &operation, out),
        }
    }

    fn perform_on(&mut self, number: u64, operation: &Operation<'_>, out: &mut Vec<u8>) -> Result<()> {
        let kept = self.objects.find(number)?;
        let client = self.client(&kept.is_removed);
        let performed = kept.object.perform(operation, &client, out);
        if matches!(operation, Operation::Lock(_) | Operation::Semaphore(_)) {
            match kept.object.is_held_by(self.id) {
                true => drop(self.held.insert(number, kept)),
                false => drop(self.held.remove(&number)),
            }
        }
        performed
    }

    fn client<'a>(&'a self, is_removed: &'a AtomicBool) -> Client<'a> {
        Client { id: self.id, socket: &self.line.socket, is_removed }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for kept in self.held.values() {
            kept.object.abandon(self.id);
        }
    }
}

/// Makes an answer of the result, where `out` holds the answer to a request that was met.
pub(super) fn answered(result: Result<(), Failure>, out: &mut Vec<u8>) {
    match result {
        Ok(()) if out.is_empty() => out.push(0),
        Ok(()) => {}
        Err(failure) => {
            out.clear();
            out.push(1);
            // Only a message that is nested too deep has no encoding, and a failure is flat.
            let _ = wire::encode(&failure, out);
        }
    }
}
