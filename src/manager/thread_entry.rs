//! One managed thread: a name over a cooperative worker.

use std::time::Instant;

use crate::Error;
use crate::manager::command::Kind;
use crate::manager::context::{Context, Subject};
use crate::manager::history::History;
use crate::manager::output::Output;
use crate::manager::process::percent;
use crate::manager::protocol::{Level, Status, Stream, ThreadRow};
use crate::manager::spec::{Task, ThreadSpec};
use crate::manager::thread::{Outcome, Worker, WorkerState};
use crate::sys::clock;
use crate::sys::wake::Waker;

/// A thread by its name, from its start to its end.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) id: u64,
    pub(crate) spec: ThreadSpec,
    pub(crate) history: History,
    pub(crate) output: Output,
    worker: Worker,
    started: Instant,
    ended: Option<Instant>,
    result: Option<String>,
    /// Who asked for what comes next.
    asker: String,
}

impl Thread {
    /// Starts it.
    ///
    /// # Errors
    /// EAGAIN: the limit on threads.
    pub(crate) fn start(
        cx: &mut Context<'_>,
        id: u64,
        spec: ThreadSpec,
        waker: Waker,
        asker: &str,
    ) -> Result<Self, Error> {
        let name = spec.name.as_str();
        let worker = Worker::spawn(name, spec.task, waker)?;
        let history = History::new(name, Status::Starting, format!("created by {asker}"));
        let output = Output::new(name);
        let started = cx.now;
        let asker = asker.to_owned();
        let mut thread = Self { id, history, output, worker, started, ended: None, result: None, asker, spec };
        let cause = format!("created by {}", thread.asker);
        thread.turn_to(cx, Status::Running, Level::Info, "started", &cause);
        Ok(thread)
    }

    pub(crate) fn name(&self) -> &str {
        self.spec.name.as_str()
    }

    pub(crate) fn status(&self) -> &Status {
        self.history.status()
    }

    /// The thread id while it lives.
    pub(crate) fn tid(&self) -> Option<u32> {
        self.is_live().then(|| self.worker.tid())
    }

    pub(crate) fn is_live(&self) -> bool {
        !self.status().is_final()
    }

    /// True if it will end by itself, so that `quit` waits for it.
    pub(crate) fn has_an_end(&self) -> bool {
        !matches!(self.spec.task, Task::Tick { .. })
    }

    /// True between a pause and the resume.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.status(), Status::Pausing | Status::Paused)
    }

    /// Asks it to pause at its next checkpoint.
    pub(crate) fn pause(&mut self, cx: &mut Context<'_>, asker: &str) {
        self.asker = asker.to_owned();
        self.worker.pause();
        self.step(cx);
    }

    /// Lets it go on.
    pub(crate) fn resume(&mut self, cx: &mut Context<'_>, asker: &str) {
        self.asker = asker.to_owned();
        self.worker.resume();
        self.step(cx);
    }

    /// Asks it to return at its next checkpoint.
    pub(crate) fn stop(&mut self, cx: &mut Context<'_>, asker: &str) {
        self.asker = asker.to_owned();
        self.worker.stop();
        self.step(cx);
    }

    /// Notes what the worker has done since the last step.
    pub(crate) fn step(&mut self, cx: &mut Context<'_>) {
        if self.ended.is_some() {
            return;
        }
        let state = self.worker.state();
        for (ts_ns, line) in self.worker.take_lines() {
            self.output.push(Stream::Stdout, format!("{line}\n").as_bytes(), ts_ns);
        }
        let (status, event, cause) = self.meaning(state);
        if status == *self.status() {
            return;
        }
        let level = if status == Status::Panicked { Level::Error } else { Level::Info };
        if status.is_final() {
            if let Some(result) = self.result.as_ref().filter(|result| !result.is_empty()) {
                self.output.push(Stream::Stdout, format!("{result}\n").as_bytes(), clock::realtime_ns());
            }
            self.ended = Some(cx.now);
        }
        self.turn_to(cx, status, level, event, &cause);
    }

    fn meaning(&mut self, state: WorkerState) -> (Status, &'static str, String) {
        let asked = |what: &str| format!("{what} by {}", self.asker);
        match state {
            WorkerState::Running => (Status::Running, "resumed", asked("resumed")),
            WorkerState::Pausing => (Status::Pausing, "pausing", asked("paused")),
            WorkerState::Paused => (Status::Paused, "paused", format!("{}; parked", asked("paused"))),
            WorkerState::Stopping => (Status::Stopping, "stopping", asked("terminated")),
            WorkerState::Ended(Outcome::Stopped) => (Status::Stopped, "stopped", "it returned".to_owned()),
            WorkerState::Ended(Outcome::Panicked(message)) => (Status::Panicked, "panicked", message),
            WorkerState::Ended(Outcome::Done(result)) => {
                self.result = Some(result.clone());
                (Status::Done, "done", result)
            }
        }
    }

    fn turn_to(&mut self, cx: &mut Context<'_>, status: Status, level: Level, event: &str, cause: &str) {
        let pid = Some(self.worker.tid());
        self.history.record(status, cause, pid);
        cx.tell(level, event, Subject { kind: Kind::Thread, name: self.spec.name.as_str(), pid }, cause);
    }

    /// The row of this thread at `now`.
    pub(crate) fn row(&self, now: Instant) -> ThreadRow {
        let uptime = self.ended.unwrap_or(now).saturating_duration_since(self.started);
        ThreadRow {
            id: self.id,
            name: self.name().to_owned(),
            tid: self.tid(),
            status: self.status().clone(),
            uptime_s: Some(uptime.as_secs_f64()),
            cpu_percent: Some(percent(self.worker.cpu(), uptime)),
            command: self.spec.task.words().iter().map(|word| word.as_str().into()).collect(),
            result: self.result.clone(),
        }
    }
}
