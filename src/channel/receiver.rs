//! The receiving end: bytes in, checked batches of records out.

use std::marker::PhantomData;
use std::ops::Deref;
use std::time::{Duration, Instant};

use zerocopy::FromBytes;

use super::error::RecvError;
use super::frame::{Expected, Frame, FrameBuffer, Kind};
use super::sender::Sender;
use super::transport::{Fault, Read, Rx};
use crate::record::Record;
use crate::sys::wait::deadline_in;

/// The receiving end of a link. Dropping it tells the sender that nobody listens any more.
#[derive(Debug)]
pub struct Receiver<T: Record> {
    rx: Rx,
    link: String,
    buffer: FrameBuffer,
    expected: Expected,
    ended: bool,
    _records: PhantomData<T>,
}

/// Records that arrived in one frame. It borrows the receiver's buffer until the next call.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a, T> {
    records: &'a [T],
    first_seq: u64,
    sent_ns: u64,
}

impl<T> Batch<'_, T> {
    /// The sequence number of the first record; the first of a stream is 1, and the others count up.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// When the frame was sent: nanoseconds of CLOCK_MONOTONIC, the same clock in all processes.
    #[must_use]
    pub fn sent_ns(&self) -> u64 {
        self.sent_ns
    }
}

impl<T> Deref for Batch<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.records
    }
}

/// What a wait with a limit brought.
#[derive(Clone, Copy, Debug)]
pub enum Received<'a, T> {
    /// Records.
    Batch(Batch<'a, T>),
    /// The sender finished, and everything was received.
    End,
    /// Nothing came in time.
    TimedOut,
}

impl<T: Record> Receiver<T> {
    pub(super) fn new(rx: Rx, link: String) -> Self {
        let () = Sender::<T>::SIZE_IS_SOUND;
        let expected = Expected::start(T::TAG, size_of::<T>());
        Self { rx, link, buffer: FrameBuffer::new(), expected, ended: false, _records: PhantomData }
    }

    /// How many records were received so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.expected.next_seq - 1
    }

    /// The checksum over all records received so far, equal to the sender's over the same records.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.expected.digest.value()
    }

    /// True if the next call will not block. It is a hint that costs no system call: false may be wrong.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ended || self.buffer.is_ready(&self.expected) || self.rx.is_ready()
    }

    /// The next batch, or `None` after the sender finished. Blocks until then.
    ///
    /// # Errors
    /// [`RecvError::Disconnected`] when the sender died, after everything that it had sent was received;
    /// [`RecvError::Corrupt`] when what came is no valid stream. Nothing can be received after either.
    pub fn recv(&mut self) -> Result<Option<Batch<'_, T>>, RecvError> {
        match self.recv_by(None)? {
            Received::Batch(batch) => Ok(Some(batch)),
            Received::End | Received::TimedOut => Ok(None),
        }
    }

    /// As [`recv`](Self::recv), but gives up after `timeout`; a zero timeout only looks.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Received<'_, T>, RecvError> {
        self.recv_by(deadline_in(timeout))
    }

    fn recv_by(&mut self, deadline: Option<Instant>) -> Result<Received<'_, T>, RecvError> {
        if self.ended {
            return Ok(Received::End);
        }
        let Some(frame) = self.next_frame(deadline).map_err(|fault| fault.of_receiver(&self.link))? else {
            return Ok(Received::TimedOut);
        };
        if frame.kind == Kind::End {
            self.ended = true;
            return Ok(Received::End);
        }
        let bytes = self.buffer.bytes(&frame.records);
        match <[T]>::ref_from_bytes(bytes) {
            Ok(records) => Ok(Received::Batch(Batch { records, first_seq: frame.first_seq, sent_ns: frame.sent_ns })),
            Err(error) => Err(RecvError::corrupt(&self.link, format!("records do not fit their type: {error}"))),
        }
    }

    fn next_frame(&mut self, deadline: Option<Instant>) -> Result<Option<Frame>, Fault> {
        loop {
            if let Some(frame) = self.buffer.next(&mut self.expected).map_err(Fault::Corrupt)? {
                return Ok(Some(frame));
            }
            match self.rx.read(self.buffer.space(), deadline)? {
                Read::Bytes(count) => self.buffer.filled(count),
                Read::TimedOut => return Ok(None),
            }
        }
    }
}
