//! Shared memory: a lock-free ring carries the bytes, semaphores only put its two sides to sleep, and a
//! lifeline says when the peer has gone.

mod ring;
mod segment;

/// What the ring takes from the standard library; its model test takes the same from loom.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
}

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::lifeline::Lifeline;
use super::link::Geometry;
use super::transport::{Fault, Read, Urgency};
use crate::Error;
use crate::sys::semaphore::Semaphore;
use ring::{BadIndex, Bell, Consumer, Producer};
use segment::Segment;

/// How long a side sleeps before it looks after its peer: a semaphore tells nobody about a death.
const PEER_CHECK: Duration = Duration::from_millis(100);

/// Makes the segment that the two ends will open.
pub(crate) fn create(name: &str, geometry: Geometry) -> Result<(), Error> {
    Segment::create(name, geometry.buffer_bytes).map(drop)
}

impl From<BadIndex> for Fault {
    fn from(BadIndex { held, capacity }: BadIndex) -> Self {
        Fault::Corrupt(format!("bad index: the ring holds {capacity} bytes and claims {held}"))
    }
}

impl From<BadIndex> for Error {
    fn from(BadIndex { held, capacity }: BadIndex) -> Self {
        let why = format!("it holds {capacity} bytes and claims {held}");
        Error::refused("cannot join", "ring in shared memory", why)
    }
}

/// A bell that waits for a limited time.
struct Timed<'a>(&'a Semaphore, Duration);

impl Bell for Timed<'_> {
    fn ring(&self) {
        self.0.post();
    }

    fn wait(&self) {
        self.0.wait(self.1);
    }
}

/// The sending side.
#[derive(Debug)]
pub(crate) struct Writer {
    segment: Segment,
    ring: Producer,
    pub(crate) lifeline: Lifeline,
}

impl Writer {
    pub(crate) fn open(name: &str, lifeline: OwnedFd) -> Result<Self, Error> {
        let segment = Segment::open(name)?;
        let ring = Producer::join(&segment.control().shared, segment.capacity() as u64)?;
        Ok(Self { segment, ring, lifeline: Lifeline::new(lifeline) })
    }

    pub(crate) fn write(&mut self, header: &[u8], records: &[u8], urgency: Urgency) -> Result<(), Fault> {
        self.push(header)?;
        self.push(records)?;
        self.ring.publish(&self.segment.control().shared);
        self.wake(match urgency {
            Urgency::Now => 1,
            Urgency::MoreFollows => self.segment.capacity() as u64 / 8,
        });
        Ok(())
    }

    fn push(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let count = self.ring.copy_in(&self.segment.control().shared, &self.segment, bytes)?;
            bytes = &bytes[count..];
            if !bytes.is_empty() {
                self.wait_for_room()?;
            }
        }
        Ok(())
    }

    fn wait_for_room(&mut self) -> Result<(), Fault> {
        let control = self.segment.control();
        self.ring.publish(&control.shared);
        self.wake(1);
        self.ring.park(&control.shared, &Timed(&control.space.0, PEER_CHECK));
        if self.lifeline.peer_is_known_to_be_gone() { Err(Fault::Disconnected) } else { Ok(()) }
    }

    /// Wakes the receiver if it sleeps and the ring holds so many bytes.
    pub(crate) fn wake(&self, backlog: u64) {
        let control = self.segment.control();
        self.ring.wake(&control.shared, &Timed(&control.data.0, PEER_CHECK), backlog);
    }
}

/// The receiving side.
#[derive(Debug)]
pub(crate) struct Reader {
    segment: Segment,
    ring: Consumer,
    lifeline: Lifeline,
}

impl Reader {
    pub(crate) fn open(name: &str, lifeline: OwnedFd) -> Result<Self, Error> {
        let segment = Segment::open(name)?;
        let ring = Consumer::join(&segment.control().shared, segment.capacity() as u64)?;
        Ok(Self { segment, ring, lifeline: Lifeline::new(lifeline) })
    }

    pub(crate) fn is_ready(&self) -> bool {
        !self.ring.is_empty(&self.segment.control().shared)
    }

    pub(crate) fn read(&mut self, space: &mut [u8], deadline: Option<Instant>) -> Result<Read, Fault> {
        loop {
            let control = self.segment.control();
            let count = self.ring.copy_out(&control.shared, &self.segment, space)?;
            if count > 0 {
                self.ring.wake(&control.shared, &Timed(&control.space.0, PEER_CHECK));
                return Ok(Read::Bytes(count));
            }
            let patience =
                deadline.map_or(PEER_CHECK, |at| at.saturating_duration_since(Instant::now()).min(PEER_CHECK));
            if !patience.is_zero() {
                self.ring.park(&control.shared, &Timed(&control.data.0, patience));
            }
            // The sender may have sent and died since: what it left is read before its death counts.
            if !self.is_ready() && self.lifeline.peer_is_known_to_be_gone() && !self.is_ready() {
                return Err(Fault::Disconnected);
            }
            if patience.is_zero() && !self.is_ready() {
                return Ok(Read::TimedOut);
            }
        }
    }
}
