//! A pool of processes that run one task for many arguments.

mod batch;
mod builder;
mod collector;
mod control;
mod crew;
mod imap;
mod outcome;
mod protocol;
mod state;
mod stats;
mod worker;

use std::marker::PhantomData;
use std::num::{NonZeroU64, NonZeroUsize};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::mp::Result;
use crate::mp::task::{Args, Task};

pub use batch::{AsCompleted, Batch, Job, as_completed};
pub use builder::{MOST_WORKERS, PoolBuilder};
use collector::{Happened, Shared};
pub use control::{Departure, PoolNews};
pub use imap::{Imap, ImapUnordered};
use outcome::Jobs;
pub use stats::WorkerStats;

/// Worker processes that run one task for many arguments. `A` is the tuple of arguments and `R` the result.
///
/// A job that panics, times out or kills its worker is an `Err` in its place and touches no other job: the worker is
/// replaced, and what it had not begun goes to others. Jobs can be given until [`close`](Pool::close), from any thread.
/// **Dropping the pool ends it at once**, as [`stop`](Pool::stop) does.
///
/// ```standalone_crate
/// use ipcpipe::mp::Pool;
/// use ipcpipe::task;
///
/// fn sum_all_values(n: u64) -> u64 {
///     (1..=n).sum()
/// }
///
/// fn main() -> ipcpipe::mp::Result<()> {
///     ipcpipe::init();
///     let pool = Pool::new(task!(sum_all_values)).workers(2).build()?;
///     for (n, sum) in (10_000..10_010).zip(pool.map(10_000..10_010)) {
///         println!("{n}: {}", sum?);
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Pool<A, R> {
    shared: Arc<Shared>,
    collector: Option<JoinHandle<()>>,
    types: PhantomData<fn(A) -> R>,
}

/// How a pool works; made by [`PoolBuilder`].
#[derive(Clone, Debug)]
struct Options {
    task: &'static str,
    /// What each worker runs before its first job: a task and its arguments.
    first: Option<(String, Vec<u8>)>,
    name: String,
    timeout: Option<Duration>,
    retries: u32,
    max_jobs: Option<NonZeroU64>,
    chunk: Option<NonZeroUsize>,
    /// Each worker leads a process group.
    own_groups: bool,
    /// Where the output of workers goes.
    output: Option<Arc<OwnedFd>>,
}

impl<A, R> Pool<A, R> {
    /// A pool of processes that run `task`, still to be built.
    #[allow(clippy::new_ret_no_self, reason = "a pool starts processes, so there is more to say before it is made")]
    pub fn new(task: Task<A, R>) -> PoolBuilder<A, R> {
        PoolBuilder::new(task)
    }

    /// How many workers it has, or will have as soon as those are replaced that died.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shared.lock().wanted
    }

    /// Sets the number of workers. New ones are started at once; of too many, those leave that have nothing to do, and the
    /// others after the job that they are doing.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::mp::Error::Refused) for more than [`MOST_WORKERS`], and
    /// [`Error::System`](crate::mp::Error::System) for more than there can be descriptors for. The number stays as it was.
    pub fn resize(&self, workers: NonZeroUsize) -> Result<()> {
        builder::check(workers.get())?;
        self.shared.resize(workers.get());
        Ok(())
    }

    /// What each worker has done so far.
    #[must_use]
    pub fn stats(&self) -> Vec<WorkerStats> {
        self.shared.stats()
    }

    /// How many jobs are waiting or being done.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.shared.lock().pending()
    }

    /// Takes no more jobs. Those that were given are done, and then the workers end.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Waits until all jobs are done and all workers have ended. Closes the pool.
    pub fn join(mut self) {
        self.resume();
        self.close();
        self.wait_for_collector();
    }

    /// Ends all workers at once. Jobs that are not done are [`Error::Cancelled`](crate::mp::Error::Cancelled).
    pub fn stop(mut self) {
        self.shared.stop();
        self.wait_for_collector();
    }

    fn wait_for_collector(&mut self) {
        if let Some(collector) = self.collector.take() {
            // It ends by itself, and a panic in it has been told on standard error.
            let _ = collector.join();
        }
    }
}

impl<A: Serialize, R: DeserializeOwned> Pool<A, R> {
    /// Runs the task for each of `items`, and gives the results in the order of the items when all are there. An item is
    /// the tuple of the arguments, or the one argument itself. Small jobs are sent to workers many at a time.
    ///
    /// After [`close`](Self::close) all of them are [`Error::Closed`](crate::mp::Error::Closed).
    pub fn map<I: Args<A>>(&self, items: impl IntoIterator<Item = I>) -> Vec<Result<R>> {
        let mut count = 0;
        let items = items.into_iter().inspect(|_| count += 1);
        match self.batch(items) {
            Ok(batch) => batch.results(),
            Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
        }
    }

    /// [`map`](Self::map) that gives each result as soon as it and all before it are there. The items are asked for as
    /// workers get free, so there may be endlessly many.
    pub fn imap<I, T>(&self, items: T) -> Imap<'_, A, R, T::IntoIter>
    where
        I: Args<A>,
        T: IntoIterator<Item = I>,
    {
        Imap::new(self, items.into_iter())
    }

    /// [`imap`](Self::imap) that gives results in the order in which they come, each with the number of its item.
    pub fn imap_unordered<I, T>(&self, items: T) -> ImapUnordered<'_, A, R, T::IntoIter>
    where
        I: Args<A>,
        T: IntoIterator<Item = I>,
    {
        ImapUnordered::new(self, items.into_iter())
    }

    /// Gives one job to the pool. It does not wait.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::mp::Error::Closed) after [`close`](Self::close), [`Error::Codec`](crate::mp::Error::Codec) for arguments that cannot be serialised.
    pub fn submit(&self, args: impl Args<A>) -> Result<Job<R>> {
        Ok(Job::new(self.batch([args])?))
    }

    /// Gives many jobs to the pool as one batch. It does not wait.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn batch<I: Args<A>>(&self, items: impl IntoIterator<Item = I>) -> Result<Batch<R>> {
        let jobs = Arc::new(Jobs::new(self.shared.next_id(), items.into_iter().map(Args::into_task_args))?);
        self.shared.submit(&jobs)?;
        Ok(Batch::new(jobs, Arc::clone(&self.shared)))
    }

    /// Has `callback` called with each job that is done from now on: its batch, its place there, and its result. It is
    /// called in a thread of the pool, one job at a time and in the order in which they are done; while it runs, no other
    /// result is taken in. It replaces the one before. If it panics, that is told on standard error, and it is called no more.
    pub fn on_done(&self, mut callback: impl FnMut(u64, usize, Result<R>) + Send + 'static) {
        self.shared.watch(Box::new(move |it| {
            if let Happened::Done(jobs, job, _) = it {
                callback(jobs.id, job, jobs.read(job));
            }
        }));
    }
}

impl<A, R> Drop for Pool<A, R> {
    fn drop(&mut self) {
        if self.collector.is_some() {
            self.shared.stop();
            self.wait_for_collector();
        }
    }
}
