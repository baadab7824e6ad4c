//! What whoever looks after a pool needs besides results: who works there, and to hold all of them for a while.

use std::time::Instant;

use serde::de::DeserializeOwned;

use crate::mp::pool::Pool;
use crate::mp::pool::collector::{Happened, Shared};
use crate::mp::pool::crew::Member;
use crate::mp::pool::state::State;
use crate::mp::{Error, Result, Worker};
use crate::sys::signal::{CONT, STOP};

/// Something that happened in a pool.
#[derive(Debug)]
pub enum PoolNews<R> {
    /// A job is done.
    Done {
        /// Its batch.
        batch: u64,
        /// Its place there.
        job: usize,
        /// Who did it, or failed at it; None if nobody had begun.
        worker: Option<Worker>,
        /// What came of it.
        result: Result<R>,
    },
    /// A worker was started.
    Started(Worker),
    /// A worker has ended, as this error tells, and so.
    Ended(Worker, Error, Departure),
}

/// How a worker came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It died, or was killed for the job that it was at: the job took too long, or was called off.
    Died,
    /// The pool has too many since a resize, or needs none any more.
    Dismissed,
    /// It has done as many jobs as one worker may ([`max_jobs`](crate::mp::PoolBuilder::max_jobs)).
    Spent,
}

impl<A, R> Pool<A, R> {
    /// Stops all workers where they are (SIGSTOP), and starts no other until [`resume`](Self::resume). The time of jobs
    /// stands still, and jobs can be given. Workers stand still a moment later, as the system delivers the signal.
    pub fn pause(&self) {
        self.shared.pause();
    }

    /// Has a paused pool go on.
    pub fn resume(&self) {
        self.shared.resume();
    }

    /// Ends all workers as [`stop`](Self::stop) does, and does not wait until they have; [`has_ended`](Self::has_ended)
    /// tells.
    pub fn begin_stop(&self) {
        self.shared.stop();
    }

    /// True once the pool was closed or stopped and all its workers have ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.collector.as_ref().is_none_or(std::thread::JoinHandle::is_finished)
    }
}

impl<A, R: DeserializeOwned> Pool<A, R> {
    /// Has `callback` called with everything that happens in the pool from now on, beginning with the workers that are
    /// there. It is called as that of [`on_done`](Self::on_done), in whose place it comes; what a cancel does is told in
    /// the thread that cancels.
    pub fn on_news(&self, mut callback: impl FnMut(PoolNews<R>) + Send + 'static) {
        self.shared.watch(Box::new(move |it| {
            callback(match it {
                Happened::Done(jobs, job, worker) => {
                    PoolNews::Done { batch: jobs.id, job, worker: worker.cloned(), result: jobs.read(job) }
                }
                Happened::Started(worker) => PoolNews::Started(worker.clone()),
                Happened::Ended(worker, error, how) => PoolNews::Ended(worker.clone(), error.clone(), how),
            });
        }));
    }
}

impl Shared {
    fn pause(&self) {
        let mut state = self.lock();
        state.paused_since.get_or_insert_with(Instant::now);
        state.crew.iter().for_each(|member| member.signal(STOP));
        drop(state);
        self.wake();
    }

    fn resume(&self) {
        self.lock().resume();
        self.wake();
    }
}

impl State {
    fn resume(&mut self) {
        let Some(since) = self.paused_since.take() else { return };
        let pause = since.elapsed();
        for member in &mut self.crew {
            member.postpone(pause);
            Member::signal(member, CONT);
        }
        self.feed();
    }

    /// When the first of the workers takes too long for its job; nobody does in a pause.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.paused_since.is_some() { None } else { self.crew.iter().filter_map(Member::deadline).min() }
    }

    /// Those who have taken too long.
    pub(super) fn late(&self, now: Instant) -> Vec<u64> {
        let is_late = |member: &&Member| member.deadline().is_some_and(|at| at <= now);
        let late = self.crew.iter().filter(is_late).map(|it| it.number);
        if self.paused_since.is_some() { Vec::new() } else { late.collect() }
    }
}
