//! Messages of any length over links of small records: a head that says what follows, and the bytes in steps of eight.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::channel::{Received, Receiver, RecvError, SendError, Sender};
use crate::count::Seams;
use crate::record::Record;

/// Eight bytes of a message.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(transparent)]
pub(super) struct Eight([u8; 8]);

impl Record for Eight {
    const TAG: u16 = 0x3865;
}

/// What stands before the bytes of a message.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Head {
    /// One of those below.
    pub(super) kind: u64,
    /// Bytes that follow.
    length: u64,
    /// Where a piece begins.
    pub(super) start: u64,
    /// Where a part ends.
    pub(super) end: u64,
}

/// A worker is at its place.
pub(super) const READY: u64 = 1;
/// A part of the file, to be counted by whoever has it open.
pub(super) const PART: u64 = 2;
/// A piece of the text, whose bytes follow.
pub(super) const PIECE: u64 = 3;
/// A piece was counted: [`Counted`].
pub(super) const COUNTED: u64 = 4;
/// A worker cannot go on: why, as text.
pub(super) const FAULT: u64 = 5;
/// All that a worker found: [`super::Report`].
pub(super) const REPORT: u64 = 6;

/// What a worker says about a piece.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Counted {
    pub(super) seams: Seams,
    /// Where the smallest invalid sequence begins that this worker has met: what comes after it need not be counted.
    pub(super) invalid: Option<u64>,
}

/// The writing end.
#[derive(Debug)]
pub(super) struct Post(pub(super) Sender<Eight>);

impl Post {
    pub(super) fn send(&mut self, kind: u64, place: [u64; 2], bytes: &[u8]) -> Result<(), SendError> {
        let [start, end] = place;
        let head = Head { kind, length: bytes.len() as u64, start, end };
        self.0.feed(eights(head.as_bytes()))?;
        let (whole, rest) = bytes.split_at(bytes.len() / 8 * 8);
        self.0.feed(eights(whole))?;
        if !rest.is_empty() {
            let mut last = Eight([0; 8]);
            last.0[..rest.len()].copy_from_slice(rest);
            self.0.feed(&[last])?;
        }
        self.0.flush()
    }

    /// Sends `value` as JSON.
    pub(super) fn tell(&mut self, kind: u64, value: &impl Serialize) -> Result<(), SendError> {
        // Maps here have numbers, characters and words for keys, all of which JSON takes.
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        self.send(kind, [0; 2], &bytes)
    }
}

/// Bytes whose number is a multiple of eight, as records.
fn eights(bytes: &[u8]) -> &[Eight] {
    <[Eight]>::ref_from_bytes(bytes).unwrap_or_default()
}

/// The reading end.
#[derive(Debug)]
pub(super) struct Inbox {
    from: Receiver<Eight>,
    /// What came beyond the last message.
    waiting: Vec<u8>,
}

/// How long a wait lasts before the question whether there is anybody to wait for.
const PATIENCE: Duration = Duration::from_millis(100);

impl Inbox {
    pub(super) fn new(from: Receiver<Eight>) -> Self {
        Self { from, waiting: Vec::new() }
    }

    /// The next message, its bytes in `bytes`; None after the end of the stream, or when `is_alone` says that nobody is
    /// there to send one.
    pub(super) fn next(&mut self, bytes: &mut Vec<u8>, is_alone: impl Fn() -> bool) -> Result<Option<Head>, RecvError> {
        let mut head = Head::new_zeroed();
        if !self.fill(size_of::<Head>(), &is_alone)? {
            return Ok(None);
        }
        head.as_mut_bytes().copy_from_slice(&self.waiting[..size_of::<Head>()]);
        self.waiting.drain(..size_of::<Head>());
        let length = head.length as usize;
        if !self.fill(length.next_multiple_of(8), &is_alone)? {
            return Ok(None);
        }
        bytes.clear();
        bytes.extend_from_slice(&self.waiting[..length]);
        self.waiting.drain(..length.next_multiple_of(8));
        Ok(Some(head))
    }

    /// Waits until `wanted` bytes are there; false if they never will be.
    fn fill(&mut self, wanted: usize, is_alone: &impl Fn() -> bool) -> Result<bool, RecvError> {
        while self.waiting.len() < wanted {
            // Asked before the look, so that the last words of whoever has gone are heard.
            let last = is_alone();
            match self.from.recv_timeout(if last { Duration::ZERO } else { PATIENCE })? {
                Received::Batch(batch) => self.waiting.extend_from_slice(batch.as_bytes()),
                Received::End => return Ok(false),
                Received::TimedOut if last => return Ok(false),
                Received::TimedOut => {}
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Backend, Geometry, Run};

    #[test]
    fn messages_of_any_length_arrive_as_they_were_sent() {
        for backend in Backend::ALL {
            let mut run = Run::new();
            let link = run.link(backend, "post", Geometry::small()).unwrap();
            let mut post = Post(link.sender.attach_sender().unwrap());
            let mut inbox = Inbox::new(link.receiver.attach_receiver().unwrap());
            run.release();
            run.unlink();
            let texts: Vec<Vec<u8>> = [0, 1, 7, 8, 9, 63, 300_000].map(|length| vec![b'x'; length]).to_vec();
            let sent = texts.clone();
            let sender = std::thread::spawn(move || {
                for text in &sent {
                    post.send(PIECE, [text.len() as u64, 2], text).unwrap();
                }
                post.0.finish().unwrap();
            });
            let mut bytes = Vec::new();
            for text in &texts {
                let head = inbox.next(&mut bytes, || false).unwrap().unwrap();
                assert_eq!((head.kind, head.start, head.end, &bytes), (PIECE, text.len() as u64, 2, text));
            }
            assert!(inbox.next(&mut bytes, || false).unwrap().is_none());
            sender.join().unwrap();
        }
    }
}
