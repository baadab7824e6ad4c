//! What answers are made of: processes, threads, deeds, transitions, lines and events.

use serde::{Deserialize, Serialize};

use crate::manager::command::Kind;
use crate::manager::word::Word;

/// The state of a process or thread.
///
/// In JSON the word is in `status`; `code`, `signal` and `reason` stand beside it where there are such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Status {
    /// Not started yet: what it comes after has not happened.
    Waiting,
    /// Started, not ready yet.
    Starting,
    /// Runs.
    Running,
    /// Told to pause, and not everything of it is stopped yet.
    Pausing,
    /// Everything of it is stopped.
    Paused,
    /// A pool that does the jobs that it has, and takes no more.
    Closing,
    /// Told to end, and not everything of it is gone yet.
    Stopping,
    /// Ended, and will be started again.
    Backoff,
    /// Exited with a code.
    Exited {
        /// The exit status.
        code: i32,
    },
    /// Killed by a signal.
    Killed {
        /// Its name, `SIGTERM`.
        signal: String,
    },
    /// Will not run any more.
    Failed {
        /// Why.
        reason: String,
    },
    /// Gone, and nobody knows how it ended: it was not a child of this manager.
    Gone,
    /// A thread has done its task.
    Done,
    /// A thread was stopped before its task was done, or a pool was.
    Stopped,
    /// A thread's task panicked.
    Panicked,
}

impl Status {
    /// True if it will never run again by itself.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Exited { .. }
                | Self::Killed { .. }
                | Self::Failed { .. }
                | Self::Gone
                | Self::Done
                | Self::Stopped
                | Self::Panicked
        )
    }
}

/// A process as `list` and `show` tell of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessRow {
    /// Counts from 1 in a manager's life and is never used twice.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The process id, which is the process group's too; None while it has none.
    pub pid: Option<u32>,
    /// Its state.
    #[serde(flatten)]
    pub status: Status,
    /// Processes of its tree that live.
    pub processes: u32,
    /// Seconds since it was started, or from start to end.
    pub uptime_s: Option<f64>,
    /// CPU time of the tree in percent of one CPU, over the uptime.
    pub cpu_percent: Option<f64>,
    /// Resident memory of the tree in KiB; shared pages count for each.
    pub rss_kib: Option<u64>,
    /// Restarts so far.
    pub restarts: u32,
    /// Ends with the manager.
    pub daemon: bool,
    /// The command.
    pub command: Vec<Word>,
    /// What `show` adds; not there in `list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
}

/// What `show` tells of a process beyond `list`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// Process ids of the tree, its first process first.
    pub pids: Vec<u32>,
    /// Working directory.
    pub cwd: Option<Word>,
    /// Nanoseconds since the epoch at the last start.
    pub started_ns: Option<u64>,
    /// The restart policy, as it is typed.
    pub restart: String,
    /// The condition for readiness, as it is typed.
    pub ready: Option<String>,
    /// What it comes after, as it is typed.
    pub after: Vec<String>,
    /// Running time that is left, in seconds.
    pub timeout_left_s: Option<f64>,
    /// Seconds until the next restart.
    pub restart_in_s: Option<f64>,
    /// Grace in seconds.
    pub grace_s: f64,
    /// Name of the stop signal.
    pub stop_signal: String,
    /// What the service says of itself (`STATUS=` of sd_notify(3)).
    pub says: Option<String>,
    /// Bytes of output that are kept.
    pub output_bytes: u64,
    /// File that gets the output too.
    pub log_file: Option<Word>,
}

/// A thread as `list` and `show` tell of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadRow {
    /// Counts from 1 in a manager's life and is never used twice.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The kernel's thread id; None once it has ended.
    pub tid: Option<u32>,
    /// Its state.
    #[serde(flatten)]
    pub status: Status,
    /// Seconds since it was started, or from start to end.
    pub uptime_s: Option<f64>,
    /// CPU time in percent of one CPU, over the uptime.
    pub cpu_percent: Option<f64>,
    /// The task.
    pub command: Vec<Word>,
    /// What the task returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// What was done to one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deed {
    /// What.
    pub done: Done,
    /// To a process, a thread or a pool.
    pub kind: Kind,
    /// Its ID.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The process id or thread id, where it has or had one.
    pub pid: Option<u32>,
    /// Processes that were covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<f64>,
    /// The state after it.
    #[serde(flatten)]
    pub status: Status,
    /// What is worth adding, in a clause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The things that can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    /// It was created: started, or waiting for its turn.
    Created,
    /// All of it is stopped.
    Paused,
    /// It runs on.
    Resumed,
    /// It has ended, as was asked for.
    Ended,
    /// It ended and was started again.
    Restarted,
    /// It got a signal.
    Signalled,
    /// It has another number of workers.
    Resized,
    /// It has ended, and somebody waited for that; or, of a pool, all its jobs are done.
    Awaited,
    /// It is no longer in the list.
    Forgotten,
}

/// One transition of a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// Nanoseconds since the epoch.
    pub ts_ns: u64,
    /// Its name.
    pub name: String,
    /// The state it went to.
    #[serde(flatten)]
    pub status: Status,
    /// Why, in a clause: who asked, how it ended, which rule decided.
    pub cause: String,
    /// The process id or thread id at that time.
    pub pid: Option<u32>,
}

/// A line that a target wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputLine {
    /// Nanoseconds since the epoch when its last byte arrived.
    pub ts_ns: u64,
    /// Who wrote it.
    pub name: String,
    /// Where to.
    pub stream: Stream,
    /// The line without its newline; an array of bytes if it is no UTF-8.
    pub text: Word,
    /// Lines that were dropped before this one, because nobody read them in time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// True if the line goes on in the next one: lines are cut at 64 KiB, and at the end of the stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// The stream that a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Nanoseconds since the epoch.
    pub ts_ns: u64,
    /// How much it matters.
    pub level: Level,
    /// One word for what happened: `created`, `paused`, `exited`, ...
    pub event: String,
    /// Whom it is about; empty for the manager itself.
    pub target: String,
    /// The process id or thread id, where there is one.
    pub pid: Option<u32>,
    /// The same for a person, in one line.
    pub msg: String,
    /// Events that were dropped before this one, because nobody read them in time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As asked for.
    Info,
    /// Not asked for, and handled.
    Warning,
    /// Something was not carried out.
    Error,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
