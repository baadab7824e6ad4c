//! The three ways a manager ends: quit waits for what is no daemon, clear also drops what is stored, exit stops
//! everything now.

use std::time::{Duration, Instant};

use crate::manager::pending::{Job, Task};
use crate::manager::process::Manner;
use crate::manager::protocol::{Answer, Code, Level, Refusal};
use crate::manager::registry::Entry;
use crate::manager::supervisor::Manager;
use crate::sys::handle::Handle;
use crate::sys::proc::{self, Stat};
use crate::sys::signal::KILL;

/// The longest grace when everything is to end now.
const SHORT_GRACE: Duration = Duration::from_secs(1);

/// How long an end may wait for a client that does not read its last answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// How often an end that depends on processes of others is looked at again.
const LOOK: Duration = Duration::from_millis(10);

/// The ways to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Wait for everything that is no daemon.
    Quit,
    /// The same, and drop output and histories.
    Clear,
    /// Wait for nothing.
    Exit,
}

/// An end that is under way.
#[derive(Debug)]
pub(crate) struct Ending {
    how: How,
    /// From then on as exit.
    exit_at: Option<Instant>,
    asker: String,
    /// Everything that was left was told to end.
    stopping: bool,
    /// What was told to end: processes, threads and jobs of pools.
    stopped: (u32, u32, u64),
    look_at: Option<Instant>,
    over: bool,
}

impl Ending {
    pub(super) fn new(how: How, timeout: Option<Duration>, now: Instant, asker: String) -> Self {
        let exit_at = timeout.and_then(|timeout| now.checked_add(timeout));
        Self { how, exit_at, asker, stopping: false, stopped: (0, 0, 0), look_at: None, over: false }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.stopping { self.look_at } else { self.exit_at }
    }

    fn is_urgent(&self, now: Instant) -> bool {
        self.how == How::Exit || self.exit_at.is_some_and(|at| at <= now)
    }
}

impl Manager {
    /// Begins to end, or hurries an end that is under way. Answers the names of what it waits for.
    pub(super) fn begin_ending(&mut self, ending: Ending) -> Vec<String> {
        match &mut self.ending {
            None => {
                let verb = match ending.how {
                    How::Quit => "quit",
                    How::Clear => "clear",
                    How::Exit => "exit",
                };
                let msg = format!("{verb}, asked by {}", ending.asker);
                self.ending = Some(ending);
                self.tell(Level::Info, "ending", &msg);
                self.close_pools(&msg);
            }
            Some(present) => {
                if ending.is_urgent(self.now) && !present.is_urgent(self.now) {
                    present.stopping = false;
                    present.how = How::Exit;
                }
                present.exit_at = [present.exit_at, ending.exit_at].into_iter().flatten().min();
            }
        }
        self.unfinished()
    }

    /// What quit waits for: live processes that are no daemons, and threads that will end by themselves.
    fn unfinished(&self) -> Vec<String> {
        let waits = |entry: &Entry| match entry {
            Entry::Process(process) => process.is_live() && !process.spec.daemon,
            Entry::Thread(thread) => thread.is_live() && thread.has_an_end(),
            Entry::Pool(pool) => pool.is_live() && pool.batches.is_busy(),
        };
        self.registry.iter().filter(|(_, entry)| waits(entry)).map(|(_, entry)| entry.name().to_owned()).collect()
    }

    /// One step towards the end, if there is to be one.
    pub(super) fn step_ending(&mut self) {
        let Some(ending) = &self.ending else { return };
        let urgent = ending.is_urgent(self.now);
        if !ending.stopping && (urgent || self.unfinished().is_empty()) {
            self.stop_everything(urgent);
        }
        if self.ending.as_ref().is_some_and(|ending| ending.stopping) {
            let over = self.nothing_lives();
            let look_at = self.now.checked_add(LOOK);
            if let Some(ending) = &mut self.ending {
                ending.over = over;
                ending.look_at = look_at;
            }
        }
    }

    fn stop_everything(&mut self, urgent: bool) {
        let asker = self.ending.as_ref().map_or_else(String::new, |ending| ending.asker.clone());
        let (registry, mut cx) = self.parts();
        let (mut processes, mut threads, mut jobs) = (0, 0, 0);
        for (_, entry) in registry.iter_mut() {
            match entry {
                Entry::Process(process) => {
                    processes += u32::from(process.is_live());
                    let grace = urgent.then(|| process.spec.grace.min(SHORT_GRACE));
                    process.terminate(&mut cx, Manner { grace, kill: false }, &asker);
                }
                Entry::Thread(thread) if thread.is_live() => {
                    threads += 1;
                    thread.stop(&mut cx, &asker);
                }
                Entry::Thread(_) => {}
                // What the end of an earlier one cost was told then.
                Entry::Pool(pool) if !pool.is_live() => {}
                Entry::Pool(pool) => {
                    jobs += pool.last_stop().map_or(pool.batches.pending(), |stop| stop.jobs);
                    pool.terminate(&mut cx, urgent, &asker);
                }
            }
        }
        if let Some(ending) = &mut self.ending {
            ending.stopping = true;
            let (before, others, more) = ending.stopped;
            ending.stopped = (before.max(processes), others.max(threads), more.max(jobs));
        }
    }

    /// True if no entry lives, and nothing that any of them left behind. What came to this process as a subreaper and
    /// belongs to nobody is killed.
    fn nothing_lives(&mut self) -> bool {
        if self.registry.iter().any(|(_, entry)| entry.is_live()) {
            return false;
        }
        let guard = self.guardian.pid();
        let children = proc::children(std::process::id()).into_iter().filter(|pid| Some(*pid) != guard);
        let strays: Vec<Stat> = children.filter_map(proc::stat).filter(|stat| !stat.is_zombie()).collect();
        for stray in &strays {
            if let Some(handle) = Handle::open(stray.pid, stray.start_ticks) {
                handle.signal(KILL);
            }
        }
        strays.is_empty()
    }

    /// What the end has stopped.
    fn account(&self) -> Answer {
        let (processes, threads, jobs) = self.ending.as_ref().map_or((0, 0, 0), |ending| ending.stopped);
        Answer::Ended { processes, threads, jobs }
    }

    /// True when the loop has nothing more to do.
    pub(super) fn is_over(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.over)
    }

    /// Leaves nothing behind, and then says good-bye to everybody who still reads: whoever hears that the manager has
    /// ended can start another at the same place.
    pub(super) fn farewell(&mut self) {
        self.tell(Level::Info, "ended", "manager ended");
        self.guardian.dismiss();
        let end = Instant::now() + FAREWELL;
        self.events.finish(end);
        self.leave();
        for at in 0..self.clients.len() {
            if let Some(job) = self.clients[at].job.take() {
                self.answer_last(at, job);
            }
            self.clients[at].send_rest(end);
        }
    }

    fn answer_last(&mut self, at: usize, job: Job) {
        let Some(job) = self.carry_on(at, job) else { return };
        match job.task {
            Task::End => {
                let account = self.account();
                self.clients[at].connection.send(account);
                self.finish(at, None, job.id);
            }
            Task::Logs { .. } | Task::Events { .. } | Task::Cancel { .. } => self.finish(at, None, job.id),
            _ => self.finish(at, Some(Refusal::new(Code::Ending, "the manager has ended")), job.id),
        }
    }
}
