//! The sending end: records in, frames out.

use std::marker::PhantomData;
use std::num::NonZeroUsize;

use zerocopy::IntoBytes;

use super::digest::Digest;
use super::error::SendError;
use super::frame::{HEADER, Header, Kind};
use super::transport::{Effort, Fault, Tx, Urgency};
use crate::record::Record;
use crate::sys::clock::now_ns;

/// The sending end of a link. Dropping it without [`finish`](Self::finish) means "I died": the receiver
/// gets what was sent and then an error.
#[derive(Debug)]
pub struct Sender<T: Record> {
    tx: Tx,
    link: String,
    /// Records that wait for company; always shorter than `capacity`.
    open: Vec<T>,
    capacity: usize,
    sent: u64,
    digest: Digest,
    _records: PhantomData<T>,
}

impl<T: Record> Sender<T> {
    /// Evaluated for every record type that is ever sent or received.
    pub(super) const SIZE_IS_SOUND: () = assert!(
        size_of::<T>() > 0 && size_of::<T>().is_multiple_of(8) && size_of::<T>() <= T::MAX_SIZE && align_of::<T>() <= 8,
        "a record has 8 to MAX_SIZE bytes, in multiples of 8, and is aligned to at most 8"
    );

    pub(super) fn new(tx: Tx, link: String) -> Self {
        let () = Self::SIZE_IS_SOUND;
        let capacity = (tx.max_frame() - HEADER) / size_of::<T>();
        Self { tx, link, open: Vec::new(), capacity, sent: 0, digest: Digest::new(), _records: PhantomData }
    }

    /// Sends at most `records` in a frame, where the default is as many as fit. One record a frame shows
    /// what a mechanism costs by itself.
    #[must_use]
    pub fn with_frame_limit(mut self, records: NonZeroUsize) -> Self {
        self.capacity = self.capacity.min(records.get());
        self
    }

    /// The most records that travel in one frame.
    #[must_use]
    pub fn frame_capacity(&self) -> usize {
        self.capacity
    }

    /// How many records were fed so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.sent + self.open.len() as u64
    }

    /// The checksum over all records that have left in frames; equal to the receiver's once it has them.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// Sends `records` and wakes the receiver. Blocks while the link is full.
    ///
    /// # Errors
    /// [`SendError::Disconnected`] when the receiver is gone; nothing can be sent after that.
    pub fn send(&mut self, records: &[T]) -> Result<(), SendError> {
        self.feed(records)?;
        self.flush()
    }

    /// Takes `records` on their way: full frames leave now (and block while the link is full), the rest waits
    /// for more records or for [`flush`](Self::flush). Call `flush` before doing anything that takes time.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn feed(&mut self, mut records: &[T]) -> Result<(), SendError> {
        while self.open.len() + records.len() >= self.capacity {
            let (now, later) = records.split_at(self.capacity - self.open.len());
            records = later;
            if self.open.is_empty() {
                self.write(Kind::Data, now, Urgency::MoreFollows)?;
            } else {
                self.open.extend_from_slice(now);
                self.write_open(Urgency::MoreFollows)?;
            }
        }
        self.open.extend_from_slice(records);
        Ok(())
    }

    /// Sends what was fed and held back, and wakes the receiver.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn flush(&mut self) -> Result<(), SendError> {
        if !self.open.is_empty() {
            self.write_open(Urgency::Now)?;
        } else {
            self.tx.wake();
        }
        self.check_peer(Effort::NowAndThen)
    }

    /// Ends the stream: the receiver gets everything and then `None`.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn finish(mut self) -> Result<(), SendError> {
        if !self.open.is_empty() {
            self.write_open(Urgency::MoreFollows)?;
        }
        // A receiver that leaves once it has the end is none that was lost, so the look at it comes before.
        self.check_peer(Effort::Now)?;
        self.write(Kind::End, &[], Urgency::Now)
    }

    fn check_peer(&mut self, effort: Effort) -> Result<(), SendError> {
        self.tx.check_peer(effort).map_err(|fault| fault.of_sender(&self.link))
    }

    fn write_open(&mut self, urgency: Urgency) -> Result<(), SendError> {
        let mut open = std::mem::take(&mut self.open);
        let result = self.write(Kind::Data, &open, urgency);
        open.clear();
        self.open = open;
        result
    }

    fn write(&mut self, kind: Kind, records: &[T], urgency: Urgency) -> Result<(), SendError> {
        let bytes = records.as_bytes();
        let mut digest = self.digest;
        digest.update(bytes);
        let header = Header::new(kind, T::TAG, records.len() as u32, self.sent + 1, now_ns(), digest.value());
        let result = self.tx.write(header.as_bytes(), bytes, urgency);
        result.map_err(|fault: Fault| fault.of_sender(&self.link))?;
        self.sent += records.len() as u64;
        self.digest = digest;
        Ok(())
    }
}
