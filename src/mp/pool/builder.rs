//! What can be said of a pool before its workers are started.

use std::marker::PhantomData;
use std::num::{NonZeroU64, NonZeroUsize};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::mp::pool::collector::Shared;
use crate::mp::pool::{Options, Pool};
use crate::mp::task::{Args, Task};
use crate::mp::{Error, Result, wire};
use crate::sys::fd;

/// The most workers that a pool may have, because each of them is a process.
pub const MOST_WORKERS: usize = 4096;

/// Descriptors that a worker takes of this process: two sockets, two pidfds, its notes, and the copy of a socket.
const PER_WORKER: u64 = 6;

/// Refuses a number of workers that there can never be, before any of them is started.
pub(super) fn check(workers: usize) -> Result<()> {
    if workers > MOST_WORKERS {
        let why = format!("a pool of {workers} workers: {MOST_WORKERS} are the most, for each of them is a process");
        return Err(Error::Refused(why));
    }
    let (needed, limit) = (workers as u64 * PER_WORKER, fd::limit());
    if needed > limit {
        let why = format!("it takes {needed} descriptors, and this process may have {limit}");
        let error = crate::Error::refused("cannot start", format!("a pool of {workers} workers"), why);
        return Err(error.hint(fd::RAISE_LIMIT).into());
    }
    Ok(())
}

/// A pool before its start; made by [`Pool::new`].
#[must_use = "nothing is started before build"]
#[derive(Debug)]
pub struct PoolBuilder<A, R> {
    options: Options,
    workers: Option<NonZeroUsize>,
    flaw: Option<Error>,
    types: PhantomData<fn(A) -> R>,
}

impl<A, R> PoolBuilder<A, R> {
    pub(super) fn new(task: Task<A, R>) -> Self {
        let options = Options {
            task: task.name(),
            first: None,
            name: "PoolWorker".to_owned(),
            timeout: None,
            retries: 0,
            max_jobs: None,
            chunk: None,
            own_groups: false,
            output: None,
        };
        Self { options, workers: None, flaw: None, types: PhantomData }
    }

    /// How many processes work, from 1 to [`MOST_WORKERS`]; one for each CPU that this process may use if it is not said.
    /// More than CPUs are of use only for jobs that wait.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = NonZeroUsize::new(workers);
        if workers == 0 {
            self.flaw = Some(Error::Refused("a pool of 0 workers would do nothing".to_owned()));
        }
        self
    }

    /// What the workers are called, in ps(1) too: NAME-1 and so on. PoolWorker if it is not said.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = name.into();
        self
    }

    /// How long one try of a job may take. Then its worker is killed and replaced, and the job is [`Error::TimedOut`]. With
    /// a timeout, jobs are given to workers one by one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// How often a job is tried again that panicked, took too long, or whose worker died. 0 if it is not said.
    pub fn retries(mut self, retries: u32) -> Self {
        self.options.retries = retries;
        self
    }

    /// How many jobs a worker does before a new one takes its place, as a cure for tasks that leak.
    pub fn max_jobs(mut self, jobs: NonZeroU64) -> Self {
        self.options.max_jobs = Some(jobs);
        self
    }

    /// How many jobs are sent to a worker at once. If it is not said: one of those that take long, and so many of short
    /// ones that they take half a millisecond.
    pub fn chunk(mut self, jobs: NonZeroUsize) -> Self {
        self.options.chunk = Some(jobs);
        self
    }

    /// True: each worker leads a process group of its own, so that Ctrl-C at the terminal of this process is not meant for
    /// it.
    pub fn own_groups(mut self, are_wanted: bool) -> Self {
        self.options.own_groups = are_wanted;
        self
    }

    /// Where the standard output and standard error of all workers go, instead of where those of this process go.
    pub fn output(mut self, to: OwnedFd) -> Self {
        self.options.output = Some(Arc::new(to));
        self
    }

    /// A task that every worker runs before its first job, say to load a model. What it returns is dropped; if it panics,
    /// the worker ends.
    pub fn initializer<B: Serialize, S>(mut self, task: Task<B, S>, args: impl Args<B>) -> Self {
        let mut bytes = Vec::new();
        match wire::encode(&args.into_task_args(), &mut bytes) {
            Ok(()) => self.options.first = Some((task.name().to_owned(), bytes)),
            Err(error) => self.flaw = Some(error),
        }
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// When they cannot be started, or there are to be none or more than [`MOST_WORKERS`]. For too many by the limit on
    /// descriptors none is started; where the limit on processes is met, those that were started are ended again.
    pub fn build(self) -> Result<Pool<A, R>> {
        if let Some(flaw) = self.flaw {
            return Err(flaw);
        }
        let cpus = || thread::available_parallelism().map_or(1, |cpus| cpus.get().min(MOST_WORKERS));
        let workers = self.workers.map_or_else(cpus, NonZeroUsize::get);
        check(workers)?;
        let (shared, collector) = Shared::start(self.options, workers)?;
        Ok(Pool { shared, collector: Some(collector), types: PhantomData })
    }
}
