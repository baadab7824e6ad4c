//! The thread that owns the worker processes of a pool: to start one, or to end one, may take its time, and the loop has
//! none. Orders go in through a channel; what happens comes out through a mailbox and a wake-up.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::Error;
use crate::manager::pool::spec::PoolSpec;
use crate::manager::protocol::{JobEnd, Reason, WorkerRow};
use crate::mp::{self, Departure, Pool, PoolNews};
use crate::sys::signal;
use crate::sys::wake::Waker;
use crate::tasks::Builtin;

/// What a built-in task gives.
pub(super) type Given = Result<String, String>;

/// What is to be done.
#[derive(Debug)]
pub(super) enum Order {
    /// Do these jobs. The first such order has number 0, and so on.
    Submit(Vec<String>),
    /// Call off the jobs of the order of that number.
    Cancel(u64),
    /// Nobody wants to hear of the order of that number any more.
    Forget(u64),
    Resize(NonZeroUsize),
    Pause,
    Resume,
    /// End all workers, and then yourself.
    Stop,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Happening {
    /// The workers are there, or there will never be any.
    Up(Result<(), String>),
    /// A job is done: number of the order, its place there, and what came of it.
    Done(u64, usize, JobEnd),
    Started(WorkerRow),
    /// A worker has ended: why, and how it came to that.
    Ended(WorkerRow, mp::Error, Departure),
    /// All workers have ended.
    Over,
}

/// What happened and was not looked at yet.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    mail: Arc<Mutex<Vec<Happening>>>,
    waker: Waker,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Vec<Happening>> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, it: Happening) {
        let mut mail = self.lock();
        mail.push(it);
        // Whoever was woken for the first finds the others.
        if mail.len() == 1 {
            self.waker.wake();
        }
    }

    pub(super) fn take(&self) -> Vec<Happening> {
        std::mem::take(&mut self.lock())
    }
}

/// The loop's end of the thread. Dropping it ends all workers, without waiting for that.
#[derive(Debug)]
pub(super) struct Driver {
    orders: Sender<Order>,
    pub(super) mail: Mailbox,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    /// Starts workers for `task`, whose output goes to `output`.
    ///
    /// # Errors
    /// EAGAIN: the limit on threads.
    pub(super) fn start(spec: &PoolSpec, task: Builtin, output: OwnedFd, waker: Waker) -> Result<Self, Error> {
        let mail = Mailbox { mail: Arc::default(), waker };
        let (orders, received) = mpsc::channel();
        let (spec, box_) = (spec.clone(), mail.clone());
        let body = move || drive(&spec, task, output, &received, &box_);
        let thread = thread::Builder::new().name("pool driver".to_owned()).spawn(body);
        let thread = thread.map_err(|error| Error::os("cannot start", "the thread of a pool", error))?;
        Ok(Self { orders, mail, thread: Some(thread) })
    }

    /// Has the thread do something. Never blocks.
    pub(super) fn order(&self, order: Order) {
        // It is gone only after it was told to stop, or could not start.
        let _ = self.orders.send(order);
    }

    /// Waits for the thread, which has said that it is over.
    pub(super) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn drive(spec: &PoolSpec, task: Builtin, output: OwnedFd, orders: &Receiver<Order>, mail: &Mailbox) {
    match build(spec, task, output) {
        Ok(pool) => {
            let told = mail.clone();
            pool.on_news(move |news| told.push(happening(news)));
            mail.push(Happening::Up(Ok(())));
            obey(pool, orders);
        }
        Err(error) => mail.push(Happening::Up(Err(error.to_string()))),
    }
    mail.push(Happening::Over);
}

fn build(spec: &PoolSpec, task: Builtin, output: OwnedFd) -> mp::Result<Pool<(String,), Given>> {
    // A worker in the group of the manager would get the Ctrl-C of its terminal.
    let mut builder = Pool::new(task.task()).workers(spec.workers).name(spec.name.as_str()).own_groups(true);
    builder = builder.retries(spec.retries).output(output);
    if let Some(timeout) = spec.timeout {
        builder = builder.timeout(timeout);
    }
    if let Some(jobs) = spec.max_jobs {
        builder = builder.max_jobs(jobs);
    }
    builder.build()
}

fn obey(pool: Pool<(String,), Given>, orders: &Receiver<Order>) {
    let mut batches = HashMap::new();
    // The pool numbers batches as this thread does, for nobody else gives it any.
    let mut next = 0_u64;
    while let Ok(order) = orders.recv() {
        match order {
            Order::Submit(args) => {
                // It fails only after its end, and then nobody waits for the jobs.
                if let Ok(batch) = pool.batch(args.into_iter().map(|arg| (arg,))) {
                    batches.insert(next, batch);
                }
                next += 1;
            }
            Order::Cancel(number) => batches.get(&number).map_or((), mp::Batch::cancel),
            Order::Forget(number) => drop(batches.remove(&number)),
            // Whether there is room for so many has been looked at, and the pool stays as it is if there is none any more.
            Order::Resize(workers) => drop(pool.resize(workers)),
            Order::Pause => pool.pause(),
            Order::Resume => pool.resume(),
            Order::Stop => break,
        }
    }
    pool.stop();
}

fn happening(news: PoolNews<Given>) -> Happening {
    match news {
        PoolNews::Done { batch, job, worker, result } => Happening::Done(batch, job, end(result, worker.map(row))),
        PoolNews::Started(worker) => Happening::Started(row(worker)),
        PoolNews::Ended(worker, error, how) => Happening::Ended(row(worker), error, how),
    }
}

fn row(worker: mp::Worker) -> WorkerRow {
    WorkerRow { name: worker.name, pid: worker.pid }
}

/// What came of a job that `worker` has done or failed at.
pub(super) fn end(result: mp::Result<Given>, worker: Option<WorkerRow>) -> JobEnd {
    let (worker, pid) = worker.map(|it| (it.name, it.pid)).unzip();
    let base = JobEnd { worker, pid, ..JobEnd::default() };
    let failed = |reason, error| JobEnd { reason: Some(reason), error: Some(error), ..base.clone() };
    match result {
        Ok(Ok(value)) => JobEnd { ok: true, value: Some(value.as_str().into()), ..base },
        Ok(Err(error)) => failed(Reason::Error, error),
        Err(error) => {
            let reason = match &error {
                mp::Error::Panicked(..) => Reason::Panicked,
                mp::Error::Signalled(..) => Reason::Signalled,
                mp::Error::TimedOut(..) => Reason::TimedOut,
                mp::Error::Cancelled(_) | mp::Error::Closed(_) => Reason::Cancelled,
                mp::Error::System(_) => Reason::NotStarted,
                _ => Reason::Exited,
            };
            failed(reason, why(&error))
        }
    }
}

/// What is wrong, without the name of the worker, which is told beside it.
pub(super) fn why(error: &mp::Error) -> String {
    match error {
        mp::Error::Panicked(_, panic) => panic.to_string(),
        mp::Error::Exited(_, status) => format!("exited with {status} before it had answered"),
        mp::Error::Signalled(_, number) => format!("was ended by {}", signal::name(*number)),
        mp::Error::TimedOut(..) => "took too long".to_owned(),
        mp::Error::Cancelled(_) | mp::Error::Closed(_) => "was cancelled".to_owned(),
        other => other.to_string(),
    }
}

/// Why a worker has died: the pool kills one for what is wrong with its job.
pub(super) fn why_died(error: &mp::Error) -> String {
    match error {
        mp::Error::TimedOut(..) => "was killed, because its job took too long".to_owned(),
        mp::Error::Cancelled(_) | mp::Error::Closed(_) => "was killed, because its job was cancelled".to_owned(),
        other => why(other),
    }
}

/// What came of a job that nobody had begun when it was called off.
pub(super) fn cancelled() -> JobEnd {
    end(Err(mp::Error::job_cancelled()), None)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn e7_every_failure_is_told_with_its_reason_and_its_worker() {
        let worker = || Box::new(mp::Worker { name: "w-1".into(), pid: 7 });
        let panic = mp::Panic { message: "oh".into(), location: "src/x.rs:1:2".into(), backtrace: String::new() };
        for (error, reason, says) in [
            (mp::Error::Panicked(worker(), Box::new(panic)), Reason::Panicked, "panicked at src/x.rs:1:2: oh"),
            (mp::Error::Exited(worker(), 3), Reason::Exited, "exited with 3 before it had answered"),
            (mp::Error::Signalled(worker(), 9), Reason::Signalled, "was ended by SIGKILL"),
            (mp::Error::job_late(Duration::ZERO), Reason::TimedOut, "took too long"),
            (mp::Error::job_cancelled(), Reason::Cancelled, "was cancelled"),
        ] {
            let told = end(Err(error), Some(row(*worker())));
            assert_eq!((told.ok, told.reason, told.error.as_deref()), (false, Some(reason), Some(says)));
            assert_eq!((told.worker.as_deref(), told.pid), (Some("w-1"), Some(7)));
        }
        let told = end(Ok(Err("division by zero".into())), None);
        assert_eq!(
            (told.reason, told.error.as_deref(), told.worker),
            (Some(Reason::Error), Some("division by zero"), None)
        );
        assert!(end(Ok(Ok("2".into())), None).ok);
    }
}
