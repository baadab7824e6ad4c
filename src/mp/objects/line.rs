//! A connection between a client and the server, whose ends look for the next message for a moment before they sleep.

use crate::mp::Result;
use crate::mp::glance::Glance;
use crate::mp::socket::Socket;
use crate::mp::wire::Message;

#[derive(Debug)]
pub(super) struct Line {
    pub(super) socket: Socket,
    glance: Glance,
}

impl Line {
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket, glance: Glance::default() }
    }

    /// Sends one message and waits for the answer.
    ///
    /// # Errors
    /// Those of [`Socket`].
    pub(super) fn exchange(&mut self, message: &Message) -> Result<Message> {
        self.socket.send(message)?;
        self.receive()
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// Those of [`Socket`].
    pub(super) fn receive(&mut self) -> Result<Message> {
        let socket = &mut self.socket;
        match self.glance.at(|| socket.try_receive().transpose()) {
            Some(received) => received,
            None => self.socket.receive(),
        }
    }
}
