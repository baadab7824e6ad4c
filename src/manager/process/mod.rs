//! One managed process: a name over a changing process tree, as a state machine that the manager steps.
//!
//! Nothing here blocks. What takes time (a pause that has to be proved, an end with a grace, a restart after a delay) is
//! state with a time at which to look again.

mod end;
mod pause;
mod pipes;
mod probe;
mod row;
mod start;
mod stop;

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use crate::manager::command::Kind;
use crate::manager::context::{Context, Subject};
use crate::manager::countdown::Countdown;
use crate::manager::history::History;
use crate::manager::output::Output;
use crate::manager::policy::Restarts;
use crate::manager::protocol::{Level, Status, Stream};
use crate::manager::rotate::RotatedFile;
use crate::manager::spec::ProcessSpec;
use crate::manager::tree::Root;
use crate::sys::child::{self, Child};
use crate::sys::handle::Handle;
use crate::sys::proc::Stat;

use pause::Pause;
use probe::Probe;
pub(crate) use row::percent;
pub(crate) use stop::{Account, Manner, pids};
use stop::{Purpose, Stop};

/// A process by its name, through all its runs.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) id: u64,
    pub(crate) spec: ProcessSpec,
    pub(crate) history: History,
    pub(crate) output: Output,
    pub(crate) restarts: Restarts,
    /// The present or last run; None before the first.
    run: Option<Run>,
    /// An end that is under way.
    stop: Option<Stop>,
    /// A pause that is under way.
    pause: Option<Pause>,
    /// Paused or about to be: its timers stand still.
    held: bool,
    /// Time until it is started again.
    backoff: Option<Countdown>,
    log_file: Option<RotatedFile>,
    /// What the service says of itself.
    says: Option<String>,
    /// What the last end that was asked for has covered.
    pub(crate) last_stop: Option<Account>,
}

/// One run, from a start to the end of the last process of its tree.
#[derive(Debug)]
struct Run {
    root: Root,
    /// An earlier manager started it.
    is_adopted: bool,
    /// Signals the group even when its leader has ended; None when nobody was left at the end, since the ended are kept
    /// in the list by the hundred.
    handle: Option<Handle>,
    /// None once it has been reaped.
    leader: Option<Leader>,
    pipes: Vec<(Stream, File)>,
    started: Instant,
    started_ns: u64,
    ended: Option<Instant>,
    end: Option<End>,
    ready: bool,
    probe: Option<Probe>,
    timeout: Option<Countdown>,
}

impl Run {
    fn members(&self, leaders: &HashSet<u32>, look: fn(&Root, &dyn Fn(u32) -> bool) -> Vec<Stat>) -> Vec<Stat> {
        // The orphans of a tree that another manager started do not come to this one.
        if self.is_adopted {
            return self.root.members_anywhere();
        }
        look(&self.root, &|pid| pid != self.root.pid && leaders.contains(&pid))
    }
}

/// The first process of a tree.
#[derive(Debug)]
enum Leader {
    /// A child of this manager.
    Child(Child),
    /// The child of a manager that has died: its end is seen, its exit status is not.
    Adopted,
}

/// How a leader ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Exited(i32),
    Killed(i32),
    Unknown,
}

impl From<child::Status> for End {
    fn from(status: child::Status) -> Self {
        match status {
            child::Status::Exited(code) => Self::Exited(code),
            child::Status::Killed(signal) => Self::Killed(signal),
            child::Status::Lost => Self::Unknown,
        }
    }
}

/// Which of a process's descriptors is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The leader has ended.
    Leader,
    /// Output of the pipe at this place.
    Pipe(usize),
    /// The readiness probe.
    Probe,
}

impl Process {
    /// A process that has not been started.
    pub(crate) fn new(id: u64, spec: ProcessSpec, asker: &str) -> Self {
        let name = spec.name.as_str();
        let history = History::new(name, Status::Waiting, format!("created by {asker}"));
        let output = Output::new(name);
        Self {
            id,
            history,
            output,
            spec,
            restarts: Restarts::default(),
            run: None,
            stop: None,
            pause: None,
            held: false,
            backoff: None,
            log_file: None,
            says: None,
            last_stop: None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.spec.name.as_str()
    }

    pub(crate) fn status(&self) -> &Status {
        self.history.status()
    }

    /// The process id of the present or last leader.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.run.as_ref().map(|run| run.root.pid)
    }

    /// The process id, if the number can still be meant for this process: its leader lives or is unreaped.
    pub(crate) fn live_pid(&self) -> Option<u32> {
        self.run.as_ref().filter(|run| run.leader.is_some()).map(|run| run.root.pid)
    }

    /// True unless it has ended for good.
    pub(crate) fn is_live(&self) -> bool {
        !self.status().is_final()
    }

    /// True if it was started at least once under this name.
    pub(crate) fn was_started(&self) -> bool {
        self.run.is_some()
    }

    /// True if the present or last run was ready.
    pub(crate) fn was_ready(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.ready)
    }

    /// True if it has ended for good and well.
    pub(crate) fn ended_well(&self) -> bool {
        matches!(self.status(), Status::Exited { code } if self.spec.ok_codes.contains(code))
    }

    /// The tree, while its leader lives.
    pub(crate) fn live_root(&self) -> Option<&Root> {
        self.run.as_ref().filter(|run| run.leader.is_some()).map(|run| &run.root)
    }

    /// True while it has not been started because of what it comes after, and is not held back by a pause.
    pub(crate) fn is_waiting(&self) -> bool {
        *self.status() == Status::Waiting
    }

    /// True while an end is under way.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// Live processes of its tree, its leader first, by one cheap look.
    pub(crate) fn members(&self, leaders: &HashSet<u32>) -> Vec<Stat> {
        self.run.as_ref().map_or_else(Vec::new, |run| run.members(leaders, Root::glance))
    }

    /// The same as a proof: an empty answer means that nobody is left, and one in which all are stopped means that.
    fn proven_members(&self, leaders: &HashSet<u32>) -> Vec<Stat> {
        self.run.as_ref().map_or_else(Vec::new, |run| run.members(leaders, Root::members))
    }

    /// Notes a transition and tells of it.
    fn turn_to(&mut self, cx: &mut Context<'_>, status: Status, level: Level, event: &str, cause: &str) {
        let pid = self.pid();
        if status.is_final() && self.members(cx.leaders).is_empty() {
            self.run.iter_mut().for_each(|run| run.handle = None);
        }
        self.history.record(status, cause, pid);
        cx.tell(level, event, Subject { kind: Kind::Process, name: self.spec.name.as_str(), pid }, cause);
    }

    /// The descriptors to wait for.
    pub(crate) fn watch<'a>(&'a self, mut each: impl FnMut(Source, BorrowedFd<'a>)) {
        let Some(run) = &self.run else { return };
        if let (Some(_), Some(handle)) = (&run.leader, &run.handle) {
            each(Source::Leader, handle.as_fd());
        }
        for (at, (_, pipe)) in run.pipes.iter().enumerate() {
            each(Source::Pipe(at), pipe.as_fd());
        }
        if let Some(fd) = run.probe.as_ref().and_then(Probe::fd) {
            each(Source::Probe, fd);
        }
    }

    /// When to step it next even if none of its descriptors is ready.
    pub(crate) fn next_step(&self) -> Option<Instant> {
        let run = self.run.as_ref();
        let running = run.filter(|run| run.leader.is_some() && self.stop.is_none());
        let timers = [
            self.stop.as_ref().map(Stop::next_look),
            self.pause.as_ref().map(Pause::next_look),
            self.backoff.and_then(|backoff| backoff.at()),
            running.and_then(|run| run.timeout).and_then(|timeout| timeout.at()),
            running.filter(|_| !self.held).and_then(|run| run.probe.as_ref()).and_then(Probe::next_look),
        ];
        timers.into_iter().flatten().min()
    }

    /// Does what has become possible: `ready` are its descriptors that poll(2) reported.
    pub(crate) fn step(&mut self, cx: &mut Context<'_>, ready: &[Source]) {
        self.read_pipes(cx, ready);
        if ready.contains(&Source::Leader) {
            self.reap(cx);
        }
        self.step_probe(cx, ready.contains(&Source::Probe));
        self.step_timeout(cx);
        self.step_pause(cx);
        self.step_stop(cx, ready.contains(&Source::Leader));
        self.step_backoff(cx);
    }

    fn step_timeout(&mut self, cx: &mut Context<'_>) {
        let over = |run: &Run| run.leader.is_some() && run.timeout.is_some_and(|timeout| timeout.is_over(cx.now));
        if self.stop.is_none() && self.run.as_ref().is_some_and(over) {
            self.begin_stop(cx, Purpose::Timeout, None, "its time is up");
        }
    }

    fn step_backoff(&mut self, cx: &mut Context<'_>) {
        if self.stop.is_some() || !self.backoff.is_some_and(|backoff| backoff.is_over(cx.now)) {
            return;
        }
        self.backoff = None;
        if self.members(cx.leaders).is_empty() {
            self.restart(cx, "the delay before the restart is over");
        } else {
            self.begin_stop(cx, Purpose::Leftovers, None, "the last run left processes behind");
        }
    }
}
