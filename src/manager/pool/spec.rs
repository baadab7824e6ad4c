//! How a pool is to work: everything that `create pool` was told, and the same as words again.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use crate::manager::name::Name;
use crate::manager::spec::duration_text;
use crate::tasks::Builtin;

/// The most workers of a pool: each takes a process and half a dozen descriptors of the manager.
pub const MOST_WORKERS: usize = 256;

/// A pool of workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSpec {
    /// What it is called.
    pub name: Name,
    /// What is done for each job.
    pub work: Work,
    /// How many jobs are done at a time, from 1 to [`MOST_WORKERS`].
    pub workers: usize,
    /// How long one try of a job may take; pauses do not count.
    pub timeout: Option<Duration>,
    /// How often a job is tried again that took too long, or whose process failed.
    pub retries: u32,
    /// Jobs after which a worker is replaced by a new one.
    pub max_jobs: Option<NonZeroU64>,
    /// Directory in which commands run; the manager's own if None.
    pub cwd: Option<PathBuf>,
}

/// What a pool does for each job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// A built-in task in worker processes of this program.
    Task(Builtin),
    /// A command line, in which `{}` stands for the argument of the job.
    Command(Vec<OsString>),
}

impl PoolSpec {
    /// The command that creates this pool, from `create` on.
    #[must_use]
    pub fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["create".into(), "pool".into(), self.name.as_str().into()];
        words.push(format!("--workers={}", self.workers).into());
        if let Some(timeout) = self.timeout {
            words.push(format!("--timeout={}", duration_text(timeout)).into());
        }
        if self.retries > 0 {
            words.push(format!("--retries={}", self.retries).into());
        }
        if let Some(jobs) = self.max_jobs {
            words.push(format!("--max-jobs={jobs}").into());
        }
        if let Some(cwd) = &self.cwd {
            let mut word = OsString::from("--cwd=");
            word.push(cwd);
            words.push(word);
        }
        match &self.work {
            Work::Task(task) => words.push(format!("--task={}", task.name()).into()),
            Work::Command(command) => {
                words.push("--".into());
                words.extend(command.iter().cloned());
            }
        }
        words
    }
}

impl Work {
    /// What is done, as it is shown.
    #[must_use]
    pub fn words(&self) -> Vec<OsString> {
        match self {
            Self::Task(task) => vec![task.name().into()],
            Self::Command(words) => words.clone(),
        }
    }
}
