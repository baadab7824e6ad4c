//! A connection between a client and the server, whose ends look for the next message for a moment before they sleep.
//!
//! To wake a thread on another, idle core takes some 20 µs, several times what a request takes. Whoever looks in vain,
//! because the other side is slow or has no core to run on, looks less and less often.

use std::sync::OnceLock;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use crate::mp::Result;
use crate::mp::socket::Socket;
use crate::mp::wire::Message;

/// How long one looks: a little longer than it takes to wake the other side.
const MOMENT: Duration = Duration::from_micros(50);

/// How many messages are waited for asleep, at most, before the next look.
const MOST_SKIPPED: u32 = 63;

#[derive(Debug)]
pub(super) struct Line {
    pub(super) socket: Socket,
    /// For how many more messages it sleeps at once.
    skip: u32,
    /// How many those were, the last time.
    skipped: u32,
}

impl Line {
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket, skip: 0, skipped: 0 }
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
        if self.skip > 0 || !has_cores() {
            self.skip = self.skip.saturating_sub(1);
            return self.socket.receive();
        }
        let start = Instant::now();
        while start.elapsed() < MOMENT {
            if let Some(message) = self.socket.try_receive()? {
                self.skipped = 0;
                return Ok(message);
            }
            std::hint::spin_loop();
        }
        self.skipped = (2 * self.skipped + 1).min(MOST_SKIPPED);
        self.skip = self.skipped;
        self.socket.receive()
    }
}

/// True if the other side can run while this one looks.
fn has_cores() -> bool {
    static HAS_CORES: OnceLock<bool> = OnceLock::new();
    *HAS_CORES.get_or_init(|| available_parallelism().is_ok_and(|cores| cores.get() > 1))
}
