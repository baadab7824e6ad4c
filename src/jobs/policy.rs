//! How jobs are run.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Where the output of jobs goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// Into the [`Outcome`](super::Outcome).
    Captured,
    /// To standard output and standard error of this process, as it comes.
    Inherited,
}

/// How jobs are run.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How many run at once, at most.
    pub workers: NonZeroUsize,
    /// How often a job that fails is started again.
    pub retries: u32,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
    /// Time between SIGTERM and SIGKILL for one that is ended.
    pub grace: Duration,
    /// Where output goes.
    pub streams: Streams,
    /// Variables of every job besides those of this process.
    pub environment: Vec<(OsString, OsString)>,
}
