//! Counting one text with several processes, which get their work and hand in what they found over the links of
//! [`channel`](crate::channel): what a process and each mechanism cost, beside threads that do the same work.
//!
//! ```text
//! lead: next piece --work-N--> worker: counts it --result-N--> lead: seams, and at the end the tally
//! ```
//!
//! Each worker has a link for its work, one for its results, and a thread of the lead that serves it. One piece is with a
//! worker at a time, so neither side ever waits to write while the other one does. What is found is what
//! [`count`](crate::count::count) finds: the same counters, seams and tallies are at work.
//!
//! [`count()`] is the lead; [`Worker`] is the other side, for the program that the lead starts.

mod crew;
mod lead;
mod roster;
mod text;
mod wire;
mod worker;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::channel::Backend;
use crate::count::{self, Io, Kernel};

pub use lead::count;
pub use text::Text;
pub use worker::{Station, Worker};

/// How the bytes of a text get to the workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Feed {
    /// They read them: the lead opens the file, and its descriptor is their standard input. What is no regular file is
    /// streamed all the same.
    #[default]
    Path,
    /// The lead reads them and sends them over the backend.
    Stream,
}

impl Feed {
    /// The name that a person types.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Stream => "stream",
        }
    }
}

impl std::str::FromStr for Feed {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = [Self::Path, Self::Stream].into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| Error::refused("cannot feed workers by", name, "there is no way of that name"))
    }
}

/// How a text is counted; nothing here changes what is found.
#[derive(Clone, Debug)]
pub struct Options {
    /// Processes that count; None for one if the text is shorter than 16 MiB, else one for each CPU that this process may
    /// use, but no more than there are pieces.
    pub workers: Option<NonZeroUsize>,
    /// What carries work and results.
    pub backend: Backend,
    /// How bytes get to the workers.
    pub feed: Feed,
    /// Bytes of a piece; None for 4 MiB of a file, or less if that leaves a worker without any, and 256 KiB of a stream.
    pub piece: Option<NonZeroUsize>,
    /// The program that is a worker, and what it is told; [`Station::to_args`] follows.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// A count, and how it came about.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// As with threads; its workers are processes.
    pub of_text: count::Outcome,
    /// What each worker used, in the order of their numbers.
    pub used: Vec<Used>,
    /// What a person should know that is no failure.
    pub remark: Option<String>,
}

/// What a worker used in its life, by its own account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub sys: Duration,
    /// The largest resident set, in KiB.
    pub max_rss_kib: u64,
    /// Its anonymous part when all was counted, in KiB.
    pub anonymous_kib: u64,
}

/// What a worker hands in when there is no more work.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    tally: count::Tally,
    kernel: String,
    io: String,
    used: Used,
}

impl Report {
    fn kernel(&self) -> Kernel {
        self.kernel.parse().unwrap_or_default()
    }

    fn io(&self) -> Io {
        self.io.parse().unwrap_or_default()
    }
}
