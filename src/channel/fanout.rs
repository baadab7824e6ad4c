//! One sender over several links.

use super::error::SendError;
use super::sender::Sender;
use crate::record::Record;

/// Sends every record over each of several links. A slow consumer slows the producer and with it the
/// others; a consumer that has gone is left out, and every call still reaches all that are left before
/// the loss is reported.
#[derive(Debug)]
pub struct Fanout<T: Record> {
    links: Vec<Sender<T>>,
    has_lost: bool,
}

impl<T: Record> Fanout<T> {
    /// A fan-out over `links`.
    #[must_use]
    pub fn new(links: Vec<Sender<T>>) -> Self {
        Self { links, has_lost: false }
    }

    /// The most records that travel in one frame on every link; 1 when there is no link.
    #[must_use]
    pub fn frame_capacity(&self) -> usize {
        self.links.iter().map(Sender::frame_capacity).min().unwrap_or(1)
    }

    /// See [`Sender::send`].
    ///
    /// # Errors
    /// The first link's error, after all links were served.
    pub fn send(&mut self, records: &[T]) -> Result<(), SendError> {
        self.each(|link| link.send(records))
    }

    /// See [`Sender::feed`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn feed(&mut self, records: &[T]) -> Result<(), SendError> {
        self.each(|link| link.feed(records))
    }

    /// See [`Sender::flush`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn flush(&mut self) -> Result<(), SendError> {
        self.each(Sender::flush)
    }

    /// See [`Sender::finish`]: every link that is left gets its end of stream.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn finish(self) -> Result<(), SendError> {
        self.links.into_iter().map(Sender::finish).fold(Ok(()), Result::and)
    }

    /// See [`Sender::count`]: what was fed to the links, all of which got the same.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.links.iter().map(Sender::count).max().unwrap_or(0)
    }

    /// See [`Sender::digest`].
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.links.iter().max_by_key(|link| link.count()).map_or(0, Sender::digest)
    }

    fn each(&mut self, mut call: impl FnMut(&mut Sender<T>) -> Result<(), SendError>) -> Result<(), SendError> {
        if self.links.is_empty() && self.has_lost {
            return Err(SendError::disconnected("every link of the fan-out"));
        }
        let mut result = Ok(());
        self.links.retain_mut(|link| {
            let answer = call(link);
            let alive = answer.is_ok();
            self.has_lost |= !alive;
            if result.is_ok() {
                result = answer;
            }
            alive
        });
        result
    }
}
