//! What answers about pools are made of: pools, batches and results of jobs.

use serde::{Deserialize, Serialize};

use super::objects::Status;
use crate::manager::word::Word;

/// A pool as `list` and `show` tell of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolRow {
    /// Counts from 1 in a manager's life and is never used twice.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its state.
    #[serde(flatten)]
    pub status: Status,
    /// Jobs at a time.
    pub workers: usize,
    /// Jobs that wait or are being done.
    pub pending: u64,
    /// Jobs that are done, well or not, and whose results are kept.
    pub done: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those of them that were cancelled.
    pub cancelled: u64,
    /// Batches that are pending or kept.
    pub batches: u64,
    /// Workers that died and were replaced.
    pub replaced: u32,
    /// Seconds since it was started, or from start to end.
    pub uptime_s: f64,
    /// The task, or the command.
    pub command: Vec<Word>,
    /// Who works now; not there in `list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crew: Option<Vec<WorkerRow>>,
}

/// A process that works for a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRow {
    /// Its name.
    pub name: String,
    /// Its process id.
    pub pid: u32,
}

/// A batch: jobs that were submitted together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchRow {
    /// Its pool.
    pub pool: String,
    /// Its number: 0 for the first of the pool, and so on.
    pub batch: u64,
    /// How far it is.
    pub state: BatchState,
    /// Its jobs.
    pub jobs: u64,
    /// Those that are done, well or not.
    pub done: u64,
    /// Those that failed; a cancelled one did not.
    pub failed: u64,
    /// Those that were cancelled.
    pub cancelled: u64,
    /// Its one job has a process of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single: bool,
    /// Seconds since it was submitted, or until it was done.
    pub age_s: f64,
}

/// How far a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchState {
    /// Its jobs were taken.
    Submitted,
    /// Some of its jobs are not done.
    Pending,
    /// All are done.
    Done,
    /// It was cancelled, as was asked for.
    Cancelled,
}

/// The result of one job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobResult {
    /// Its pool.
    pub pool: String,
    /// Its batch.
    pub batch: u64,
    /// Its place in the batch, from 0 on.
    pub job: u64,
    /// Its argument.
    pub arg: Word,
    /// What came of it.
    #[serde(flatten)]
    pub end: JobEnd,
}

/// What came of one job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobEnd {
    /// It did what it was to do.
    pub ok: bool,
    /// What the task returned, or what the command wrote to standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Word>,
    /// What the command wrote to standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<Word>,
    /// Bytes of its output that are not kept: of each stream those after the first MiB, and all when the pool keeps 256 MiB.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// Why it failed, as a word for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Why it failed, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The worker that did it or failed at it; None if nobody had begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The process id of that worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// Why a job failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The task returned an error.
    Error,
    /// The task panicked.
    Panicked,
    /// The process exited, with a status other than 0 or before it had answered.
    Exited,
    /// A signal ended the process.
    Signalled,
    /// It took too long.
    TimedOut,
    /// It was called off.
    Cancelled,
    /// It could not be started.
    NotStarted,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
