//! One pool: a name over workers, the batches that they were given, and what came of them.

mod batches;
mod commands;
mod driver;
mod engine;
pub mod spec;
mod steer;
mod tasks;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::Error;
use crate::manager::command::Kind;
use crate::manager::context::{Context, Subject};
use crate::manager::history::History;
use crate::manager::output::Output;
use crate::manager::protocol::{Level, PoolRow, Status, Stream, WorkerRow};
use crate::manager::tree::Root;
use crate::mp::{self, Departure};
use crate::sys::clock;
use crate::sys::wake::Waker;

use commands::CommandEngine;
use engine::{Engine, News};
use spec::{PoolSpec, Work};
use tasks::TaskEngine;

pub use batches::Order;
use batches::Tally;
pub(crate) use batches::{Batches, MOST_JOBS};

/// The variable by which the jobs of a pool of commands are known.
const COOKIE: &str = "IPCPIPE_POOL";

/// Time from one look to the next at those who are to stand still, or to end.
const LOOK: Duration = Duration::from_millis(5);

/// A pool by its name, from its start to its end.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) id: u64,
    pub(crate) spec: PoolSpec,
    pub(crate) history: History,
    pub(crate) output: Output,
    pub(crate) batches: Batches,
    engine: Engine,
    started: Instant,
    ended: Option<Instant>,
    replaced: u32,
    look_at: Option<Instant>,
    /// Who asked for what comes next.
    asker: String,
    stop: Option<Stop>,
}

/// An end, under way or over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    asked: Instant,
    /// Who worked when it was asked for.
    pub(crate) workers: u32,
    /// Jobs that were not done.
    pub(crate) jobs: u64,
    pub(crate) took: Duration,
    hard: bool,
}

impl Pool {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no such program, or no room for threads, descriptors or a guard.
    pub(crate) fn start(
        cx: &mut Context<'_>,
        id: u64,
        spec: PoolSpec,
        waker: Waker,
        asker: &str,
    ) -> Result<Self, Error> {
        let name = spec.name.as_str();
        let engine = match &spec.work {
            Work::Task(task) => Engine::Tasks(Box::new(TaskEngine::start(&spec, *task, waker)?)),
            Work::Command(command) => {
                let cookie = format!("{COOKIE}={}.{id}", cx.setup.tag);
                let commands = CommandEngine::start(&spec, command, id, &cookie)?;
                cx.guardian.hold_pool(&commands.root)?;
                Engine::Commands(Box::new(commands))
            }
        };
        let cause = format!("created by {asker}");
        let mut pool = Self {
            id,
            history: History::new(name, Status::Starting, &cause),
            output: Output::new(name),
            batches: Batches::default(),
            engine,
            started: cx.now,
            ended: None,
            replaced: 0,
            look_at: None,
            asker: asker.to_owned(),
            stop: None,
            spec,
        };
        if matches!(pool.engine, Engine::Commands(_)) {
            pool.turn_to(cx, Status::Running, Level::Info, "started", &cause);
        }
        Ok(pool)
    }

    pub(crate) fn name(&self) -> &str {
        self.spec.name.as_str()
    }

    pub(crate) fn status(&self) -> &Status {
        self.history.status()
    }

    pub(crate) fn is_live(&self) -> bool {
        !self.status().is_final()
    }

    /// True between a pause and the resume.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.status(), Status::Pausing | Status::Paused)
    }

    /// How it ended, or ends.
    pub(crate) fn last_stop(&self) -> Option<Stop> {
        self.stop
    }

    /// What the guard has to hold for it.
    pub(crate) fn live_root(&self) -> Option<&Root> {
        match &self.engine {
            Engine::Commands(commands) if self.is_live() => Some(&commands.root),
            _ => None,
        }
    }

    pub(crate) fn watch<'a>(&'a self, each: impl FnMut(BorrowedFd<'a>)) {
        if self.is_live() {
            self.engine.watch(each);
        }
    }

    /// When to [`step`](Self::step) though nothing has happened.
    pub(crate) fn next_step(&self) -> Option<Instant> {
        self.is_live().then(|| self.engine.deadline().into_iter().chain(self.look_at).min()).flatten()
    }

    /// Gives it jobs, which are added to a batch or begin one, and answers the batch. It is left open for more of `open_by`.
    ///
    /// # Errors
    /// When a process of its own cannot be started.
    pub(crate) fn submit(
        &mut self,
        cx: &mut Context<'_>,
        args: Vec<OsString>,
        single: bool,
        batch: Option<u64>,
        open_by: Option<u64>,
    ) -> Result<u64, Error> {
        let number = batch.unwrap_or_else(|| self.batches.begin(single, cx.now));
        let count = args.len();
        let first = self.batches.add(number, args.clone(), open_by);
        match &mut self.engine {
            Engine::Commands(commands) => commands.submit(number, first, args, single),
            // Who is not live was refused them.
            Engine::Ended => {}
            Engine::Tasks(tasks) => {
                // That all are text was looked at before anything was noted.
                let texts: Vec<String> = args.into_iter().filter_map(|arg| arg.into_string().ok()).collect();
                match texts.first().filter(|_| single) {
                    Some(text) => {
                        if let Err(error) = tasks.submit_single(number, text.clone(), cx.now) {
                            self.batches.end(number, first, driver::cancelled(), cx.now);
                            self.batches.pop(number);
                            return Err(error);
                        }
                    }
                    None => tasks.submit(number, first, texts),
                }
            }
        }
        if batch.is_none() {
            let jobs = if count == 1 { "job" } else { "jobs" };
            self.tell(cx, Level::Info, "submitted", None, &format!("batch {number}, {count} {jobs}"));
        }
        if open_by.is_none() && self.batches.close(number, cx.now) {
            self.tell_done(cx, number);
        }
        Ok(number)
    }

    /// Calls off what is left of a batch.
    pub(crate) fn cancel(&mut self, cx: &mut Context<'_>, number: u64, asker: &str) {
        self.tell(cx, Level::Info, "cancelling", None, &format!("batch {number}, asked by {asker}"));
        self.engine.cancel(number, cx.now);
        if self.batches.close(number, cx.now) {
            self.tell_done(cx, number);
        }
    }

    /// Sets the number of workers.
    pub(crate) fn resize(&mut self, cx: &mut Context<'_>, wanted: NonZeroUsize, asker: &str) {
        let before = std::mem::replace(&mut self.spec.workers, wanted.get());
        match &mut self.engine {
            Engine::Tasks(tasks) => tasks.resize(wanted),
            Engine::Commands(commands) => commands.resize(wanted),
            Engine::Ended => {}
        }
        let change = format!("from {} to {wanted} by {asker}", workers(before));
        self.record(&format!("resized {change}"));
        self.tell(cx, Level::Info, "resized", None, &change);
    }

    /// Closes the batches that were left open by clients that have gone.
    pub(crate) fn seal(&mut self, cx: &mut Context<'_>, clients: &[u64]) {
        for number in self.batches.seal(clients, cx.now) {
            self.tell_done(cx, number);
        }
    }

    /// Notes what has happened since the last step.
    pub(crate) fn step(&mut self, cx: &mut Context<'_>) {
        if !self.is_live() {
            return;
        }
        for it in self.engine.turn(cx.now) {
            self.note(cx, it);
        }
        self.look(cx);
    }

    fn note(&mut self, cx: &mut Context<'_>, it: News) {
        match it {
            News::Up(Ok(())) if *self.status() == Status::Starting => {
                let cause = format!("created by {}", self.asker);
                self.turn_to(cx, Status::Running, Level::Info, "started", &cause);
            }
            News::Up(Ok(())) => {}
            News::Up(Err(reason)) => self.fail(cx, &reason),
            News::Done(batch, job, end) => {
                if self.batches.end(batch, job, end, cx.now) {
                    self.tell_done(cx, batch);
                }
            }
            News::Started(worker) => self.tell_of(cx, Level::Info, "worker-started", &worker, "started"),
            News::Ended(worker, error, how, again) => self.note_end(cx, &worker, &error, how, again),
            News::Output(bytes) => self.output.push(Stream::Stdout, &bytes, clock::realtime_ns()),
            News::Remark(text) => self.tell(cx, Level::Warning, "shortage", None, &text),
        }
    }

    /// Notes the end of a worker. One that another comes for is a part of the history, as a restart is of a process.
    fn note_end(&mut self, cx: &mut Context<'_>, worker: &WorkerRow, error: &mp::Error, how: Departure, again: bool) {
        let (level, why) = match how {
            _ if self.stop.is_some() => (Level::Info, "ended with the pool".to_owned()),
            Departure::Died => (Level::Warning, driver::why_died(error)),
            Departure::Dismissed => (Level::Info, format!("left: the pool has {} now", workers(self.spec.workers))),
            Departure::Spent => (Level::Info, "left: it has done as many jobs as one worker may".to_owned()),
        };
        if self.stop.is_none() && how != Departure::Dismissed {
            self.replaced += u32::from(again && how == Departure::Died);
            let WorkerRow { name, pid } = worker;
            let next = if again { "; another one takes its place" } else { "" };
            self.record(&format!("worker {name} (pid {pid}) {why}{next}"));
        }
        self.tell_of(cx, level, "worker-ended", worker, &why);
    }

    /// Notes a change that leaves the status as it is.
    fn record(&mut self, cause: &str) {
        let status = self.status().clone();
        self.history.record(status, cause, None);
    }

    fn tell_of(&mut self, cx: &mut Context<'_>, level: Level, event: &str, worker: &WorkerRow, why: &str) {
        self.tell(cx, level, event, Some(worker.pid), &format!("{} {why}", worker.name));
    }

    fn tell_done(&mut self, cx: &mut Context<'_>, number: u64) {
        let Some(batch) = self.batches.get(number) else { return };
        let (jobs, remark) = (batch.len(), batch.tally().remark());
        let noun = if jobs == 1 { "job" } else { "jobs" };
        self.tell(cx, Level::Info, "batch-done", None, &format!("batch {number}, {jobs} {noun}{remark}"));
    }

    fn tell(&self, cx: &mut Context<'_>, level: Level, event: &str, pid: Option<u32>, why: &str) {
        cx.tell(level, event, Subject { kind: Kind::Pool, name: self.name(), pid }, why);
    }

    fn turn_to(&mut self, cx: &mut Context<'_>, status: Status, level: Level, event: &str, cause: &str) {
        self.history.record(status, cause, None);
        self.tell(cx, level, event, None, cause);
    }

    /// Who works for it now.
    pub(crate) fn crew(&self) -> Vec<WorkerRow> {
        self.engine.crew()
    }

    /// The row of this pool at `now`.
    pub(crate) fn row(&self, now: Instant, details: bool) -> PoolRow {
        let Tally { done, failed, cancelled } = self.batches.tally();
        PoolRow {
            id: self.id,
            name: self.name().to_owned(),
            status: self.status().clone(),
            workers: self.spec.workers,
            pending: self.batches.pending(),
            done,
            failed,
            cancelled,
            batches: self.batches.len() as u64,
            replaced: self.replaced,
            uptime_s: self.ended.unwrap_or(now).saturating_duration_since(self.started).as_secs_f64(),
            command: self.spec.work.words().iter().map(|word| word.as_os_str().into()).collect(),
            crew: details.then(|| self.crew()),
        }
    }
}

/// `2 workers`.
fn workers(number: usize) -> String {
    format!("{number} {}", if number == 1 { "worker" } else { "workers" })
}
