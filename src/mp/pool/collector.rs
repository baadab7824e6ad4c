//! The thread of a pool: it takes in results, replaces workers that died, and ends those that take too long.

use std::os::fd::AsFd;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::mp::glance::Glance;
use crate::mp::pool::control::Departure;
use crate::mp::pool::crew::{Line, Member};
use crate::mp::pool::outcome::Jobs;
use crate::mp::pool::state::{Done, Staff, State};
use crate::mp::pool::{Options, WorkerStats};
use crate::mp::{Error, Result, Worker};
use crate::sys::wait::{self, Interest, Readiness};
use crate::sys::wake::Waker;

/// So long after a thread has found its result by itself, the next is expected to be found so, too.
const LOOKED_FOR: Duration = Duration::from_millis(1);
/// How long to wait after a worker could not be started.
const BREAK: Duration = Duration::from_millis(100);

pub(super) type Callback = Box<dyn FnMut(Happened<'_>) + Send>;

/// What a callback is told.
pub(super) enum Happened<'a> {
    /// A job is done, by this worker if anybody had begun it.
    Done(&'a Jobs, usize, Option<&'a Worker>),
    /// A worker was started.
    Started(&'a Worker),
    /// A worker has ended: why, and how it came to that.
    Ended(&'a Worker, &'a Error, Departure),
}

/// What the pool, its batches and its thread have in common.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Ends the wait of the thread.
    waker: Waker,
    callback: Mutex<Option<Callback>>,
    batches: AtomicU64,
    /// Whether a thread that waits for a result looks for it itself. One at a time does.
    glance: Mutex<Glance>,
    looked: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Shared {
    /// Starts `workers` workers and the thread.
    pub(super) fn start(options: Options, workers: usize) -> Result<(Arc<Self>, JoinHandle<()>)> {
        let mut state = State::new(options, workers);
        for number in 1..=workers {
            let started = Member::start(number as u64, &state.options);
            // If there is no room for all, those that are there end together, and not one after the other.
            state.crew.push(started.inspect_err(|_| state.crew.iter().for_each(Member::kill))?);
        }
        let shared = Arc::new(Self {
            state: Mutex::new(state),
            waker: Waker::new()?,
            callback: Mutex::new(None),
            batches: AtomicU64::new(0),
            glance: Mutex::default(),
            looked: Mutex::new(None),
        });
        let collector = Collector { shared: Arc::clone(&shared), started: workers as u64, rest_until: None };
        let name = "pool".to_owned();
        let thread = thread::Builder::new().name(name).spawn(move || collector.run());
        Ok((shared, thread.map_err(|error| crate::Error::os("cannot start", "the thread of a pool", error))?))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next batch.
    pub(super) fn next_id(&self) -> u64 {
        self.batches.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn submit(&self, jobs: &Arc<Jobs>) -> Result<()> {
        let mut state = self.lock();
        state.add(jobs)?;
        // Arguments that did not fit into a socket are for the thread to send, and the time of a job is for it to keep.
        let has_deadline = state.options.timeout.is_some();
        if has_deadline || state.crew.iter().any(Member::wants_write) || state.crew.is_empty() {
            self.waker.wake();
        }
        Ok(())
    }

    pub(super) fn resize(&self, workers: usize) {
        let mut state = self.lock();
        state.wanted = workers;
        state.shrink();
        self.waker.wake();
    }

    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.waker.wake();
    }

    pub(super) fn stop(&self) {
        self.lock().is_stopped = true;
        self.waker.wake();
    }

    pub(super) fn stats(&self) -> Vec<WorkerStats> {
        self.lock().stats()
    }

    /// Has `callback` called from now on with all that happens, first with the workers that are there.
    pub(super) fn watch(&self, callback: Callback) {
        // In this order as everywhere: who calls back holds the callback and then may want the state.
        let mut place = self.callback.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        state.staff = Some(state.crew.iter().map(|it| Staff::Started(Arc::clone(&it.worker))).collect());
        *place = Some(callback);
        drop((state, place));
        self.tell(&[]);
    }

    /// Ends the wait of the thread.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    /// Takes in results in the thread that waits for one, for a moment, until `is_done`: to wake the pool's thread, and have
    /// that wake this one, would take longer than a short job does.
    pub(super) fn look_for(&self, is_done: impl Fn() -> bool) {
        let Ok(mut glance) = self.glance.try_lock() else { return };
        // Callbacks are for the thread of the pool to call, and jobs whose time it keeps are for it to give.
        if is_done()
            || self.lock().options.timeout.is_some()
            || self.callback.try_lock().map_or(true, |callback| callback.is_some())
        {
            return;
        }
        let found = glance.at(|| {
            self.note_look(Some(Instant::now()));
            if let Ok(mut state) = self.state.try_lock() {
                state.listen_to_all(&mut Vec::new());
            }
            is_done().then_some(())
        });
        if found.is_none() && self.note_look(None).is_some() {
            self.waker.wake();
        }
    }

    fn note_look(&self, now: Option<Instant>) -> Option<Instant> {
        std::mem::replace(&mut *self.looked.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// True if somebody looked for results just now, and will look again before the pool's thread is awake.
    fn is_looked_for(&self) -> bool {
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.is_some_and(|at| at.elapsed() < LOOKED_FOR)
    }

    /// Calls off what is left of a batch; workers that are at it are killed.
    pub(super) fn cancel(&self, jobs: &Arc<Jobs>) {
        let mut done = Vec::new();
        let mut state = self.lock();
        for number in state.cancel(jobs, &mut done) {
            state.bury(number, Some(Error::job_cancelled()), &mut done);
        }
        drop(state);
        self.tell(&done);
        self.waker.wake();
    }

    /// Calls the callback, without which nobody waits for anything. One that panics is called no more: the thread of the pool
    /// has others to serve.
    fn tell(&self, done: &[Done]) {
        let mut place = self.callback.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(callback) = &mut *place else { return };
        let staff = self.lock().staff.as_mut().map(std::mem::take);
        let tell_all = AssertUnwindSafe(|| {
            for it in staff.iter().flatten() {
                callback(match it {
                    Staff::Started(worker) => Happened::Started(worker),
                    Staff::Ended(worker, error, how) => Happened::Ended(worker, error, *how),
                });
            }
            for (jobs, done, worker) in done {
                done.clone().for_each(|job| callback(Happened::Done(jobs, job, worker.as_deref())));
            }
        });
        if panic::catch_unwind(tell_all).is_err() {
            *place = None;
        }
    }
}

/// The state of the thread alone.
struct Collector {
    shared: Arc<Shared>,
    started: u64,
    /// After a start that failed, nobody is started until then.
    rest_until: Option<Instant>,
}

/// What the thread waits for.
struct Watched {
    line: Arc<Line>,
    number: u64,
    wants_write: bool,
}

impl Watched {
    fn has_ended(&self) -> bool {
        wait::look(self.line.process.as_fd(), Interest::Read).is_ok_and(Readiness::any)
    }
}

/// What was heard of one of them.
#[derive(Clone, Copy)]
struct Heard {
    has_spoken: bool,
    has_ended: bool,
}

impl Collector {
    fn run(mut self) {
        while !self.is_over() {
            self.hire();
            let (watched, deadline) = self.watched();
            let heard = self.wait(&watched, deadline);
            let mut done = Vec::new();
            self.take_in(&watched, &heard, &mut done);
            self.shared.tell(&done);
        }
    }

    /// True once there is nothing left to do and nobody left to do it.
    fn is_over(&self) -> bool {
        let mut done = Vec::new();
        let mut state = self.shared.lock();
        if state.is_stopped {
            let numbers: Vec<u64> = state.crew.iter().map(|it| it.number).collect();
            state.crew.iter().for_each(Member::kill);
            for number in numbers {
                state.bury(number, Some(Error::job_cancelled()), &mut done);
            }
            state.fail_all(&Error::job_cancelled(), &mut done);
        }
        let is_over = state.is_over() && state.crew.is_empty();
        drop(state);
        self.shared.tell(&done);
        is_over
    }

    /// Starts workers for those that are missing, without holding up the pool.
    fn hire(&mut self) {
        if self.rest_until.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.rest_until = None;
        let (vacancies, options) = {
            let state = self.shared.lock();
            (state.vacancies(), state.options.clone())
        };
        for _ in 0..vacancies {
            self.started += 1;
            match Member::start(self.started, &options) {
                Ok(member) => self.shared.lock().join(member),
                Err(error) => {
                    self.rest_until = Instant::now().checked_add(BREAK);
                    let mut done = Vec::new();
                    self.shared.lock().note_failed_start(&error, &mut done);
                    return self.shared.tell(&done);
                }
            }
        }
        if vacancies > 0 {
            self.shared.tell(&[]);
        }
    }

    fn watched(&self) -> (Vec<Watched>, Option<Instant>) {
        let mut state = self.shared.lock();
        state.shrink();
        let watch = |member: &Member| Watched {
            line: Arc::clone(&member.line),
            number: member.number,
            wants_write: member.wants_write(),
        };
        let deadlines = state.deadline().into_iter().chain(self.rest_until);
        (state.crew.iter().map(watch).collect(), deadlines.min())
    }

    /// Waits for something to happen: who spoke, and who has ended.
    fn wait(&self, watched: &[Watched], deadline: Option<Instant>) -> Vec<Heard> {
        let mut fds = vec![(self.shared.waker.as_fd(), Interest::Read)];
        if self.shared.is_looked_for() {
            let soon = Instant::now() + LOOKED_FOR;
            let _ = wait::wait_many(&fds, Some(deadline.map_or(soon, |at| at.min(soon))));
            self.shared.waker.clear();
            return watched.iter().map(|it| Heard { has_spoken: true, has_ended: it.has_ended() }).collect();
        }
        for it in watched {
            let interest = if it.wants_write { Interest::Both } else { Interest::Read };
            fds.extend([(it.line.socket.as_fd(), interest), (it.line.process.as_fd(), Interest::Read)]);
        }
        let ready = wait::wait_many(&fds, deadline);
        self.shared.waker.clear();
        let heard = |of: &[Readiness]| Heard { has_spoken: of[0].any(), has_ended: of[1].any() };
        ready.map_or_else(|_| Vec::new(), |ready| ready[1..].chunks_exact(2).map(heard).collect())
    }

    fn take_in(&self, watched: &[Watched], heard: &[Heard], done: &mut Vec<Done>) {
        let now = Instant::now();
        let mut state = self.shared.lock();
        for (it, heard) in watched.iter().zip(heard) {
            if heard.has_spoken || heard.has_ended {
                state.listen(it.number, done);
            }
            // What it said before its end has been heard by now.
            if heard.has_ended {
                state.bury(it.number, None, done);
            }
        }
        let timeout = state.options.timeout.unwrap_or_default();
        for number in state.late(now) {
            state.bury(number, Some(Error::job_late(timeout)), done);
        }
        state.feed();
    }
}
