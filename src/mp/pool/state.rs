//! Who does what next: the jobs that wait, the workers, and what happens when one of them answers or dies.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::mp::attempt::{Attempt, Kind, Verb};
use crate::mp::pool::control::Departure;
use crate::mp::pool::crew::{Flight, Member, Span};
use crate::mp::pool::outcome::Jobs;
use crate::mp::pool::{Options, WorkerStats};
use crate::mp::wire::Message;
use crate::mp::{Error, Result, Worker};

/// So many workers in a row that end without having done a job mean that none ever will.
const HOPELESS: u32 = 10;

/// So many jobs make a batch at most, where the pool may choose.
const LARGEST: usize = 1024;

/// A pool, behind its lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Options,
    /// How many workers there are to be.
    pub(super) wanted: usize,
    pub(super) crew: Vec<Member>,
    waiting: VecDeque<Span>,
    waiting_jobs: usize,
    pub(super) is_closed: bool,
    pub(super) is_stopped: bool,
    /// Ends of workers since a job was done.
    futile: u32,
    /// What those workers did that are gone.
    former: Vec<WorkerStats>,
    /// Since when the workers stand still.
    pub(super) paused_since: Option<Instant>,
    /// What is to be told of workers; None if nobody wants to hear of them.
    pub(super) staff: Option<Vec<Staff>>,
}

/// Jobs that are done, for the callback, and who did them.
pub(super) type Done = (Arc<Jobs>, Range<usize>, Option<Arc<Worker>>);

/// A change among the workers, for the callback.
#[derive(Debug)]
pub(super) enum Staff {
    Started(Arc<Worker>),
    /// Why, and how it came to that.
    Ended(Arc<Worker>, Error, Departure),
}

impl State {
    pub(super) fn new(options: Options, wanted: usize) -> Self {
        Self {
            options,
            wanted,
            crew: Vec::new(),
            waiting: VecDeque::new(),
            waiting_jobs: 0,
            is_closed: false,
            is_stopped: false,
            futile: 0,
            former: Vec::new(),
            paused_since: None,
            staff: None,
        }
    }

    /// How many jobs are waiting or being done.
    pub(super) fn pending(&self) -> usize {
        let flying = |member: &Member| member.flights.iter().map(Flight::left).sum::<usize>();
        self.waiting_jobs + self.crew.iter().map(flying).sum::<usize>()
    }

    /// True when nothing is to be done any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_stopped || (self.is_closed && self.pending() == 0)
    }

    /// How many workers are missing.
    pub(super) fn vacancies(&self) -> usize {
        let staying = self.crew.iter().filter(|it| !it.is_retiring).count();
        if self.is_over() || self.paused_since.is_some() { 0 } else { self.wanted.saturating_sub(staying) }
    }

    /// How many jobs make a good batch by what is known: many short ones, or one long one.
    pub(super) fn chunk(&self) -> usize {
        let shifts = self.crew.iter().filter_map(|it| it.shift(&self.options));
        self.options.chunk.map_or_else(|| shifts.max().unwrap_or(1).min(LARGEST), NonZeroUsize::get)
    }

    /// What each worker has done, also of those that are gone.
    pub(super) fn stats(&self) -> Vec<WorkerStats> {
        self.former.iter().cloned().chain(self.crew.iter().map(|it| WorkerStats::of(it, true))).collect()
    }

    pub(super) fn add(&mut self, jobs: &Arc<Jobs>) -> Result<()> {
        if self.is_closed || self.is_stopped {
            return Err(Error::Closed(Attempt::with_some(Verb::Put, Kind::Pool)));
        }
        if jobs.len() > 0 {
            self.waiting_jobs += jobs.len();
            self.waiting.push_back(Span { jobs: Arc::clone(jobs), next: 0, end: jobs.len() });
            self.feed();
        }
        Ok(())
    }

    /// Gives waiting jobs to workers that can take some.
    pub(super) fn feed(&mut self) {
        if self.paused_since.is_some() {
            return;
        }
        let workers = self.wanted.max(1);
        // Nobody gets a second load before everybody has a first.
        for loads in 0..2 {
            for member in self.crew.iter_mut().filter(|it| it.flights.len() <= loads) {
                let Some(span) = self.waiting.front_mut() else { return };
                let most = member.appetite(&self.options, self.waiting_jobs, workers);
                if most == 0 {
                    continue;
                }
                let before = span.next;
                member.give(span, most, &self.options);
                self.waiting_jobs -= span.next - before;
                if span.next == span.end {
                    self.waiting.pop_front();
                }
            }
        }
    }

    /// Has a job wait again, before all others; those that were taken from the queue together come back last one first.
    fn put_back(&mut self, jobs: &Arc<Jobs>, job: usize, done: &mut Vec<Done>) {
        if jobs.lock().is_cancelled {
            jobs.fail(job, Error::job_cancelled(), 0);
            return done.push((Arc::clone(jobs), job..job + 1, None));
        }
        self.waiting_jobs += 1;
        match self.waiting.front_mut() {
            Some(span) if Arc::ptr_eq(&span.jobs, jobs) && span.next == job + 1 => span.next = job,
            _ => self.waiting.push_front(Span { jobs: Arc::clone(jobs), next: job, end: job + 1 }),
        }
    }

    /// Takes in what a worker has said, or that it has ended, and sends it what could not be sent before.
    pub(super) fn listen(&mut self, number: u64, done: &mut Vec<Done>) {
        loop {
            let Some(member) = self.crew.iter_mut().find(|it| it.number == number) else { return };
            match member.answer() {
                Ok(None) => return member.flush(),
                Ok(Some(message)) => {
                    if let Err(error) = self.hear(number, message, done) {
                        return self.bury(number, Some(error), done);
                    }
                }
                Err(_) => return self.bury(number, None, done),
            }
        }
    }

    /// Takes in what those have said who were given jobs.
    pub(super) fn listen_to_all(&mut self, done: &mut Vec<Done>) {
        let busy: Vec<u64> = self.crew.iter().filter(|it| !it.is_idle()).map(|it| it.number).collect();
        for number in busy {
            self.listen(number, done);
        }
        self.feed();
    }

    /// Takes in a new worker.
    pub(super) fn join(&mut self, member: Member) {
        self.note_staff(Staff::Started(Arc::clone(&member.worker)));
        self.crew.push(member);
        self.feed();
    }

    fn note_staff(&mut self, staff: Staff) {
        if let Some(all) = &mut self.staff {
            all.push(staff);
        }
    }

    /// Notes that a worker could not be started.
    pub(super) fn note_failed_start(&mut self, error: &Error, done: &mut Vec<Done>) {
        self.futile += 1;
        if self.futile >= HOPELESS && self.crew.is_empty() {
            self.fail_all(error, done);
        }
    }

    /// Notes what a worker has said, and what is done now.
    ///
    /// # Errors
    /// [`Error::Codec`]: it is no answer. The worker is not to be trusted any more.
    fn hear(&mut self, number: u64, message: Message, done: &mut Vec<Done>) -> Result<()> {
        let Some(member) = self.crew.iter_mut().find(|it| it.number == number) else { return Ok(()) };
        let worker = Arc::clone(&member.worker);
        let flight = member.flights.front_mut().ok_or_else(|| Error::codec("an answer without a question"))?;
        let (jobs, first) = (Arc::clone(&flight.jobs), flight.first + flight.done);
        let delivered = jobs.deliver(first, flight.left(), message, &worker, self.options.retries)?;
        flight.done += delivered.jobs;
        if flight.left() == 0 {
            member.flights.pop_front();
        }
        member.answered += delivered.jobs as u64;
        member.busy += Duration::from_nanos(delivered.busy);
        self.futile = 0;
        let mut from = first;
        for to in delivered.again.iter().copied().chain([first + delivered.jobs]) {
            if from < to {
                done.push((Arc::clone(&jobs), from..to, Some(Arc::clone(&worker))));
            }
            from = to + 1;
        }
        for job in delivered.again.into_iter().rev() {
            self.put_back(&jobs, job, done);
        }
        Ok(())
    }

    /// Notes the end of a worker: the job that it died of is tried again or fails, the others wait for another worker.
    /// `cause` is why it was killed, if the pool did it.
    pub(super) fn bury(&mut self, number: u64, cause: Option<Error>, done: &mut Vec<Done>) {
        let Some(at) = self.crew.iter().position(|it| it.number == number) else { return };
        let member = self.crew.remove(at);
        if cause.is_some() {
            member.kill();
        }
        self.former.push(WorkerStats::of(&member, false));
        self.futile += u32::from(member.answered == 0);
        let worker = Arc::clone(&member.worker);
        let leave = if member.is_spent(&self.options) { Departure::Spent } else { Departure::Dismissed };
        let leave = Some(leave).filter(|_| cause.is_none() && member.is_retiring);
        let (error, flights, begun) = member.bury();
        let how = leave.filter(|_| matches!(error, Error::Exited(_, 0))).unwrap_or(Departure::Died);
        let lost: Vec<(Arc<Jobs>, usize)> = flights
            .iter()
            .flat_map(|it| (it.first + it.done..it.first + it.count).map(|job| (Arc::clone(&it.jobs), job)))
            .collect();
        // Jobs are begun in order, so it is the last one begun that it died of; the pool kills only those with a job.
        let culprit = if cause.is_some() { begun.max(1) } else { begun }.checked_sub(1);
        let error = cause.unwrap_or(error);
        self.note_staff(Staff::Ended(Arc::clone(&worker), error.clone(), how));
        for (place, (jobs, job)) in lost.into_iter().enumerate().rev() {
            let is_culprit = culprit == Some(place as u64);
            if is_culprit && !jobs.fail(job, error.clone(), self.options.retries) {
                done.push((jobs, job..job + 1, Some(Arc::clone(&worker))));
            } else {
                self.put_back(&jobs, job, done);
            }
        }
        if self.futile >= HOPELESS {
            self.fail_all(&error, done);
        }
    }

    /// Gives up on all jobs.
    pub(super) fn fail_all(&mut self, error: &Error, done: &mut Vec<Done>) {
        for span in self.waiting.drain(..) {
            for job in span.next..span.end {
                span.jobs.fail(job, error.clone(), 0);
                done.push((Arc::clone(&span.jobs), job..job + 1, None));
            }
        }
        (self.waiting_jobs, self.futile) = (0, 0);
    }

    /// Calls off a batch: what waits does not begin. The numbers of the workers that are at it.
    pub(super) fn cancel(&mut self, jobs: &Arc<Jobs>, done: &mut Vec<Done>) -> Vec<u64> {
        jobs.lock().is_cancelled = true;
        let (called_off, stay): (VecDeque<_>, VecDeque<_>) =
            self.waiting.drain(..).partition(|span| Arc::ptr_eq(&span.jobs, jobs));
        self.waiting = stay;
        for job in called_off.iter().flat_map(|span| span.next..span.end) {
            self.waiting_jobs -= 1;
            jobs.fail(job, Error::job_cancelled(), 0);
            done.push((Arc::clone(jobs), job..job + 1, None));
        }
        let is_at_it = |member: &&Member| member.flights.front().is_some_and(|it| Arc::ptr_eq(&it.jobs, jobs));
        self.crew.iter().filter(is_at_it).map(|it| it.number).collect()
    }

    /// Has too many workers leave: idle ones first.
    pub(super) fn shrink(&mut self) {
        let mut staying = self.crew.iter().filter(|it| !it.is_retiring).count();
        let keep = if self.is_over() { 0 } else { self.wanted };
        for idle_only in [true, false] {
            for member in self.crew.iter_mut().filter(|it| !it.is_retiring) {
                if staying > keep && (!idle_only || member.is_idle()) {
                    member.is_retiring = true;
                    staying -= 1;
                }
            }
        }
        for member in &mut self.crew {
            member.dismiss_if_idle();
        }
    }
}
