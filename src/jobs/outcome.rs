//! What a job is, and what came of it.

use std::ffi::OsString;
use std::time::{Duration, SystemTime};

use super::capture::Output;
use crate::Error;
use crate::sys::child::{Status, Usage};

/// One input with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its place among all inputs, from 1 on.
    pub seq: u64,
    /// What stands in the place of `{}`.
    pub input: OsString,
}

/// How a job ended.
#[derive(Debug)]
pub enum End {
    /// By itself, or by a signal of somebody else.
    Ended(Status),
    /// It took too long, and was ended with this status.
    TimedOut(Status),
    /// It was ended, or not even started, because nobody wants it any more.
    Cancelled,
    /// It could not be started.
    Refused(Error),
}

/// A job that is over.
#[derive(Debug)]
pub struct Outcome {
    /// Which one.
    pub job: Job,
    /// The place that it had among those that ran at once, from 1 on.
    pub slot: usize,
    /// The process id of its first process, the last time; None if it was never started.
    pub pid: Option<u32>,
    /// How often it was started.
    pub attempts: u32,
    /// When it was started, the last time.
    pub started: SystemTime,
    /// How long it took, the last time.
    pub elapsed: Duration,
    /// How it ended, the last time.
    pub end: End,
    /// What its first process used, and those that it has waited for.
    pub usage: Usage,
    /// What it wrote to standard output, the last time.
    pub stdout: Output,
    /// What it wrote to standard error, the last time.
    pub stderr: Output,
    /// Somebody in its process group survived SIGKILL.
    pub has_survivors: bool,
}

impl Outcome {
    /// True if it did what it was to do.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        matches!(self.end, End::Ended(Status::Exited(0)))
    }

    /// True if it ended, and not as it was to.
    #[must_use]
    pub fn failed(&self) -> bool {
        !self.succeeded() && !matches!(self.end, End::Cancelled)
    }

    /// The exit status that a job which could not be started has in a shell: 127 if there is no such program, else 126.
    #[must_use]
    pub fn refusal_status(error: &Error) -> i32 {
        if error.raw_os_error() == Some(super::template::ENOENT) { 127 } else { 126 }
    }
}

/// News of a job that runs for long; short ones are not worth a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The process with this pid has led a job for 100 ms. Until the next turn nobody else can have its number.
    Long(u32),
    /// The job that it led is over.
    Over(u32),
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Jobs that succeeded.
    pub succeeded: u64,
    /// Jobs that failed, with all their retries.
    pub failed: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Attempts that took too long.
    pub timed_out: u64,
    /// Attempts after the first one of a job.
    pub retried: u64,
    /// CPU time of all attempts.
    pub cpu: Duration,
    /// Elapsed time of all attempts together.
    pub busy: Duration,
}

impl Statistics {
    /// Jobs that are over.
    #[must_use]
    pub fn over(&self) -> u64 {
        self.succeeded + self.failed + self.cancelled
    }

    pub(super) fn count(&mut self, outcome: &Outcome) {
        match &outcome.end {
            End::Cancelled => self.cancelled += 1,
            _ if outcome.succeeded() => self.succeeded += 1,
            _ => self.failed += 1,
        }
    }
}
