//! A pool that runs a built-in task: workers behind a thread of their own, and processes for single jobs.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::Error;
use crate::manager::pool::driver::{self, Driver, Given, Happening, Order};
use crate::manager::pool::engine::News;
use crate::manager::pool::spec::PoolSpec;
use crate::manager::protocol::WorkerRow;
use crate::mp::{self, Departure, Process};
use crate::sys::signal::{CONT, KILL, STOP};
use crate::sys::wake::Waker;
use crate::sys::{fd, proc};
use crate::tasks::Builtin;

/// Bytes of output that are read at once, and how often in a turn.
const CHUNK: usize = 16 << 10;
const READS: usize = 16;

/// The workers of a pool, as the loop has them.
#[derive(Debug)]
pub(super) struct TaskEngine {
    task: Builtin,
    timeout: Option<Duration>,
    retries: u32,
    driver: Driver,
    /// Orders so far, and of each that is not done its batch, the place of its first job and how many are left.
    orders: u64,
    given: HashMap<u64, (u64, usize, usize)>,
    crew: BTreeMap<u32, WorkerRow>,
    wanted: usize,
    singles: Vec<Single>,
    named: u64,
    /// What workers print, and the end of it that they get.
    output: File,
    input: Option<OwnedFd>,
    paused_since: Option<Instant>,
    is_over: bool,
}

/// A process for one job.
#[derive(Debug)]
struct Single {
    batch: u64,
    arg: String,
    process: Process<Given>,
    deadline: Option<Instant>,
    tries: u32,
}

impl TaskEngine {
    pub(super) fn start(spec: &PoolSpec, task: Builtin, waker: Waker) -> Result<Self, Error> {
        let (read, write) = fd::pipe()?;
        fd::set_nonblocking(&read, true).map_err(|error| Error::os("cannot read", "the output of workers", error))?;
        let driver = Driver::start(spec, task, fd::duplicate(write.as_fd(), "the output of workers")?, waker)?;
        Ok(Self {
            task,
            timeout: spec.timeout,
            retries: spec.retries,
            driver,
            orders: 0,
            given: HashMap::new(),
            crew: BTreeMap::new(),
            wanted: spec.workers,
            singles: Vec::new(),
            named: 0,
            output: File::from(read),
            input: Some(write),
            paused_since: None,
            is_over: false,
        })
    }

    pub(super) fn watch<'a>(&'a self, mut each: impl FnMut(BorrowedFd<'a>)) {
        if !self.is_over {
            each(self.output.as_fd());
        }
        self.singles.iter().for_each(|single| each(single.process.as_fd()));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadlines = self.singles.iter().filter_map(|single| single.deadline);
        if self.paused_since.is_some() { None } else { deadlines.min() }
    }

    /// Has the jobs `args` done, the first of which is job `first` of the batch.
    pub(super) fn submit(&mut self, batch: u64, first: usize, args: Vec<String>) {
        self.given.insert(self.orders, (batch, first, args.len()));
        self.orders += 1;
        self.driver.order(Order::Submit(args));
    }

    /// Has the one job of a batch done by a process of its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn submit_single(&mut self, batch: u64, arg: String, now: Instant) -> Result<(), Error> {
        self.named += 1;
        let name = format!("Process-{}", self.named);
        let process = self.spawn(&name, &arg).map_err(|error| match error {
            mp::Error::System(error) => Error::refused("cannot start", &name, error.to_string()),
            other => Error::refused("cannot start", &name, other.to_string()),
        })?;
        let deadline = self.timeout.and_then(|timeout| now.checked_add(timeout));
        if self.paused_since.is_some() {
            process.signal(STOP);
        }
        self.singles.push(Single { batch, arg, process, deadline, tries: 1 });
        Ok(())
    }

    fn spawn(&self, name: &str, arg: &str) -> mp::Result<Process<Given>> {
        let mut builder = Process::builder(self.task.task(), (arg.to_owned(),)).name(name).daemon(true).own_group(true);
        if let Some(input) = &self.input {
            let copy = |_| fd::duplicate(input.as_fd(), "the output of a worker");
            builder = builder.stdout(copy(1)?).stderr(copy(2)?);
        }
        builder.spawn()
    }

    pub(super) fn cancel(&mut self, batch: u64) {
        for (order, _) in self.given.iter().filter(|(_, given)| given.0 == batch) {
            self.driver.order(Order::Cancel(*order));
        }
        for single in self.singles.iter_mut().filter(|single| single.batch == batch) {
            single.call_off();
        }
    }

    pub(super) fn resize(&mut self, workers: NonZeroUsize) {
        self.wanted = workers.get();
        self.driver.order(Order::Resize(workers));
    }

    pub(super) fn pause(&mut self, now: Instant) {
        self.paused_since.get_or_insert(now);
        self.driver.order(Order::Pause);
        self.singles.iter().for_each(|single| single.process.signal(STOP));
    }

    pub(super) fn resume(&mut self, now: Instant) {
        let pause = self.paused_since.take().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.driver.order(Order::Resume);
        for single in &mut self.singles {
            single.deadline = single.deadline.and_then(|at| at.checked_add(pause));
            single.process.signal(CONT);
        }
    }

    /// True if everybody stands still.
    pub(super) fn is_still(&self) -> bool {
        self.crew().all(|worker| proc::stat(worker.pid).is_none_or(|stat| stat.is_stopped() || stat.is_zombie()))
    }

    pub(super) fn stop(&mut self) {
        self.singles.iter_mut().for_each(Single::call_off);
        self.driver.order(Order::Stop);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over && self.singles.is_empty()
    }

    /// Who works now.
    pub(super) fn crew(&self) -> impl Iterator<Item = WorkerRow> {
        let row = |single: &Single| WorkerRow { name: single.process.name().to_owned(), pid: single.process.pid() };
        self.crew.values().cloned().chain(self.singles.iter().map(row))
    }

    /// Takes in what has happened.
    pub(super) fn turn(&mut self, now: Instant, news: &mut Vec<News>) {
        for it in self.driver.mail.take() {
            self.hear(it, news);
        }
        self.read_output(news);
        for single in std::mem::take(&mut self.singles) {
            self.look_after(single, now, news);
        }
    }

    fn hear(&mut self, it: Happening, news: &mut Vec<News>) {
        match it {
            Happening::Up(up) => news.push(News::Up(up)),
            Happening::Done(order, job, end) => {
                let Some((batch, first, left)) = self.given.get_mut(&order) else { return };
                news.push(News::Done(*batch, *first + job, end));
                *left -= 1;
                if *left == 0 {
                    self.given.remove(&order);
                    self.driver.order(Order::Forget(order));
                }
            }
            Happening::Started(worker) => {
                self.crew.insert(worker.pid, worker.clone());
                news.push(News::Started(worker));
            }
            Happening::Ended(worker, error, how) => {
                self.crew.remove(&worker.pid);
                let is_replaced = match how {
                    Departure::Died => self.crew.len() < self.wanted,
                    Departure::Dismissed => false,
                    Departure::Spent => true,
                };
                news.push(News::Ended(worker, error, how, is_replaced));
            }
            Happening::Over => {
                self.driver.join();
                self.input = None;
                self.is_over = true;
            }
        }
    }

    fn read_output(&mut self, news: &mut Vec<News>) {
        let mut buffer = [0; CHUNK];
        for _ in 0..READS {
            match self.output.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => news.push(News::Output(buffer[..read].to_vec())),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Looks whether a single job is done, takes too long, or is to be tried again.
    fn look_after(&mut self, single: Single, now: Instant, news: &mut Vec<News>) {
        let is_late = self.paused_since.is_none() && single.deadline.is_some_and(|at| at <= now);
        if is_late {
            single.process.signal(KILL);
        }
        if !is_late && single.process.is_alive() {
            return self.singles.push(single);
        }
        let Single { batch, arg, process, tries, .. } = single;
        let worker = WorkerRow { name: process.name().to_owned(), pid: process.pid() };
        // Nothing holds up who was killed.
        let result = process.join();
        let result = if is_late { Err(mp::Error::job_late(self.timeout.unwrap_or_default())) } else { result };
        let end = match result {
            Err(_) if tries == CALLED_OFF => driver::end(Err(mp::Error::job_cancelled()), Some(worker)),
            Err(_) if tries <= self.retries => match self.spawn(&worker.name, &arg) {
                Ok(process) => {
                    let deadline = self.timeout.and_then(|timeout| now.checked_add(timeout));
                    return self.singles.push(Single { batch, arg, process, deadline, tries: tries + 1 });
                }
                Err(error) => driver::end(Err(error), Some(worker)),
            },
            result => driver::end(result, Some(worker)),
        };
        news.push(News::Done(batch, 0, end));
    }
}

/// Tries of a job that nobody wants any more.
const CALLED_OFF: u32 = u32::MAX;

impl Single {
    fn call_off(&mut self) {
        self.tries = CALLED_OFF;
        self.process.signal(KILL);
    }
}
