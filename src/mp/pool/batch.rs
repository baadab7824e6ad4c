//! Jobs that were given to a pool, and their results when they come.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::mp::pool::collector::Shared;
use crate::mp::pool::outcome::Jobs;
use crate::mp::{Error, Result};
use crate::sys::wait;

/// Jobs that were given to a pool together. Dropping it lets them run, and forgets their results.
#[derive(Debug)]
pub struct Batch<R> {
    jobs: Arc<Jobs>,
    shared: Arc<Shared>,
    types: PhantomData<fn() -> R>,
}

impl<R> Batch<R> {
    pub(super) fn new(jobs: Arc<Jobs>, shared: Arc<Shared>) -> Self {
        Self { jobs, shared, types: PhantomData }
    }

    /// Its number: 0 for the first batch of a pool, and so on. A job that was given alone is a batch too.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.jobs.id
    }

    /// How many jobs it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// True if it has no jobs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of its jobs are done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.jobs.lock().done()
    }

    /// True if all its jobs are done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.jobs.lock().all_are_done()
    }

    /// Waits until all its jobs are done, at most `timeout` long (None: for ever); true if they are.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        if timeout != Some(Duration::ZERO) {
            self.shared.look_for(|| self.is_done());
        }
        self.jobs.wait(None, timeout.and_then(wait::deadline_in))
    }

    /// Has every job that is done, and that will be, told to `watcher` as `number` and its own place.
    pub(in crate::mp) fn watch(&self, watcher: Sender<(usize, usize)>, number: usize) {
        self.jobs.watch(watcher, number);
    }

    /// Calls it off: jobs that were not begun are [`Error::Cancelled`], and so are those that are running, whose workers are
    /// killed and replaced.
    pub fn cancel(&self) {
        self.shared.cancel(&self.jobs);
    }
}

impl<R: DeserializeOwned> Batch<R> {
    /// The results in the order of the jobs. It waits for all of them.
    #[must_use]
    pub fn results(&self) -> Vec<Result<R>> {
        self.wait(None);
        self.jobs.read_all()
    }

    /// The result of one job, by its place. It does not wait.
    ///
    /// # Errors
    /// [`Error::Empty`] while it is not done, [`Error::Refused`] if there is no such job, and what the job failed with.
    pub fn result(&self, job: usize) -> Result<R> {
        if job >= self.len() {
            return Err(Error::Refused(format!("batch {} has no job {job}", self.id())));
        }
        self.jobs.read(job)
    }

    /// The result of one job, by its place, when it is there.
    pub(super) fn wait_for(&self, job: usize) -> Result<R> {
        self.shared.look_for(|| self.jobs.lock().is_done(job));
        self.jobs.wait(Some(job), None);
        self.jobs.read(job)
    }

    /// The results in the order in which they come, each with the place of its job. It waits for each.
    pub fn as_completed(&self) -> impl Iterator<Item = (usize, Result<R>)> + '_ {
        let (sender, arrivals) = mpsc::channel();
        self.watch(sender, 0);
        (0..self.len()).map_while(move |_| {
            let (_, job) = arrivals.recv().ok()?;
            Some((job, self.jobs.read(job)))
        })
    }
}

/// One job that was given to a pool: a result that will be there. Dropping it lets the job run, and forgets its result.
#[derive(Debug)]
pub struct Job<R>(Batch<R>);

impl<R> Job<R> {
    pub(super) fn new(batch: Batch<R>) -> Self {
        Self(batch)
    }

    /// The number of its batch, which is itself alone.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id()
    }

    /// True if it is done, well or not.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.is_done()
    }

    /// Waits until it is done, at most `timeout` long (None: for ever); true if it is.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        self.0.wait(timeout)
    }

    /// Calls it off; a worker that runs it is killed and replaced.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl<R: DeserializeOwned> Job<R> {
    /// Waits for the result.
    ///
    /// # Errors
    /// What the job failed with: [`Error::Panicked`], [`Error::Signalled`] and [`Error::Exited`] of its worker,
    /// [`Error::TimedOut`] if it took longer than the pool allows, [`Error::Cancelled`].
    pub fn get(&self) -> Result<R> {
        self.wait(None);
        self.0.result(0)
    }

    /// [`get`](Self::get), but waits at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], while the job goes on, and those of [`get`](Self::get).
    pub fn get_timeout(&self, timeout: Duration) -> Result<R> {
        if self.wait(Some(timeout)) {
            self.0.result(0)
        } else {
            Err(Error::job_late(timeout).of_batch(self.id(), None))
        }
    }
}

/// Gives `jobs`, of any pools, in the order in which they are done. It waits for each.
pub fn as_completed<R>(jobs: impl IntoIterator<Item = Job<R>>) -> AsCompleted<R> {
    let (sender, arrivals) = mpsc::channel();
    let watch = |(number, job): (usize, Job<R>)| {
        job.0.watch(sender.clone(), number);
        Some(job)
    };
    let jobs = jobs.into_iter().enumerate().map(watch).collect();
    AsCompleted { jobs, arrivals }
}

/// What [`as_completed`] gives.
#[derive(Debug)]
pub struct AsCompleted<R> {
    jobs: VecDeque<Option<Job<R>>>,
    arrivals: Receiver<(usize, usize)>,
}

impl<R> Iterator for AsCompleted<R> {
    type Item = Job<R>;

    fn next(&mut self) -> Option<Job<R>> {
        if self.jobs.iter().all(Option::is_none) {
            return None;
        }
        let (number, _) = self.arrivals.recv().ok()?;
        self.jobs.get_mut(number).and_then(Option::take)
    }
}
