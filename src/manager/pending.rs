//! Requests that take time: looked at in every turn until they can be answered.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::manager::event_log::EventLog;
use crate::manager::output::Output;
use crate::manager::pools;
use crate::manager::process::{Account, Manner, Process, pids};
use crate::manager::protocol::{Answer, Code, Deed, Done, OutputLine, Refusal, Status};
use crate::manager::registry::Entry;
use crate::manager::results::Asked;
use crate::manager::supervisor::Manager;
use crate::manager::thread_entry::Thread;
use crate::manager::verbs::ended;

/// How long a pause may take to become true before its asker is told that it has not.
const PAUSE_PATIENCE: Duration = Duration::from_secs(5);

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct Job {
    pub(super) task: Task,
    pub(super) id: Option<Value>,
    exit: u8,
}

/// What it waits for.
#[derive(Debug)]
pub(super) enum Task {
    /// Nothing: everything is answered.
    Nothing,
    /// Each target has got where it was sent.
    Settle {
        verb: Verb,
        /// Who has not, with the number of restarts at the time of the request.
        left: Vec<(u64, u32)>,
        since: Instant,
    },
    /// All have ended.
    Wait { left: Vec<u64>, deadline: Option<Instant> },
    /// Lines are left to be read, or will come.
    Logs { readers: Vec<Reader>, follow: bool },
    /// Events are left to be read, or will come.
    Events { cursor: u64, until: Option<u64> },
    /// Batches are left to be shown, or will be done.
    Results(Asked),
    /// The batches of these pools are being called off.
    Cancel { left: Vec<(u64, u64)> },
    /// The manager has ended.
    End,
}

/// Where one reader is in the output of one entry.
#[derive(Debug)]
pub(super) struct Reader {
    whose: u64,
    cursor: u64,
    /// The end of what was there when it was asked for.
    until: u64,
}

/// What is done to a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verb {
    Pause,
    Resume,
    Terminate(Manner),
    Restart,
    Signal(i32),
    /// Come up after its creation.
    Start,
}

/// How far one target is.
pub(super) enum Progress {
    Going,
    Done(Done, Option<u32>, Option<Duration>),
    Refused(Refusal),
}

impl Task {
    pub(super) fn settle(verb: Verb, left: Vec<(u64, u32)>, since: Instant) -> Self {
        Self::Settle { verb, left, since }
    }

    pub(super) fn wait(left: Vec<u64>, timeout: Option<Duration>, now: Instant) -> Self {
        Self::Wait { left, deadline: timeout.and_then(|timeout| now.checked_add(timeout)) }
    }

    pub(super) fn logs<'a>(
        outputs: impl Iterator<Item = (u64, &'a Output)>,
        follow: bool,
        lines: Option<usize>,
    ) -> Self {
        let reader = |(whose, output): (u64, &Output)| {
            let (cursor, until) = (output.cursor_last(lines), output.end_cursor());
            Reader { whose, cursor, until }
        };
        Self::Logs { readers: outputs.map(reader).collect(), follow }
    }

    pub(super) fn events(events: &EventLog, follow: bool, lines: Option<usize>) -> Self {
        let until = (!follow).then(|| events.end_cursor());
        Self::Events { cursor: events.cursor_last(lines), until }
    }
}

impl Job {
    pub(super) fn new(id: Option<Value>) -> Self {
        Self { task: Task::Nothing, id, exit: 0 }
    }

    /// Counts a failure: the first one decides the exit status.
    pub(super) fn fail(&mut self, exit: u8) {
        if self.exit == 0 {
            self.exit = exit;
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.task {
            Task::Settle { verb: Verb::Pause, since, .. } => since.checked_add(PAUSE_PATIENCE),
            Task::Wait { deadline, .. } => *deadline,
            _ => None,
        }
    }
}

impl Manager {
    /// Answers what can be answered; gives the job back if there is more to come.
    pub(super) fn carry_on(&mut self, at: usize, mut job: Job) -> Option<Job> {
        let task = std::mem::replace(&mut job.task, Task::Nothing);
        let rest = match task {
            Task::Nothing => None,
            Task::Settle { verb, left, since } => self.settle(at, &mut job, verb, left, since),
            Task::Wait { left, deadline } => self.wait_for(at, &mut job, left, deadline),
            Task::Logs { readers, follow } => self.read_logs(at, readers, follow),
            Task::Events { cursor, until } => self.read_events(at, cursor, until),
            Task::Results(asked) => self.show_results(at, &mut job, asked),
            Task::Cancel { left } => self.await_cancel(at, left),
            // Answered by the last words of the manager.
            Task::End => Some(Task::End),
        };
        match rest {
            Some(task) => Some(Job { task, ..job }),
            None => {
                self.clients[at].connection.send(Answer::End { exit: job.exit, id: job.id });
                None
            }
        }
    }

    fn settle(
        &mut self,
        at: usize,
        job: &mut Job,
        verb: Verb,
        mut left: Vec<(u64, u32)>,
        since: Instant,
    ) -> Option<Task> {
        let now = self.now;
        left.retain(|&(id, restarts)| match self.progress(id, verb, restarts, since, now) {
            Progress::Going => true,
            Progress::Done(done, processes, took) => {
                let took_ms = took.map(|took| took.as_secs_f64() * 1e3);
                let adapt = |deed: &mut Deed| {
                    deed.processes = processes;
                    deed.took_ms = took_ms;
                };
                self.report(at, id, done, adapt);
                false
            }
            Progress::Refused(refusal) => {
                self.refuse(at, job, refusal);
                false
            }
        });
        (!left.is_empty()).then_some(Task::Settle { verb, left, since })
    }

    fn progress(&self, id: u64, verb: Verb, restarts: u32, since: Instant, now: Instant) -> Progress {
        let late = now.saturating_duration_since(since) >= PAUSE_PATIENCE;
        match self.registry.get(id) {
            Some(Entry::Process(process)) => match verb {
                Verb::Pause => self.pausing(process, late),
                Verb::Resume => Progress::Done(Done::Resumed, None, None),
                Verb::Signal(_) => Progress::Done(Done::Signalled, None, None),
                Verb::Terminate(_) => terminating(process, restarts),
                Verb::Restart => restarting(process, restarts),
                Verb::Start => Progress::Done(Done::Created, None, None),
            },
            Some(Entry::Thread(thread)) => thread_progress(thread, verb),
            Some(Entry::Pool(pool)) => pools::progress(pool, verb, late),
            None => Progress::Refused(Refusal::new(Code::NotFound, "it was forgotten meanwhile")),
        }
    }

    fn pausing(&self, process: &Process, late: bool) -> Progress {
        let name = process.name();
        match process.status() {
            Status::Paused => {
                let members = process.members(&self.leaders).len();
                Progress::Done(Done::Paused, u32::try_from(members).ok(), None)
            }
            Status::Pausing if late => {
                let members = process.members(&self.leaders);
                let running: Vec<u32> = members.iter().filter(|it| !it.is_stopped()).map(|it| it.pid).collect();
                let message = format!("{name} is not paused yet: {} does not stop", pids(&running));
                Progress::Refused(Refusal::new(Code::TimedOut, message).about(name))
            }
            Status::Pausing => Progress::Going,
            other => {
                let why = match other {
                    Status::Stopping => "is being ended".to_owned(),
                    other if other.is_final() => ended(other),
                    _ => "ended meanwhile, and its policy starts it again".to_owned(),
                };
                let message = format!("{name} was not paused: it {why}");
                Progress::Refused(Refusal::new(Code::Failed, message).about(name))
            }
        }
    }

    fn wait_for(&mut self, at: usize, job: &mut Job, mut left: Vec<u64>, deadline: Option<Instant>) -> Option<Task> {
        left.retain(|&id| {
            let Some(entry) = self.registry.get(id) else { return false };
            if is_awaited(entry) {
                return true;
            }
            job.fail(exit_of(entry));
            if let Entry::Pool(pool) = entry {
                let note = pools::account(pool);
                self.report(at, id, Done::Awaited, |deed| deed.note = Some(note));
                return false;
            }
            self.report(at, id, Done::Awaited, |_| {});
            false
        });
        if left.is_empty() {
            return None;
        }
        if deadline.is_none_or(|deadline| deadline > self.now) {
            return Some(Task::Wait { left, deadline });
        }
        let names: Vec<&str> = left.iter().filter_map(|id| self.registry.get(*id)).map(Entry::name).collect();
        let verb = if names.len() == 1 { "has" } else { "have" };
        let pools = left.iter().all(|id| self.registry.pool(*id).is_some());
        let what = if pools { "done all jobs" } else { "ended" };
        let message = format!("{} {verb} not {what} in time", names.join(", "));
        let refusal = Refusal { hint: Vec::new(), ..Refusal::new(Code::TimedOut, message).about(names.join(", ")) };
        job.exit = 0;
        self.refuse(at, job, refusal);
        None
    }

    /// Hands out lines of all readers by time, as far as the client has room.
    fn read_logs(&mut self, at: usize, mut readers: Vec<Reader>, follow: bool) -> Option<Task> {
        if self.clients[at].connection.is_gone() {
            return None;
        }
        while self.clients[at].connection.has_room() {
            let Some((place, cursor, line)) = self.oldest_line(&readers, follow) else {
                let more = follow && readers.iter().any(|it| self.registry.get(it.whose).is_some_and(Entry::is_live));
                return more.then_some(Task::Logs { readers, follow });
            };
            readers[place].cursor = cursor;
            self.clients[at].connection.send(Answer::Line(line));
        }
        Some(Task::Logs { readers, follow })
    }

    /// The line that was written first among those that come next, with its reader's place and cursor behind it.
    fn oldest_line(&self, readers: &[Reader], follow: bool) -> Option<(usize, u64, OutputLine)> {
        let next = |(place, reader): (usize, &Reader)| {
            let mut cursor = reader.cursor;
            let entry = self.registry.get(reader.whose)?;
            let open = follow || cursor < reader.until;
            let line = open.then(|| entry.output().read(&mut cursor)).flatten()?;
            Some((place, cursor, line))
        };
        readers.iter().enumerate().filter_map(next).min_by_key(|(_, _, line)| line.ts_ns)
    }

    fn read_events(&mut self, at: usize, mut cursor: u64, until: Option<u64>) -> Option<Task> {
        if self.clients[at].connection.is_gone() {
            return None;
        }
        while self.clients[at].connection.has_room() {
            let open = until.is_none_or(|until| cursor < until);
            match open.then(|| self.events.read(&mut cursor)).flatten() {
                Some(event) => self.clients[at].connection.send(Answer::Event(event)),
                None if until.is_some() => return None,
                None => break,
            }
        }
        Some(Task::Events { cursor, until })
    }
}

fn terminating(process: &Process, restarts: u32) -> Progress {
    if process.is_live() && process.restarts.total() > restarts {
        let message = format!("{} ended, and somebody restarted it meanwhile", process.name());
        return Progress::Refused(Refusal::new(Code::Failed, message).about(process.name()));
    }
    let survivors = process.survivors();
    if !survivors.is_empty() {
        let message = format!("{} of {} survived SIGKILL", pids(survivors), process.name());
        return Progress::Refused(Refusal::new(Code::Survivors, message).about(process.name()));
    }
    match &process.last_stop {
        // It had no process, so there is nothing to tell of it.
        Some(Account { processes: 0, .. }) if !process.is_live() => Progress::Done(Done::Ended, None, None),
        Some(account) if !process.is_live() => Progress::Done(Done::Ended, Some(account.processes), Some(account.took)),
        _ => Progress::Going,
    }
}

fn restarting(process: &Process, restarts: u32) -> Progress {
    match process.status() {
        Status::Failed { reason } => {
            Progress::Refused(Refusal::new(Code::Failed, format!("{}: {reason}", process.name())).about(process.name()))
        }
        Status::Stopping if !process.survivors().is_empty() => terminating(process, restarts),
        _ if process.restarts.total() > restarts => Progress::Done(Done::Restarted, None, None),
        status if status.is_final() => {
            let message = format!("{} was not started again: it {}", process.name(), ended(status));
            Progress::Refused(Refusal::new(Code::Failed, message).about(process.name()))
        }
        _ => Progress::Going,
    }
}

fn thread_progress(thread: &Thread, verb: Verb) -> Progress {
    let done = match verb {
        Verb::Pause => Done::Paused,
        Verb::Resume => Done::Resumed,
        _ => Done::Ended,
    };
    match (verb, thread.status()) {
        (Verb::Pause, Status::Paused) | (Verb::Resume, Status::Running) => Progress::Done(done, None, None),
        (Verb::Terminate(_), status) if status.is_final() => Progress::Done(done, None, None),
        (_, status) if status.is_final() => {
            let message = format!("{} was not {}: it {}", thread.name(), word(verb), ended(status));
            Progress::Refused(Refusal::new(Code::Failed, message).about(thread.name()))
        }
        _ => Progress::Going,
    }
}

fn word(verb: Verb) -> &'static str {
    if verb == Verb::Pause { "paused" } else { "resumed" }
}

/// True if a wait for the entry goes on. A pool is waited for as long as it has jobs.
fn is_awaited(entry: &Entry) -> bool {
    match entry {
        Entry::Pool(pool) => pool.is_live() && pool.batches.is_busy(),
        other => other.is_live(),
    }
}

/// What the end of an entry makes of the exit status of a wait: a process passes on its own.
fn exit_of(entry: &Entry) -> u8 {
    match entry {
        Entry::Process(process) if process.ended_well() => 0,
        Entry::Process(process) => process.shell_status(),
        Entry::Thread(thread) => u8::from(*thread.status() != Status::Done),
        Entry::Pool(pool) => u8::from(!pool.batches.tally().is_good()),
    }
}
