//! One task, one pool for batches of jobs, and processes for single ones, behind one face.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::mp::{Args, Batch, Error, Pool, Process, Result, Task, Worker, wait_any};

/// The number of a batch of jobs; it prints as `batch 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch {}", self.0)
    }
}

/// The results of a batch of jobs, in the order of the jobs.
#[derive(Debug)]
pub struct BatchResults<R> {
    /// Which batch.
    pub id: BatchId,
    /// What the task returned for each job.
    pub results: Vec<Result<R>>,
}

/// What a process for a single job gave, and who it was.
#[derive(Debug)]
pub struct ProcessResult<R> {
    /// What the task returned.
    pub result: Result<R>,
    /// The process that ran it.
    pub worker: Worker,
}

/// Something that a [`Controller`] did, for a log; it prints as one line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ControllerEvent {
    /// The pool was made, with so many workers.
    PoolMade(usize),
    /// Its number of workers was set.
    Resized(usize),
    /// A batch of so many jobs was given to the pool.
    Submitted(BatchId, usize),
    /// The results of a batch were retrieved; so many of its jobs failed.
    Retrieved(BatchId, usize),
    /// A job of a batch failed: its place there, and why.
    JobFailed(BatchId, usize, Error),
    /// A process was started for a single job.
    Started(Worker),
    /// It ended, well (None) or not.
    Ended(Worker, Option<Error>),
    /// Everything has ended: true if by force.
    Over(bool),
}

impl fmt::Display for ControllerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoolMade(workers) => write!(f, "pool of {workers} made"),
            Self::Resized(workers) => write!(f, "pool resized to {workers}"),
            Self::Submitted(batch, jobs) => write!(f, "{batch} submitted: {jobs} jobs"),
            Self::Retrieved(batch, failed) => write!(f, "{batch} retrieved: {failed} failed"),
            Self::JobFailed(batch, job, error) => write!(f, "{batch} job {job} failed: {error}"),
            Self::Started(worker) => write!(f, "{worker} started"),
            Self::Ended(worker, None) => write!(f, "{worker} ended"),
            Self::Ended(worker, Some(error)) => write!(f, "{worker} failed: {error}"),
            Self::Over(by_force) => write!(f, "controller {}", if *by_force { "exited" } else { "quit" }),
        }
    }
}

type Log = Box<dyn FnMut(&ControllerEvent) + Send>;

/// Runs one task in a pool and in single processes, and keeps what comes back.
///
/// Batches never mix: each has its number, and its results are in the order of its jobs. A job that fails is an `Err` in
/// its place. **Dropping it waits for all work** ([`quit`](Self::quit)), or ends everything if the thread is panicking.
/// All its processes end when this one does.
///
/// ```standalone_crate
/// use ipcpipe::mp::Controller;
/// use ipcpipe::task;
///
/// fn quotient(a: f64, b: f64) -> f64 {
///     a / b
/// }
///
/// fn main() -> ipcpipe::mp::Result<()> {
///     ipcpipe::init();
///     let mut controller = Controller::new(task!(quotient));
///     controller.pool(2)?;
///     let batch = controller.use_pool([(4.0, 2.0), (12.0, 3.0)])?;
///     let results = controller.results();
///     assert_eq!(results[0].id, batch);
///     assert_eq!(results[0].results[1].as_ref().unwrap(), &4.0);
///     controller.use_process((5.0, 2.0))?;
///     assert_eq!(controller.process_results()[0].result.as_ref().unwrap(), &2.5);
///     controller.quit();
///     Ok(())
/// }
/// ```
pub struct Controller<A, R> {
    task: Task<A, R>,
    pool: Option<Pool<A, R>>,
    /// Batches whose results were not retrieved, and how many of their jobs the channel has not told of.
    pending: Vec<(Batch<R>, usize)>,
    /// Tells of each job of a pending batch that is done.
    teller: Sender<(usize, usize)>,
    done: Receiver<(usize, usize)>,
    results: VecDeque<BatchResults<R>>,
    running: Vec<Process<R>>,
    ended: Vec<Worker>,
    log: Option<Log>,
}

impl<A, R> fmt::Debug for Controller<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller").field("task", &self.task).finish_non_exhaustive()
    }
}

impl<A, R> Controller<A, R> {
    /// A controller of `task`, without a pool.
    #[must_use]
    pub fn new(task: Task<A, R>) -> Self {
        let (teller, done) = mpsc::channel();
        Self {
            task,
            pool: None,
            pending: Vec::new(),
            teller,
            done,
            results: VecDeque::new(),
            running: Vec::new(),
            ended: Vec::new(),
            log: None,
        }
    }

    /// Has `log` called with everything that the controller does.
    #[must_use]
    pub fn log(mut self, log: impl FnMut(&ControllerEvent) + Send + 'static) -> Self {
        self.log = Some(Box::new(log));
        self
    }

    fn note(&mut self, event: &ControllerEvent) {
        if let Some(log) = &mut self.log {
            log(event);
        }
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> Task<A, R> {
        self.task
    }

    /// Makes the pool, with so many workers. There is one at a time.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is one already: [`resize`](Self::resize) it. Those of [`Pool`].
    pub fn pool(&mut self, workers: usize) -> Result<()> {
        if self.pool.is_some() {
            return Err(Error::Refused("there is a pool already; resize it".to_owned()));
        }
        self.pool = Some(Pool::new(self.task).workers(workers).build()?);
        self.note(&ControllerEvent::PoolMade(workers));
        Ok(())
    }

    fn existing(&self) -> Result<&Pool<A, R>> {
        self.pool.as_ref().ok_or_else(|| Error::Refused("there is no pool yet; make one".to_owned()))
    }

    /// Sets the number of workers of the pool.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no pool, and those of [`Pool::resize`].
    pub fn resize(&mut self, workers: NonZeroUsize) -> Result<()> {
        self.existing()?.resize(workers)?;
        self.note(&ControllerEvent::Resized(workers.get()));
        Ok(())
    }

    /// The batches whose results were not retrieved, oldest first.
    #[must_use]
    pub fn pending(&self) -> Vec<BatchId> {
        self.pending.iter().map(|(batch, _)| BatchId(batch.id())).collect()
    }

    /// Takes a pending batch out, to look after it oneself.
    pub fn take_pending(&mut self, id: BatchId) -> Option<Batch<R>> {
        let place = self.pending.iter().position(|(batch, _)| batch.id() == id.0)?;
        Some(self.pending.remove(place).0)
    }

    /// Takes the results out that were retrieved last and not taken yet.
    pub fn pop_results(&mut self) -> Option<BatchResults<R>> {
        self.results.pop_back()
    }

    /// How many single processes have not given their result yet. Some of them may have ended.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// All processes that it has had, and which of them live: single ones, and workers of the pool.
    pub fn workers(&mut self) -> Vec<(Worker, bool)> {
        let ended = self.ended.iter().map(|worker| (worker.clone(), false));
        let single = self.running.iter_mut().map(|it| (it.worker().clone(), it.is_alive()));
        let mut all: Vec<_> = ended.chain(single).collect();
        if let Some(pool) = &self.pool {
            all.extend(pool.stats().into_iter().map(|it| (it.worker, it.is_alive)));
        }
        all
    }

    /// Ends everything at once. Work that is not done, and its results, are lost.
    pub fn exit(mut self) {
        self.end_by_force();
    }

    fn end_by_force(&mut self) {
        self.pending.clear();
        for process in &mut self.running {
            process.kill();
        }
        self.running.clear();
        if let Some(pool) = self.pool.take() {
            pool.stop();
        }
        self.note(&ControllerEvent::Over(true));
    }

    fn end(&mut self) {
        for process in &mut self.running {
            process.wait(None);
        }
        if let Some(pool) = self.pool.take() {
            pool.join();
        }
        self.note(&ControllerEvent::Over(false));
    }
}

impl<A: Serialize, R: DeserializeOwned> Controller<A, R> {
    /// Gives the pool a batch of jobs. It does not wait.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no pool, [`Error::Codec`] for arguments that cannot be serialised.
    pub fn use_pool<I: Args<A>>(&mut self, jobs: impl IntoIterator<Item = I>) -> Result<BatchId> {
        let batch = self.existing()?.batch(jobs)?;
        let (id, jobs) = (BatchId(batch.id()), batch.len());
        batch.watch(self.teller.clone(), batch.id() as usize);
        self.pending.push((batch, jobs));
        self.note(&ControllerEvent::Submitted(id, jobs));
        Ok(id)
    }

    /// Waits for all pending batches, and gives their results in the order in which the batches were done.
    /// [`retrieve`](Self::retrieve) keeps them instead.
    pub fn results(&mut self) -> Vec<BatchResults<R>> {
        std::iter::from_fn(|| self.next_batch()).collect()
    }

    /// Waits for all pending batches, and keeps their results for [`pop_results`](Self::pop_results): how many batches.
    pub fn retrieve(&mut self) -> usize {
        let retrieved = self.results();
        let count = retrieved.len();
        self.results.extend(retrieved);
        count
    }

    /// Waits for the next pending batch to be done; none if there is no pending one.
    fn next_batch(&mut self) -> Option<BatchResults<R>> {
        let place = loop {
            if self.pending.is_empty() {
                return None;
            }
            if let Some(place) = self.pending.iter().position(|(_, awaited)| *awaited == 0) {
                break place;
            }
            let (number, _) = self.done.recv().ok()?;
            // A batch that was taken out is nobody's concern here.
            if let Some((_, awaited)) = self.pending.iter_mut().find(|(batch, _)| batch.id() as usize == number) {
                *awaited -= 1;
            }
        };
        let (batch, _) = self.pending.remove(place);
        let (id, results) = (BatchId(batch.id()), batch.results());
        let failures = results.iter().enumerate().filter_map(|(job, it)| Some((job, it.as_ref().err()?.clone())));
        let failures: Vec<_> = failures.collect();
        for (job, error) in &failures {
            self.note(&ControllerEvent::JobFailed(id, *job, error.clone()));
        }
        self.note(&ControllerEvent::Retrieved(id, failures.len()));
        Some(BatchResults { id, results })
    }

    /// Starts a process for one job. It does not wait.
    ///
    /// # Errors
    /// Those of [`Process::spawn`].
    pub fn use_process(&mut self, args: impl Args<A>) -> Result<Worker> {
        let process = Process::builder(self.task, args).daemon(true).spawn()?;
        let worker = process.worker().clone();
        self.running.push(process);
        self.note(&ControllerEvent::Started(worker.clone()));
        Ok(worker)
    }

    /// Waits for the next of the single processes to end, at most `timeout` long (None: for ever): its result. None if the
    /// time is over, or there is none to wait for.
    pub fn next_result(&mut self, timeout: Option<Duration>) -> Option<ProcessResult<R>> {
        let place = wait_any(&mut self.running, timeout)?;
        let process = self.running.remove(place);
        let worker = process.worker().clone();
        let result = process.join();
        self.ended.push(worker.clone());
        self.note(&ControllerEvent::Ended(worker.clone(), result.as_ref().err().cloned()));
        Some(ProcessResult { result, worker })
    }

    /// Waits for all single processes, and gives their results in the order in which they ended.
    pub fn process_results(&mut self) -> Vec<ProcessResult<R>> {
        std::iter::from_fn(|| self.next_result(None)).collect()
    }

    /// Waits for all work and ends all processes. The results that were not retrieved are given, as by
    /// [`results`](Self::results) and [`process_results`](Self::process_results).
    pub fn quit(mut self) -> (Vec<BatchResults<R>>, Vec<ProcessResult<R>>) {
        let left = (self.results(), self.process_results());
        self.end();
        left
    }

    /// Waits for all work, ends all processes, and forgets all results.
    pub fn clear(self) {
        drop(self.quit());
    }
}

impl<A, R> Drop for Controller<A, R> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.end_by_force();
        } else if self.pool.is_some() || !self.running.is_empty() {
            self.end();
        }
    }
}
