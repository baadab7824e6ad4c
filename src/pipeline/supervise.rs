//! The launcher's loop: waits for signals, words and deaths of its stages, and brings the run to its end.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::control::Message;
use super::launch::{Launched, Started, launch};
use super::plan::Plan;
use super::shutdown::{Action, Input, Shutdown};
use crate::Error;
use crate::channel::{KernelName, Run, clean};
use crate::stage::Fault;
use crate::sys::child::{Ended, Status};
use crate::sys::signal::{Signals, ignore, requests, restore_default};
use crate::sys::wait::{Interest, wait_many};

/// What happens during a run, for whoever tells people about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Something a person should know that is no failure.
    Remark(&'a str),
    /// All stages are ready. The names are those that stay visible until the end.
    Started {
        /// Names and process ids, in the plan's order.
        stages: Vec<(&'static str, u32)>,
        /// Empty unless [`Plan::keep_names`].
        names: &'a [KernelName],
    },
    /// So many samples have been produced.
    Progress(u64),
    /// A stage died without handing in its outcome; the others are drained.
    Died {
        /// Its name.
        stage: &'static str,
        /// Its process id, which it no longer has.
        pid: u32,
        /// How.
        status: Status,
    },
    /// What was left of the stages was killed.
    Forced {
        /// True if a second request asked for it, false if the grace was over.
        by_request: bool,
    },
}

/// How a run ended.
#[derive(Debug)]
pub struct Ending {
    /// Every stage, in the plan's order.
    pub stages: Vec<StageEnd>,
    /// The signal that asked for the end, if one did.
    pub request: Option<Signal>,
    /// True if stages were killed because they did not drain in time.
    pub forced: bool,
    /// From the moment that the source was ready until the last stage had ended.
    pub elapsed: Duration,
}

/// How a stage ended.
#[derive(Debug)]
pub struct StageEnd {
    /// Its name.
    pub name: &'static str,
    /// The process id that it had.
    pub pid: u32,
    /// Its status and what it used.
    pub ended: Ended,
    /// What cut its work short, if it said so.
    pub fault: Option<Fault>,
    /// What it handed in; None if it died before.
    pub outcome: Option<Value>,
    /// True if it had attached its links and was at its work.
    pub was_ready: bool,
    /// True if the launcher killed it.
    pub was_killed: bool,
}

impl StageEnd {
    /// True if it died of something that this launcher did not do.
    #[must_use]
    pub fn died(&self) -> bool {
        self.outcome.is_none() && !self.was_killed
    }
}

/// Runs `plan` from the creation of its links until the last process is reaped. Signals that ask for an end
/// are caught from now on and drain the pipeline; they do not end this process, not even after the return:
/// the caller does, with [`die_by`](crate::sys::signal::die_by), once it has said what there is to say.
///
/// Call it from the main thread: the kernel tells the stages when the *thread* that spawned them ends.
///
/// # Errors
/// When the pipeline cannot be started; nothing is left of it then. What happens later is in the [`Ending`].
pub fn run(mut plan: Plan, observe: &mut dyn FnMut(Event<'_>)) -> Result<Ending, Error> {
    let set_up = |error| Error::os("cannot catch", "signals", error);
    restore_default(&[Signal::SIGCHLD]).map_err(set_up)?;
    // A segment beyond the limit on files is an error with a name, not a death.
    ignore(&[Signal::SIGXFSZ]).map_err(set_up)?;
    let caught: Vec<Signal> = requests().chain([Signal::SIGCONT]).collect();
    let signals = Signals::catch(&caught).map_err(set_up)?;
    // What dead runs left is not ours to fail on.
    let _ = clean(false);
    let mut run = Run::new();
    let launched = launch(&mut plan, &mut run)?;
    if let Some(remark) = run.remark() {
        observe(Event::Remark(remark));
    }
    Supervisor::new(plan, run, launched, signals, observe).supervise()
}

/// A stage as the launcher knows it.
struct Stage {
    name: &'static str,
    is_source: bool,
    started: Started,
    is_ready: bool,
    ended: Option<Ended>,
    fault: Option<Fault>,
    outcome: Option<Value>,
    was_killed: bool,
}

impl Stage {
    /// True once it is reaped and everything it said has been read.
    fn is_over(&self) -> bool {
        self.ended.is_some() && !self.started.inbox.is_open()
    }
}

struct Supervisor<'a> {
    stages: Vec<Stage>,
    run: Run,
    keep_names: bool,
    launched: Launched,
    signals: Signals,
    shutdown: Shutdown,
    request: Option<Signal>,
    started_at: Instant,
    observe: &'a mut dyn FnMut(Event<'_>),
}

impl<'a> Supervisor<'a> {
    fn new(
        plan: Plan,
        run: Run,
        mut launched: Launched,
        signals: Signals,
        observe: &'a mut dyn FnMut(Event<'_>),
    ) -> Self {
        let started = std::mem::take(&mut launched.stages);
        let stages = plan.stages.iter().zip(started).map(|(stage, started)| Stage {
            name: stage.name,
            is_source: stage.is_source,
            started,
            is_ready: false,
            ended: None,
            fault: None,
            outcome: None,
            was_killed: false,
        });
        Self {
            stages: stages.collect(),
            run,
            keep_names: plan.keep_names,
            launched,
            signals,
            shutdown: Shutdown::new(plan.drain_timeout),
            request: None,
            started_at: Instant::now(),
            observe,
        }
    }

    fn supervise(mut self) -> Result<Ending, Error> {
        while !self.stages.iter().all(Stage::is_over) {
            self.wait()?;
            self.hear_signals();
            for index in 0..self.stages.len() {
                self.hear_stage(index);
                self.reap(index);
            }
            self.tell(Input::Tick);
        }
        Ok(self.ending())
    }

    fn wait(&self) -> Result<(), Error> {
        let mut fds = vec![(self.signals.as_fd(), Interest::Read)];
        for stage in &self.stages {
            if stage.started.inbox.is_open() {
                fds.push((stage.started.inbox.as_fd(), Interest::Read));
            }
            if stage.ended.is_none() {
                fds.push((stage.started.child.as_fd(), Interest::Read));
            }
        }
        wait_many(&fds, self.shutdown.deadline()).map_err(|error| Error::os("cannot wait for", "the stages", error))?;
        Ok(())
    }

    fn hear_signals(&mut self) {
        for signal in self.signals.take() {
            if signal == Signal::SIGCONT {
                self.tell(Input::Continued);
            } else {
                self.request.get_or_insert(signal);
                self.tell(Input::OwnRequest);
            }
        }
    }

    fn hear_stage(&mut self, index: usize) {
        for message in self.stages[index].started.inbox.take() {
            self.hear(index, message);
        }
    }

    fn hear(&mut self, index: usize, message: Message) {
        let stage = &mut self.stages[index];
        match message {
            Message::Ready => {
                stage.is_ready = true;
                if stage.is_source {
                    self.started_at = Instant::now();
                }
                self.start_if_ready();
            }
            Message::Request(number) => {
                if let Ok(signal) = Signal::try_from(number) {
                    self.request.get_or_insert(signal);
                    self.tell(Input::RelayedRequest);
                }
            }
            Message::Progress(count) => (self.observe)(Event::Progress(count)),
            Message::Drain(fault) => {
                stage.fault.get_or_insert(fault);
                self.tell(Input::Fault);
            }
            Message::Finished { fault, outcome } => {
                stage.outcome = Some(outcome);
                if let Some(fault) = fault {
                    stage.fault.get_or_insert(fault);
                    self.tell_of_fault(index);
                }
            }
        }
    }

    /// Once every end is attached, nothing needs a name or the launcher's own copies of the ends any more.
    fn start_if_ready(&mut self) {
        if !self.stages.iter().all(|stage| stage.is_ready) {
            return;
        }
        self.launched.links.clear();
        self.run.release();
        if !self.keep_names {
            self.run.unlink();
        }
        let stages = self.stages.iter().map(|stage| (stage.name, stage.started.child.pid())).collect();
        (self.observe)(Event::Started { stages, names: self.run.names() });
    }

    fn reap(&mut self, index: usize) {
        let stage = &mut self.stages[index];
        if stage.ended.is_some() {
            return;
        }
        stage.ended = stage.started.child.try_reap();
        let Some(ended) = stage.ended else { return };
        // Its last words may have come between the last look and its end.
        self.hear_stage(index);
        let stage = &self.stages[index];
        if stage.outcome.is_none() {
            let (stage, pid, was_killed) = (stage.name, stage.started.child.pid(), stage.was_killed);
            self.tell_of_fault(index);
            if !was_killed {
                (self.observe)(Event::Died { stage, pid, status: ended.status });
            }
        }
    }

    /// A stage that fails before it has attached its ends may leave others waiting for it, with nothing to drain.
    fn tell_of_fault(&mut self, index: usize) {
        let is_ready = self.stages[index].is_ready;
        self.tell(if is_ready { Input::Fault } else { Input::StartFailed });
    }

    fn tell(&mut self, input: Input) {
        match self.shutdown.on(input, Instant::now()) {
            Action::Nothing => {}
            Action::Drain => self.launched.stop = None,
            Action::Kill => {
                self.launched.stop = None;
                for stage in self.stages.iter_mut().filter(|stage| stage.ended.is_none()) {
                    // One that has died by itself and is not reaped yet was not killed.
                    stage.was_killed = stage.started.child.try_reap().is_none();
                    stage.started.child.signal(Signal::SIGKILL);
                }
                // Told last: whoever is told may have to wait for a terminal.
                if self.shutdown.was_forced() {
                    (self.observe)(Event::Forced { by_request: input == Input::OwnRequest });
                }
            }
        }
    }

    fn ending(mut self) -> Ending {
        self.run.unlink();
        let elapsed = self.started_at.elapsed();
        let forced = self.shutdown.was_forced();
        let stages = self.stages.into_iter().filter_map(|stage| {
            let pid = stage.started.child.pid();
            let Stage { name, ended, fault, outcome, is_ready: was_ready, was_killed, .. } = stage;
            ended.map(|ended| StageEnd { name, pid, ended, fault, outcome, was_ready, was_killed })
        });
        Ending { stages: stages.collect(), request: self.request, forced, elapsed }
    }
}
