//! What clients do with pools.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::jobs::quoted;
use crate::manager::command::{BatchTarget, Kind, Selector, Submission, Targets};
use crate::manager::context::Context;
use crate::manager::pending::{Job, Progress, Task, Verb};
use crate::manager::pool::spec::{PoolSpec, Work};
use crate::manager::pool::{MOST_JOBS, Order, Pool};
use crate::manager::process::Manner;
use crate::manager::protocol::{Answer, BatchRow, BatchState, Code, Done, Level, Refusal, Status};
use crate::manager::registry::Entry;
use crate::manager::results::Asked;
use crate::manager::supervisor::Manager;
use crate::manager::verbs::{ended, not_running};
use crate::sys::fd;

/// Descriptors that the manager needs for each worker of a pool, and those that stay free for everything else.
const PER_WORKER: u64 = 7;
const RESERVE: u64 = 48;

impl Manager {
    pub(super) fn create_pool(
        &mut self,
        at: usize,
        job: &mut Job,
        mut spec: PoolSpec,
        cwd: Option<PathBuf>,
        asker: &str,
    ) {
        let name = spec.name.to_string();
        if !self.is_free(at, job, Kind::Pool, &name) {
            return;
        }
        if let Some(refusal) = no_room(&name, spec.workers) {
            return self.refuse(at, job, refusal);
        }
        if let Work::Command(_) = spec.work {
            let base = cwd.or_else(|| std::env::current_dir().ok()).unwrap_or_default();
            spec.cwd = Some(spec.cwd.take().map_or_else(|| base.clone(), |path| base.join(path)));
        }
        let id = self.registry.next_id();
        let waker = self.waker.clone();
        let (registry, mut cx) = self.parts();
        match Pool::start(&mut cx, id, spec, waker, asker) {
            Ok(pool) => {
                registry.insert(id, Entry::Pool(Box::new(pool)));
                job.task = Task::settle(Verb::Start, vec![(id, 0)], self.now);
            }
            Err(error) => {
                self.tell(Level::Error, "refused", &format!("{name}: {error}"));
                self.refuse(at, job, Refusal::new(Code::Failed, format!("{name}: {error}")).about(name));
            }
        }
    }

    /// The one pool that `selector` means; what is none is answered.
    fn find_pool(&mut self, at: usize, job: &mut Job, selector: &Selector) -> Option<u64> {
        let targets = Targets { kind: Some(Kind::Pool), select: vec![selector.clone()] };
        let (ids, refused) = self.registry.find(&targets, true);
        match ids.as_slice() {
            [id] => Some(*id),
            [] => {
                let nobody = || Refusal::new(Code::NotFound, format!("there is no pool that {selector} means"));
                let refusal = refused.into_iter().next().unwrap_or_else(nobody);
                self.refuse(at, job, refusal);
                None
            }
            many => {
                let message = format!("{selector} means {} pools; say which one", many.len());
                self.refuse(at, job, Refusal::new(Code::Failed, message).about(selector.to_string()));
                None
            }
        }
    }

    pub(super) fn submit(&mut self, at: usize, job: &mut Job, submission: Submission) {
        let Some(id) = self.find_pool(at, job, &submission.pool) else { return };
        let (ending, client, now) = (self.ending.is_some(), self.clients[at].number, self.now);
        let (registry, mut cx) = self.parts();
        let Some(pool) = registry.pool_mut(id) else { return };
        if let Some(refusal) = unwelcome(pool, &submission, ending, client) {
            return self.refuse(at, job, refusal);
        }
        let Submission { args, single, batch, more, .. } = submission;
        let jobs = args.len() as u64;
        let answer = match pool.submit(&mut cx, args, single, batch, more.then_some(client)) {
            Ok(number) => {
                let row = pool.batches.get(number).map(|batch| batch.row(pool.name(), number, now));
                row.map(|row| Answer::Batch(BatchRow { state: BatchState::Submitted, jobs, ..row }))
            }
            Err(error) => {
                let refusal = Refusal::new(Code::Failed, error.to_string()).about(pool.name());
                return self.refuse(at, job, refusal);
            }
        };
        answer.into_iter().for_each(|answer| self.clients[at].connection.send(answer));
        // What waits was not seen by the wait for events.
        self.busy = true;
    }

    pub(super) fn results(&mut self, at: usize, job: &mut Job, target: &BatchTarget, order: Order, pop: bool) {
        let Some(id) = self.find_pool(at, job, &target.pool) else { return };
        let Some(pool) = self.registry.pool(id) else { return };
        let numbers = match target.batch {
            None => pool.batches.numbers(),
            Some(number) if pool.batches.get(number).is_some() => vec![number],
            Some(number) => {
                let refusal = no_batch(pool, number);
                return self.refuse(at, job, refusal);
            }
        };
        job.task = Task::Results(Asked::new(id, numbers, order, pop));
    }

    pub(super) fn cancel(&mut self, at: usize, job: &mut Job, targets: &[BatchTarget], asker: &str) {
        let mut left = Vec::new();
        for target in targets {
            let wanted = Targets { kind: Some(Kind::Pool), select: vec![target.pool.clone()] };
            for id in self.find(at, job, &wanted, true) {
                let (registry, mut cx) = self.parts();
                let Some(pool) = registry.pool_mut(id) else { continue };
                let unfinished = pool.batches.unfinished();
                let numbers = match target.batch {
                    None => unfinished,
                    Some(number) if unfinished.contains(&number) => vec![number],
                    Some(number) => {
                        let refusal = match pool.batches.get(number) {
                            Some(_) => {
                                let message = format!("batch {number} of {} is done already", pool.name());
                                Refusal::new(Code::NotRunning, message).about(pool.name())
                            }
                            None => no_batch(pool, number),
                        };
                        self.refuse(at, job, refusal);
                        continue;
                    }
                };
                for number in numbers {
                    pool.cancel(&mut cx, number, asker);
                    left.push((id, number));
                }
            }
        }
        self.busy = true;
        job.task = Task::Cancel { left };
    }

    /// Answers the batches that have ended, as far as they were called off.
    pub(super) fn await_cancel(&mut self, at: usize, mut left: Vec<(u64, u64)>) -> Option<Task> {
        left.retain(|&(id, number)| {
            let Some(pool) = self.registry.pool(id) else { return false };
            let Some(batch) = pool.batches.get(number) else { return false };
            if !batch.is_done() {
                return true;
            }
            let row = batch.row(pool.name(), number, self.now);
            self.clients[at].connection.send(Answer::Batch(BatchRow { state: BatchState::Cancelled, ..row }));
            false
        });
        (!left.is_empty()).then_some(Task::Cancel { left })
    }

    pub(super) fn resize(&mut self, at: usize, job: &mut Job, pool: Selector, workers: NonZeroUsize, asker: &str) {
        let Some(id) = self.find_pool(at, job, &pool) else { return };
        let (registry, mut cx) = self.parts();
        let Some(pool) = registry.pool_mut(id) else { return };
        let more = workers.get().saturating_sub(pool.spec.workers);
        let refusal = match pool.status() {
            Status::Stopping => Some(being_ended(pool)),
            status if status.is_final() => Some(not_running(pool.name(), status)),
            _ => no_room(pool.name(), more).filter(|_| more > 0),
        };
        if let Some(refusal) = refusal {
            return self.refuse(at, job, refusal);
        }
        pool.resize(&mut cx, workers, asker);
        let noun = if workers.get() == 1 { "worker" } else { "workers" };
        self.busy = true;
        self.report(at, id, Done::Resized, |deed| deed.note = Some(format!("{workers} {noun}")));
    }

    pub(super) fn list_batches(&mut self, at: usize) {
        let now = self.now;
        let rows = self.registry.pools().flat_map(|pool| {
            let row = move |number| Some(pool.batches.get(number)?.row(pool.name(), number, now));
            pool.batches.numbers().into_iter().filter_map(row)
        });
        for row in rows.collect::<Vec<_>>() {
            self.clients[at].connection.send(Answer::Batch(row));
        }
    }

    /// Closes the batches for which more was announced by somebody who has gone.
    pub(super) fn seal_batches(&mut self) {
        let clients: Vec<u64> = self.clients.iter().map(|client| client.number).collect();
        let (registry, mut cx) = self.parts();
        for (_, entry) in registry.iter_mut() {
            if let Entry::Pool(pool) = entry {
                pool.seal(&mut cx, &clients);
            }
        }
        // Somebody may wait for what is done by that.
        self.busy = true;
    }

    /// Has no pool take more jobs. A paused one says so only by refusing them.
    pub(super) fn close_pools(&mut self, cause: &str) {
        let (registry, mut cx) = self.parts();
        for (_, entry) in registry.iter_mut() {
            if let Entry::Pool(pool) = entry {
                pool.close(&mut cx, cause);
            }
        }
    }
}

/// Why a pool does not take these jobs, if it does not.
fn unwelcome(pool: &Pool, submission: &Submission, ending: bool, client: u64) -> Option<Refusal> {
    let name = pool.name();
    let failed = |message: String| Some(Refusal::new(Code::Failed, message).about(name));
    match pool.status() {
        status if status.is_final() => return Some(not_running(name, status)),
        Status::Stopping => return Some(being_ended(pool)),
        _ if ending => return Some(Refusal::new(Code::Ending, "the manager is ending").about(name)),
        _ => {}
    }
    if let Some(number) = submission.batch.filter(|number| !pool.batches.is_open_for(*number, client)) {
        return failed(format!("batch {number} of {name} takes no more jobs"));
    }
    if pool.batches.is_full(submission.args.len()) {
        return failed(format!(
            "{name} keeps {MOST_JOBS} jobs at most; show results with --pop, which forgets them, before submitting more"
        ));
    }
    let is_task = matches!(pool.spec.work, Work::Task(_));
    let foreign = submission.args.iter().find(|arg| is_task && arg.to_str().is_none());
    foreign.and_then(|arg| failed(format!("'{}' is no text, and the arguments of a task are", arg.display())))
}

fn being_ended(pool: &Pool) -> Refusal {
    Refusal::new(Code::Failed, format!("{} is being ended", pool.name())).about(pool.name())
}

fn no_batch(pool: &Pool, number: u64) -> Refusal {
    let message = format!("{} has no batch {number}; 'list batch' shows those that are kept", pool.name());
    Refusal::new(Code::NotFound, message).about(pool.name())
}

/// Why there cannot be so many workers more, if there cannot.
fn no_room(name: &str, workers: usize) -> Option<Refusal> {
    let most = fd::limit().saturating_sub(RESERVE) / PER_WORKER;
    let message = || {
        format!(
            "{name}: the limit on open files is enough for {most} workers and not for {workers}; raise it ('ulimit -n')"
        )
    };
    (workers as u64 > most).then(|| Refusal::new(Code::Failed, message()).about(name))
}

/// Begins what is to be done with a pool.
pub(super) fn drive(pool: &mut Pool, cx: &mut Context<'_>, verb: Verb, asker: &str) -> Result<(), Refusal> {
    let name = pool.name().to_owned();
    let refused = |message: String| Err(Refusal::new(Code::Failed, message).about(&name));
    match verb {
        _ if !pool.is_live() => return Err(not_running(&name, pool.status())),
        Verb::Signal(_) => return refused(format!("{name} is a pool; signals are sent to processes")),
        Verb::Restart => return refused(format!("{name} is a pool; create it again when it has ended")),
        Verb::Pause | Verb::Resume if *pool.status() == Status::Stopping => return Err(being_ended(pool)),
        Verb::Pause => pool.pause(cx, asker),
        Verb::Resume => pool.resume(cx, asker),
        Verb::Terminate(Manner { kill, .. }) => {
            pool.terminate(cx, kill, asker);
        }
        Verb::Start => {}
    }
    Ok(())
}

/// How far a pool is with what is done to it.
pub(super) fn progress(pool: &Pool, verb: Verb, late: bool) -> Progress {
    let name = pool.name();
    let failed = |code, message: String| Progress::Refused(Refusal::new(code, message).about(name));
    match (verb, pool.status()) {
        (Verb::Start, Status::Starting) => Progress::Going,
        (Verb::Start, Status::Failed { reason }) => failed(Code::Failed, format!("{name}: {reason}")),
        (Verb::Start, _) => Progress::Done(Done::Created, None, None),
        (Verb::Pause, Status::Paused) => Progress::Done(Done::Paused, None, None),
        (Verb::Pause, Status::Pausing) if late => failed(Code::TimedOut, format!("{name} is not paused yet")),
        (Verb::Resume, Status::Running | Status::Closing) => Progress::Done(Done::Resumed, None, None),
        (Verb::Terminate(_), status) if status.is_final() => {
            let took = pool.last_stop().map(|stop| stop.took);
            Progress::Done(Done::Ended, None, took)
        }
        (Verb::Pause | Verb::Resume, status) if status.is_final() || *status == Status::Stopping => {
            let verb = if verb == Verb::Pause { "paused" } else { "resumed" };
            let why = if status.is_final() { ended(status) } else { "is being ended".to_owned() };
            failed(Code::Failed, format!("{name} was not {verb}: it {why}"))
        }
        (Verb::Pause, Status::Running) => failed(Code::Failed, format!("{name} was resumed meanwhile")),
        _ => Progress::Going,
    }
}

/// What a pool has done, in a clause.
pub(super) fn account(pool: &Pool) -> String {
    let tally = pool.batches.tally();
    let jobs = if tally.done == 1 { "job" } else { "jobs" };
    format!("{} {jobs} done{}", tally.done, tally.remark())
}

/// What is worth saying about what was done to a pool.
pub(super) fn note(pool: &Pool, done: Done) -> Option<String> {
    let plural = |number: u64, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    match done {
        Done::Created => {
            let workers = plural(pool.spec.workers as u64, "worker", "workers");
            Some(format!("{workers}: {}", quoted(&pool.spec.work.words())))
        }
        Done::Paused => Some(plural(pool.crew().len() as u64, "process", "processes")),
        Done::Ended => pool.last_stop().map(|stop| {
            let workers = plural(u64::from(stop.workers), "process", "processes");
            format!("{workers}, {} cancelled", plural(stop.jobs, "job", "jobs"))
        }),
        _ => None,
    }
}
