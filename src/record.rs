//! What travels over a link: records of fixed size, and the two kinds the pipeline uses.
//!
//! Everything here is pure: no file, clock or process is touched.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A value of fixed size that may cross a link between two processes of one machine.
///
/// The bytes travel as they lie in memory: both ends run on the same machine, so there is no
/// byte order to agree on. The zerocopy traits prove that every bit pattern is a valid value and
/// that the type has no padding and no pointers.
///
/// A record has from 8 to [`MAX_SIZE`](Self::MAX_SIZE) bytes, in multiples of 8, and is aligned to at most 8; any other type
/// does not compile when a link is attached for it. The derives come from the crate zerocopy, version 0.8, with its
/// feature `derive`.
///
/// ```
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
/// #[repr(C)]
/// struct Position { x: f64, y: f64 }
///
/// impl ipcpipe::record::Record for Position { const TAG: u16 = 0x706f; }
/// ```
pub trait Record: Copy + FromBytes + IntoBytes + Immutable + 'static {
    /// A number that names the type on the wire; a receiver refuses frames with another one.
    const TAG: u16;

    /// The largest record a link carries, in bytes: one must fit the smallest message queue that
    /// a link falls back to.
    const MAX_SIZE: usize = 128;
}

/// One sample of the converter: its value. Sequence number and send time are the frame's
/// (see [`Batch`](crate::channel::Batch)), so that a sample costs 8 bytes.
pub type Sample = f64;

impl Record for Sample {
    const TAG: u16 = 1;
}

/// What `stat` knows after some number of samples.
///
/// While `count` is 0 every other number is 0 and means nothing; [`Statistics::is_empty`] tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Statistics {
    /// How many samples were folded in.
    pub count: u64,
    /// Their sum, compensated: exact while it and every sample are integers below 2^53.
    pub sum: f64,
    /// Their arithmetic mean.
    pub mean: f64,
    /// The smallest sample.
    pub min: f64,
    /// The largest sample.
    pub max: f64,
    /// The standard deviation of the population (divided by `count`).
    pub stddev: f64,
    /// The newest sample.
    pub last: f64,
    /// When the frame of the newest sample was sent: nanoseconds of CLOCK_MONOTONIC.
    pub sent_ns: u64,
}

impl Statistics {
    /// True while no sample has been folded in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Record for Statistics {
    const TAG: u16 = 2;
}
