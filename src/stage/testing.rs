//! Ends, clocks and outputs for the tests of the stages.

use std::io::{self, Write};
use std::time::Instant;

use super::world::Clock;
use crate::channel::{Backend, Geometry, Receiver, Run, Sender};
use crate::record::Record;

/// Both ends of a link within this process.
pub(super) fn link<T: Record>() -> (Sender<T>, Receiver<T>) {
    let link = Run::new().link(Backend::Pipe, "test", Geometry::default()).unwrap();
    (link.sender.attach_sender().unwrap(), link.receiver.attach_receiver().unwrap())
}

/// The time since the first look at it, a second later than it is.
#[derive(Debug)]
pub(super) struct RealClock;

impl Clock for RealClock {
    fn now_ns(&self) -> u64 {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        1_000_000_000 + START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}

/// Takes `room` bytes and then fails for ever.
pub(super) struct FailingWriter {
    pub(super) room: usize,
    pub(super) kind: io::ErrorKind,
}

impl Write for FailingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(self.kind.into());
        }
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
