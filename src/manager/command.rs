//! What a manager can be told to do. Pure: the text of a command line becomes a [`Command`] in the program, which has
//! one grammar for every surface.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::manager::pool::Order;
use crate::manager::pool::spec::PoolSpec;
use crate::manager::spec::{ProcessSpec, ThreadSpec};

/// One command to a manager.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Create a process and start it as soon as what it comes after allows.
    CreateProcess(Box<ProcessSpec>),
    /// Create a thread of the manager.
    CreateThread(ThreadSpec),
    /// Create a pool; answered when its workers are there.
    CreatePool(Box<PoolSpec>),
    /// Give jobs to a pool; answered at once.
    Submit(Submission),
    /// The results of batches of a pool; answered when those are done that are pending now.
    Results {
        /// Which pool, or which batch of it.
        target: BatchTarget,
        /// The order of the results in a batch.
        order: Order,
        /// Forget what was shown.
        pop: bool,
    },
    /// Call off jobs that are not done; answered when they have ended.
    Cancel(Vec<BatchTarget>),
    /// Set the number of workers of a pool.
    Resize {
        /// Which.
        pool: Selector,
        /// How many.
        workers: NonZeroUsize,
    },
    /// One row for each batch that is kept.
    ListBatches,
    /// Pause; answered when every process of the target is stopped, or the thread is parked.
    Pause(Targets),
    /// Let go on what was paused.
    Resume(Targets),
    /// End; answered when the whole process tree is gone, or the thread has returned.
    Terminate {
        /// Whom.
        targets: Targets,
        /// Time between the stop signal and SIGKILL, instead of the target's own.
        grace: Option<Duration>,
    },
    /// SIGKILL at once to the whole process tree.
    Kill(Targets),
    /// End and start again. One that is under way already is joined.
    Restart(Targets),
    /// Send one signal to the process group.
    Signal {
        /// Its number.
        signal: i32,
        /// Whom.
        targets: Targets,
    },
    /// Answered when all targets have ended.
    Wait {
        /// Whom.
        targets: Targets,
        /// How long to wait at most.
        timeout: Option<Duration>,
    },
    /// One row for each process and thread, or for those of one kind.
    List(Option<Kind>),
    /// Everything about one target.
    Show(Targets),
    /// What a target wrote.
    Logs {
        /// Whose.
        targets: Targets,
        /// Go on with what it writes from now on, until it ends or the client stops.
        follow: bool,
        /// So many lines of the past at most; None: all that are kept.
        lines: Option<usize>,
    },
    /// What happened, oldest first.
    Events {
        /// Go on with what happens from now on, until the client stops.
        follow: bool,
        /// So many events of the past at most; None: all that are kept.
        lines: Option<usize>,
    },
    /// Every transition of a target with its cause.
    Why(Targets),
    /// The live state as commands that rebuild it.
    Save,
    /// Remove targets that have ended from the list, with their output.
    Forget(Targets),
    /// Names of live processes and threads, for completion.
    Names,
    /// Take no new work, wait for what is no daemon, stop the daemons, end.
    Quit {
        /// After this time, as [`Command::Exit`].
        timeout: Option<Duration>,
    },
    /// As quit, and drop what is stored.
    Clear,
    /// Stop everything now and end.
    Exit,
}

impl Command {
    /// True if its answers are all that comes of it.
    pub(crate) fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::List(_)
                | Self::Show(_)
                | Self::Why(_)
                | Self::Save
                | Self::Names
                | Self::Logs { .. }
                | Self::Events { .. }
                | Self::Wait { .. }
                | Self::ListBatches
                | Self::Results { pop: false, .. }
        )
    }
}

/// What a name can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A process group with a real command line.
    Process,
    /// A cooperative thread of the manager.
    Thread,
    /// Workers that share out jobs.
    Pool,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Process => "process",
            Kind::Thread => "thread",
            Kind::Pool => "pool",
        }
    }
}

/// Jobs for a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Which pool.
    pub pool: Selector,
    /// The argument of each job.
    pub args: Vec<OsString>,
    /// One job, in a process of its own.
    pub single: bool,
    /// A batch that this client has left open, to add the jobs to; a new one if None.
    pub batch: Option<u64>,
    /// The same client has more jobs for this batch.
    pub more: bool,
}

/// A pool, or one batch of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchTarget {
    /// The pool.
    pub pool: Selector,
    /// The batch; all of the pool if None.
    pub batch: Option<u64>,
}

impl BatchTarget {
    /// Reads `POOL` or `POOL/N`. Names of pools hold no slash.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let parts = text.rsplit_once('/').filter(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
        match parts.and_then(|(pool, number)| Some((pool, number.parse().ok()?))) {
            Some((pool, batch)) => Self { pool: Selector::parse(pool), batch: Some(batch) },
            None => Self { pool: Selector::parse(text), batch: None },
        }
    }
}

/// Whom a command is meant for: any that one of the selectors picks, of one kind or of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Only this kind.
    pub kind: Option<Kind>,
    /// What was typed, at least one.
    pub select: Vec<Selector>,
}

/// One target as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// `all`.
    All,
    /// `#7`, the ID that `list` shows.
    Id(u64),
    /// `4711`: a process id or thread id.
    Number(u32),
    /// A pattern: `*` stands for any text, `?` for one character, `[a-c]` for one of a set.
    Glob(String),
    /// A name.
    Name(String),
}

impl Selector {
    /// Reads one target. Every text is one: what is no ID, number or pattern is a name, be there such a one or not.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if text == "all" {
            return Self::All;
        }
        if let Some(id) = text.strip_prefix('#').filter(|id| digits(id)).and_then(|id| id.parse().ok()) {
            return Self::Id(id);
        }
        match text.parse() {
            Ok(number) if digits(text) => Self::Number(number),
            _ if text.contains(['*', '?', '[']) => Self::Glob(text.to_owned()),
            _ => Self::Name(text.to_owned()),
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Id(id) => write!(f, "#{id}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Glob(text) | Self::Name(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_all_an_id_a_number_a_pattern_or_a_name() {
        let read = ["all", "#7", "4711", "web-*", "p1", "#x", "99999999999", ""].map(Selector::parse);
        let name = |text: &str| Selector::Name(text.into());
        let glob = Selector::Glob("web-*".into());
        let expected = [
            Selector::All,
            Selector::Id(7),
            Selector::Number(4711),
            glob,
            name("p1"),
            name("#x"),
            name("99999999999"),
            name(""),
        ];
        assert_eq!(read, expected);
    }
}
