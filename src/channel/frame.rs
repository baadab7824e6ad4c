//! Frames: a header of 40 bytes and a run of records. Pure: bytes in, frames out.

use std::ops::Range;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::digest::Digest;

/// The most bytes a frame has, header included. A count on the wire that asks for more is a fault, so
/// nothing is ever allocated by an unchecked length.
pub(crate) const MAX_FRAME: usize = 64 * 1024;

/// The size of a header in bytes.
pub(crate) const HEADER: usize = size_of::<Header>();

const MAGIC: u32 = u32::from_ne_bytes(*b"ipcp");
const VERSION: u8 = 1;

/// What stands before the records of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Header {
    magic: u32,
    version: u8,
    kind: u8,
    tag: u16,
    count: u32,
    check: u32,
    pub(crate) first_seq: u64,
    pub(crate) sent_ns: u64,
    digest: u64,
}

/// What a frame means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Data = 1,
    End = 2,
}

impl Header {
    /// The header of a frame of `count` records, with the digest of the stream up to their end.
    pub(crate) fn new(kind: Kind, tag: u16, count: u32, first_seq: u64, sent_ns: u64, digest: u64) -> Self {
        let mut header =
            Self { magic: MAGIC, version: VERSION, kind: kind as u8, tag, count, check: 0, first_seq, sent_ns, digest };
        header.check = header.sum();
        header
    }

    /// A checksum over the header itself, for the fields that the digest does not reach.
    fn sum(&self) -> u32 {
        let mut sum = Digest::new();
        sum.update(Self { check: 0, ..*self }.as_bytes());
        sum.value() as u32
    }
}

/// What the stream is made of and how far it has come: what the next frame has to agree with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) tag: u16,
    pub(crate) record_size: usize,
    pub(crate) next_seq: u64,
    pub(crate) digest: Digest,
}

impl Expected {
    pub(crate) fn start(tag: u16, record_size: usize) -> Self {
        Self { tag, record_size, next_seq: 1, digest: Digest::new() }
    }

    /// Checks a header and answers what the frame means and how many bytes of records follow it.
    fn check(&self, header: &Header) -> Result<(Kind, usize), String> {
        expect("magic number", MAGIC.into(), header.magic.into())?;
        expect("version", VERSION.into(), header.version.into())?;
        expect("checksum of the header", header.sum().into(), header.check.into())?;
        expect("type of record", self.tag.into(), header.tag.into())?;
        expect("sequence number", self.next_seq, header.first_seq)?;
        let kind = match header.kind {
            kind if kind == Kind::Data as u8 => Kind::Data,
            kind if kind == Kind::End as u8 => Kind::End,
            other => return Err(format!("kind of frame: expected 1 or 2, found {other}")),
        };
        let bytes = header.count as usize * self.record_size;
        if bytes > MAX_FRAME - HEADER {
            return Err(format!("size of frame: at most {MAX_FRAME} bytes, found {} records", header.count));
        }
        Ok((kind, bytes))
    }
}

fn expect(what: &str, expected: u64, found: u64) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what}: expected {expected}, found {found}")) }
}

/// A frame that lies whole in a [`FrameBuffer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) first_seq: u64,
    pub(crate) sent_ns: u64,
    /// Where its records lie in the buffer.
    pub(crate) records: Range<usize>,
}

/// Bytes as they arrive, in any pieces, on their way to being frames.
///
/// Its size is fixed: two frames, so that a whole one always fits behind the rest of another.
#[derive(Debug)]
pub(crate) struct FrameBuffer {
    /// Words, so that records lie aligned: headers and records are multiples of 8 bytes.
    storage: Vec<u64>,
    start: usize,
    end: usize,
    /// Bytes of the stream before `start`, to say where a fault lies.
    offset: u64,
}

const CAPACITY: usize = 2 * MAX_FRAME;

impl FrameBuffer {
    pub(crate) fn new() -> Self {
        Self { storage: vec![0; CAPACITY / size_of::<u64>()], start: 0, end: 0, offset: 0 }
    }

    /// Free space for the next bytes; never empty, and at least a whole frame once the whole frames in
    /// the buffer are taken.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if CAPACITY - self.end < MAX_FRAME {
            let kept = self.start..self.end;
            self.end = kept.len();
            self.start = 0;
            self.storage.as_mut_bytes().copy_within(kept, 0);
        }
        &mut self.storage.as_mut_bytes()[self.end..]
    }

    /// Says that `count` bytes were put into the space.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end += count;
    }

    /// True if the next whole frame, or a fault, can be had without more bytes.
    pub(crate) fn is_ready(&self, expected: &Expected) -> bool {
        match self.header() {
            None => false,
            Some(header) => expected.check(&header).map_or(true, |(_, bytes)| HEADER + bytes <= self.end - self.start),
        }
    }

    /// Takes the next frame if it is whole, and brings `expected` forward.
    pub(crate) fn next(&mut self, expected: &mut Expected) -> Result<Option<Frame>, String> {
        let Some(header) = self.header() else { return Ok(None) };
        let (kind, bytes) = expected.check(&header).map_err(|fault| self.locate(&fault))?;
        let records = self.start + HEADER..self.start + HEADER + bytes;
        if records.end > self.end {
            return Ok(None);
        }
        let mut digest = expected.digest;
        digest.update(self.bytes(&records));
        expect("digest of the records", digest.value(), header.digest).map_err(|fault| self.locate(&fault))?;
        expected.digest = digest;
        expected.next_seq += u64::from(header.count);
        self.take(&records);
        Ok(Some(Frame { kind, first_seq: header.first_seq, sent_ns: header.sent_ns, records }))
    }

    /// The bytes of a frame's records, until the next call that changes the buffer.
    pub(crate) fn bytes(&self, records: &Range<usize>) -> &[u8] {
        &self.storage.as_bytes()[records.clone()]
    }

    fn header(&self) -> Option<Header> {
        let bytes = &self.storage.as_bytes()[self.start..self.end];
        Header::read_from_prefix(bytes).ok().map(|(header, _)| header)
    }

    fn take(&mut self, records: &Range<usize>) {
        self.offset += (records.end - self.start) as u64;
        self.start = records.end;
        if self.start == self.end {
            // Nothing is copied: the frame just taken stays where it is until the space is filled again.
            (self.start, self.end) = (0, 0);
        }
    }

    fn locate(&self, fault: &str) -> String {
        format!("bad frame at byte {}: {fault}", self.offset)
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
