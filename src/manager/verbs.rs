//! What each command begins. What takes time becomes a [`Job`]; the rest is answered at once.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::manager::command::{Command, Kind, Targets};
use crate::manager::ending::{Ending, How};
use crate::manager::order;
use crate::manager::pending::{Job, Task, Verb};
use crate::manager::pools;
use crate::manager::process::{Manner, Process};
use crate::manager::protocol::{Answer, Code, Deed, Done, Level, Refusal, Request, Status};
use crate::manager::registry::Entry;
use crate::manager::spec::{self, ProcessSpec, Program, ThreadSpec};
use crate::manager::supervisor::Manager;
use crate::manager::thread_entry::Thread;

impl Manager {
    /// Begins what client number `at` asks for.
    pub(super) fn begin(&mut self, at: usize, request: Request) -> Option<Job> {
        let Request { cmd, cwd, id, .. } = request;
        let words: Vec<OsString> = cmd.into_iter().map(OsString::from).collect();
        let cwd = cwd.map(|cwd| PathBuf::from(OsString::from(cwd)));
        match (self.parse)(&words) {
            Err(refusal) => {
                self.finish(at, Some(refusal), id);
                None
            }
            Ok(command) => {
                let asker = self.clients[at].label.clone();
                let job = self.execute(at, command, cwd, &asker, id);
                self.carry_on(at, job)
            }
        }
    }

    fn execute(
        &mut self,
        at: usize,
        command: Command,
        cwd: Option<PathBuf>,
        asker: &str,
        id: Option<serde_json::Value>,
    ) -> Job {
        let mut job = Job::new(id);
        // What a client asked to have done before it went away is done; what it wanted to see is not.
        if command.only_looks() && self.clients[at].connection.is_gone() {
            return job;
        }
        match command {
            Command::CreateProcess(spec) => self.create_process(at, &mut job, *spec, cwd, asker),
            Command::CreateThread(spec) => self.create_thread(at, &mut job, spec, asker),
            Command::CreatePool(spec) => self.create_pool(at, &mut job, *spec, cwd, asker),
            Command::Submit(submission) => self.submit(at, &mut job, submission),
            Command::Results { target, order, pop } => self.results(at, &mut job, &target, order, pop),
            Command::Cancel(targets) => self.cancel(at, &mut job, &targets, asker),
            Command::Resize { pool, workers } => self.resize(at, &mut job, pool, workers, asker),
            Command::ListBatches => self.list_batches(at),
            Command::Pause(targets) => self.drive(at, &mut job, &targets, Verb::Pause, asker),
            Command::Resume(targets) => self.drive(at, &mut job, &targets, Verb::Resume, asker),
            Command::Terminate { targets, grace } => {
                self.drive(at, &mut job, &targets, Verb::Terminate(Manner { grace, kill: false }), asker);
            }
            Command::Kill(targets) => {
                self.drive(at, &mut job, &targets, Verb::Terminate(Manner { grace: None, kill: true }), asker);
            }
            Command::Restart(targets) => self.drive(at, &mut job, &targets, Verb::Restart, asker),
            Command::Signal { signal, targets } => self.drive(at, &mut job, &targets, Verb::Signal(signal), asker),
            Command::Wait { targets, timeout } => {
                let ids = self.find(at, &mut job, &targets, true);
                job.task = Task::wait(ids, timeout, self.now);
            }
            Command::List(kind) => self.list(at, kind),
            Command::Show(targets) => self.show(at, &mut job, &targets),
            Command::Why(targets) => self.why(at, &mut job, &targets),
            Command::Logs { targets, follow, lines } => {
                let ids = self.find(at, &mut job, &targets, false);
                let outputs = ids.into_iter().filter_map(|id| Some((id, self.registry.get(id)?.output())));
                job.task = Task::logs(outputs, follow, lines);
            }
            Command::Events { follow, lines } => job.task = Task::events(&self.events, follow, lines),
            Command::Save => self.save(at),
            Command::Forget(targets) => self.forget(at, &mut job, &targets),
            Command::Names => self.names(at),
            Command::Quit { timeout } => self.end(at, &mut job, How::Quit, timeout),
            Command::Clear => self.end(at, &mut job, How::Clear, None),
            Command::Exit => self.end(at, &mut job, How::Exit, None),
        }
        job
    }

    /// The IDs of `targets`; what was not found is answered and counts for the exit status.
    pub(super) fn find(&mut self, at: usize, job: &mut Job, targets: &Targets, live: bool) -> Vec<u64> {
        let (ids, refused) = self.registry.find(targets, live);
        for refusal in refused {
            self.refuse(at, job, refusal);
        }
        ids
    }

    /// Answers with a refusal; the first one decides the exit status.
    pub(super) fn refuse(&mut self, at: usize, job: &mut Job, refusal: Refusal) {
        job.fail(refusal.code.exit());
        self.clients[at].connection.send(Answer::Error(refusal));
    }

    /// True if new work is taken and `name` is free; otherwise that is answered.
    pub(super) fn is_free(&mut self, at: usize, job: &mut Job, kind: Kind, name: &str) -> bool {
        if self.ending.is_some() {
            let message = format!("{name} was not created: the manager is ending");
            self.refuse(at, job, Refusal::new(Code::Ending, message).about(name));
            return false;
        }
        let Some(entry) = self.registry.by_name(kind, name).and_then(|id| self.registry.get(id)) else { return true };
        let left = match entry {
            Entry::Process(process) => process.members(&self.leaders).len(),
            Entry::Thread(_) | Entry::Pool(_) => 0,
        };
        let by = match (entry.is_live(), entry.number(), left) {
            (true, ..) if kind == Kind::Pool => "it is a pool".to_owned(),
            (true, Some(number), _) if kind == Kind::Thread => format!("tid {number}"),
            (true, Some(number), _) => format!("pid {number}"),
            (true, None, _) => "it has no process now".to_owned(),
            (false, _, 0) => return true,
            (false, _, 1) => format!("one of its processes lives on; terminate {name}"),
            (false, ..) => format!("{left} of its processes live on; terminate {name}"),
        };
        let refusal = Refusal::new(Code::NameTaken, format!("the name {name} is taken ({by})")).about(name);
        self.refuse(at, job, refusal);
        false
    }

    fn create_process(&mut self, at: usize, job: &mut Job, mut spec: ProcessSpec, cwd: Option<PathBuf>, asker: &str) {
        let name = spec.name.to_string();
        if !self.is_free(at, job, Kind::Process, &name) {
            return;
        }
        if let Some(circle) = order::circle(&spec, &self.registry) {
            let message = format!("{name} would wait for itself: {}", circle.join(" comes after "));
            return self.refuse(at, job, Refusal::new(Code::Failed, message).about(name));
        }
        settle_paths(&mut spec, cwd);
        let turn = order::turn(&spec, &self.registry);
        let id = self.registry.next_id();
        let mut process = Process::new(id, spec, asker);
        let (_, mut cx) = self.parts();
        let started = match &turn {
            order::Turn::Now => process.start(&mut cx, &format!("created by {asker}")),
            order::Turn::Later => Ok(()),
            order::Turn::Never(why) => {
                return self.refuse(at, job, Refusal::new(Code::Failed, format!("{name}: {why}")).about(name));
            }
        };
        if let Err(error) = started {
            self.tell(Level::Error, "refused", &format!("{name}: {error}"));
            return self.refuse(at, job, Refusal::new(Code::Failed, format!("{name}: {error}")).about(name));
        }
        let note = match turn {
            order::Turn::Now => builtin(&process.spec.program),
            _ => Some(format!("waits for {}", order::missing(&process, &self.registry).join(", "))),
        };
        self.registry.insert(id, Entry::Process(Box::new(process)));
        self.report(at, id, Done::Created, |deed| deed.note = note);
    }

    fn create_thread(&mut self, at: usize, job: &mut Job, spec: ThreadSpec, asker: &str) {
        let name = spec.name.to_string();
        if !self.is_free(at, job, Kind::Thread, &name) {
            return;
        }
        let id = self.registry.next_id();
        let waker = self.waker.clone();
        let (registry, mut cx) = self.parts();
        match Thread::start(&mut cx, id, spec, waker, asker) {
            Ok(thread) => {
                let task = thread.spec.task.to_string();
                registry.insert(id, Entry::Thread(Box::new(thread)));
                self.report(at, id, Done::Created, |deed| deed.note = Some(task));
            }
            Err(error) => {
                self.refuse(at, job, Refusal::new(Code::Failed, format!("{name}: {error}")).about(name));
            }
        }
    }

    /// Begins something for each target; [`Job`] answers when it is done.
    fn drive(&mut self, at: usize, job: &mut Job, targets: &Targets, verb: Verb, asker: &str) {
        let ids = self.find(at, job, targets, verb != Verb::Restart);
        let mut left = Vec::new();
        for id in ids {
            let starts = self.restarts(id);
            match self.begin_one(id, verb, asker) {
                Ok(()) => left.push((id, starts)),
                Err(refusal) => self.refuse(at, job, refusal),
            }
        }
        job.task = Task::settle(verb, left, self.now);
    }

    fn restarts(&self, id: u64) -> u32 {
        match self.registry.get(id) {
            Some(Entry::Process(process)) => process.restarts.total(),
            _ => 0,
        }
    }

    fn begin_one(&mut self, id: u64, verb: Verb, asker: &str) -> Result<(), Refusal> {
        let ending = self.ending.is_some();
        let (registry, mut cx) = self.parts();
        match registry.get_mut(id) {
            Some(Entry::Process(process)) => match verb {
                Verb::Restart if ending => Err(Refusal::new(Code::Ending, "the manager is ending")),
                Verb::Restart => {
                    process.terminate_for_restart(&mut cx, asker);
                    Ok(())
                }
                Verb::Terminate(manner) if process.terminate(&mut cx, manner, asker) => Ok(()),
                _ if !process.is_live() => Err(not_running(process.name(), process.status())),
                Verb::Pause | Verb::Resume if process.is_stopping() => {
                    let message = format!("{} is being ended", process.name());
                    Err(Refusal::new(Code::Failed, message).about(process.name()))
                }
                Verb::Pause => {
                    process.begin_pause(&mut cx, &format!("paused by {asker}"));
                    Ok(())
                }
                Verb::Resume => {
                    process.resume(&mut cx, &format!("resumed by {asker}"));
                    Ok(())
                }
                Verb::Signal(signal) => process.signal(&mut cx, signal, asker),
                Verb::Terminate(_) => Err(not_running(process.name(), process.status())),
                // A process is begun where it is made.
                Verb::Start => Ok(()),
            },
            Some(Entry::Thread(thread)) => drive_thread(thread, &mut cx, verb, asker),
            Some(Entry::Pool(pool)) => pools::drive(pool, &mut cx, verb, asker),
            None => Ok(()),
        }
    }

    fn forget(&mut self, at: usize, job: &mut Job, targets: &Targets) {
        for id in self.find(at, job, targets, false) {
            let Some(entry) = self.registry.get(id) else { continue };
            let name = entry.name().to_owned();
            let left = match entry {
                Entry::Process(process) => process.members(&self.leaders).len(),
                Entry::Thread(_) | Entry::Pool(_) => 0,
            };
            if entry.is_live() || left > 0 {
                let many = targets.select.len() == 1 && targets.select[0] == crate::manager::command::Selector::All;
                if !many {
                    let message = format!("{name} has not ended; terminate it first");
                    self.refuse(at, job, Refusal::new(Code::Failed, message).about(name));
                }
                continue;
            }
            self.report(at, id, Done::Forgotten, |_| {});
            self.registry.remove(id);
        }
    }

    fn end(&mut self, at: usize, job: &mut Job, how: How, timeout: Option<std::time::Duration>) {
        let asker = self.clients[at].label.clone();
        let names = self.begin_ending(Ending::new(how, timeout, self.now, asker));
        if !names.is_empty() && how != How::Exit {
            self.clients[at].connection.send(Answer::Waiting { names });
        }
        job.task = Task::End;
    }

    /// Says what was done to one target.
    pub(super) fn report(&mut self, at: usize, id: u64, done: Done, adapt: impl FnOnce(&mut Deed)) {
        let Some(entry) = self.registry.get(id) else { return };
        let mut deed = Deed {
            done,
            kind: entry.kind(),
            id,
            name: entry.name().to_owned(),
            pid: entry.last_number(),
            processes: None,
            took_ms: None,
            status: entry.status().clone(),
            note: match entry {
                Entry::Pool(pool) => pools::note(pool, done),
                _ => None,
            },
        };
        adapt(&mut deed);
        // Who has been told that a process runs can rely on a later manager to find it.
        self.write_journal();
        self.clients[at].connection.send(Answer::Done(deed));
    }

    /// Starts what waited for something that has happened by now.
    pub(super) fn start_waiting(&mut self) {
        while let Some((id, turn)) = self.next_in_turn() {
            let (registry, mut cx) = self.parts();
            let Some(Entry::Process(process)) = registry.get_mut(id) else { return };
            match turn {
                order::Turn::Never(why) => process.give_up(&mut cx, &why),
                _ => process.start_in_turn(&mut cx),
            }
        }
    }

    /// A waiting process whose wait is over, one way or the other.
    fn next_in_turn(&self) -> Option<(u64, order::Turn)> {
        let waiting = self.registry.processes().filter(|process| process.is_waiting());
        let mut verdicts = waiting.map(|process| (process.id, order::turn(&process.spec, &self.registry)));
        verdicts.find(|(_, turn)| *turn != order::Turn::Later)
    }
}

fn drive_thread(
    thread: &mut Thread,
    cx: &mut crate::manager::context::Context<'_>,
    verb: Verb,
    asker: &str,
) -> Result<(), Refusal> {
    let refused = |message: String| Err(Refusal::new(Code::Failed, message).about(thread.name()));
    let name = thread.name();
    match verb {
        _ if !thread.is_live() => return Err(not_running(name, thread.status())),
        Verb::Terminate(Manner { kill: true, .. }) => {
            return refused(format!("{name} is a thread, and threads are never killed; terminate asks it to stop"));
        }
        Verb::Signal(_) => return refused(format!("{name} is a thread; signals are sent to processes")),
        Verb::Restart => return refused(format!("{name} is a thread; create it again when it has ended")),
        Verb::Pause => thread.pause(cx, asker),
        Verb::Resume => thread.resume(cx, asker),
        Verb::Terminate(_) => thread.stop(cx, asker),
        // A thread is begun where it is made.
        Verb::Start => {}
    }
    Ok(())
}

pub(super) fn not_running(name: &str, status: &Status) -> Refusal {
    Refusal::new(Code::NotRunning, format!("{name} is not running: it {}", ended(status))).about(name)
}

/// How something ended, in a clause.
pub(super) fn ended(status: &Status) -> String {
    match status {
        Status::Exited { code } => format!("exited with {code}"),
        Status::Killed { signal } => format!("was ended by {signal}"),
        Status::Failed { reason } => format!("failed: {reason}"),
        Status::Gone => "is gone, and nobody knows how it ended".into(),
        Status::Done => "has done its task".into(),
        Status::Stopped => "was stopped".into(),
        Status::Panicked => "panicked".into(),
        _ => "lives".into(),
    }
}

/// What a process does that was given no command.
fn builtin(program: &Program) -> Option<String> {
    match *program {
        Program::Tick { every } => Some(spec::Task::Tick { every }.to_string()),
        Program::Command(_) => None,
    }
}

/// Paths start from where the client is, not from where the manager happens to be.
fn settle_paths(spec: &mut ProcessSpec, cwd: Option<PathBuf>) {
    let base = cwd.or_else(|| std::env::current_dir().ok()).unwrap_or_default();
    spec.log_file = spec.log_file.take().map(|path| base.join(path));
    spec.cwd = Some(match spec.cwd.take() {
        Some(path) => base.join(path),
        None => base,
    });
}
