//! What became of the jobs of one batch, before anybody asks for its type.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::mp::attempt::{self, Attempt, Verb};
use crate::mp::pool::protocol::{self, Kind};
use crate::mp::wire::{self, Message};
use crate::mp::{Error, Result, Worker};

/// Jobs that were given to the pool together: their arguments, and what has become of each.
#[derive(Debug)]
pub(super) struct Jobs {
    pub(super) id: u64,
    /// The arguments of all jobs, one after the other, and where each ends.
    args: Vec<u8>,
    ends: Vec<usize>,
    /// The descriptors in the arguments, of those jobs that have any.
    fds: HashMap<usize, Vec<OwnedFd>>,
    outcomes: Mutex<Outcomes>,
    changed: Condvar,
}

/// What has become of the jobs of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    of: Vec<Outcome>,
    /// The messages in which results are.
    parcels: Vec<Arc<Message>>,
    /// The jobs in the order in which they were done.
    order: Vec<u32>,
    /// How often a job was tried, of those that failed.
    tries: HashMap<usize, u32>,
    /// How many threads wait for single jobs; the others wait for all.
    impatient: usize,
    /// Who wants to hear of each job that is done, and under which number.
    watchers: Vec<(Sender<(usize, usize)>, usize)>,
    pub(super) is_cancelled: bool,
}

#[derive(Clone, Debug)]
enum Outcome {
    Awaited,
    /// In which parcel, and where in it the result begins. Workers send what they have long before that is 4 GiB.
    Returned(u32, u32),
    Failed(Box<Error>),
}

impl Jobs {
    pub(super) fn new<A: Serialize>(id: u64, jobs: impl IntoIterator<Item = A>) -> Result<Self> {
        let (mut args, mut ends, mut fds) = (Vec::new(), Vec::new(), HashMap::new());
        for job in jobs {
            let own = wire::collect(|| wire::encode(&job, &mut args))?;
            if !own.is_empty() {
                fds.insert(ends.len(), own);
            }
            ends.push(args.len());
        }
        let of = vec![Outcome::Awaited; ends.len()];
        Ok(Self {
            id,
            args,
            ends,
            fds,
            outcomes: Mutex::new(Outcomes { of, ..Outcomes::default() }),
            changed: Condvar::new(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn args(&self, job: usize) -> &[u8] {
        let start = job.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.args[start..self.ends[job]]
    }

    /// The descriptors that go with the arguments of a job.
    pub(super) fn fds(&self, job: usize) -> Option<&[OwnedFd]> {
        self.fds.get(&job).map(Vec::as_slice)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a job is done, or all are (None), at most until `deadline`; true if so.
    pub(super) fn wait(&self, job: Option<usize>, deadline: Option<Instant>) -> bool {
        let mut outcomes = self.lock();
        outcomes.impatient += usize::from(job.is_some());
        loop {
            let is_so = job.map_or_else(|| outcomes.all_are_done(), |job| outcomes.is_done(job));
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if is_so || left.is_some_and(|left| left.is_zero()) {
                outcomes.impatient -= usize::from(job.is_some());
                return is_so;
            }
            outcomes = match left {
                None => self.changed.wait(outcomes).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.changed.wait_timeout(outcomes, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Notes a message with results of some of the `most` jobs from `first` on.
    ///
    /// # Errors
    /// [`Error::Codec`]: the message is not that.
    pub(super) fn deliver(
        &self,
        first: usize,
        most: usize,
        message: Message,
        worker: &Worker,
        retries: u32,
    ) -> Result<Delivered> {
        let message = Arc::new(message);
        let mut outcomes = self.lock();
        let parcel = outcomes.parcels.len();
        let mut delivered = Delivered { jobs: 0, again: Vec::new(), busy: 0 };
        let mut rest = &message.bytes[..];
        delivered.busy = protocol::take_number(&mut rest)?;
        while !rest.is_empty() {
            let start = message.bytes.len() - rest.len();
            let (kind, content) = protocol::take_result(&mut rest)?;
            let job = first + delivered.jobs;
            if delivered.jobs == most {
                return Err(Error::codec("a worker answers more than it was asked"));
            }
            delivered.jobs += 1;
            match kind {
                Kind::Returned => outcomes.settle(job, Outcome::Returned(parcel as u32, start as u32)),
                _ => {
                    let error = protocol::failure(kind, content, worker);
                    if outcomes.fail(job, error, if kind == Kind::Panicked { retries } else { 0 }) {
                        delivered.again.push(job);
                    }
                }
            }
        }
        outcomes.parcels.push(Arc::clone(&message));
        self.tell(outcomes);
        Ok(delivered)
    }

    /// The error with the names of the batch and the job in it.
    fn named(&self, error: Error, job: usize) -> Error {
        error.of_batch(self.id, (self.len() > 1).then_some(job))
    }

    /// Notes that a job failed; true if it is to be tried again.
    pub(super) fn fail(&self, job: usize, error: Error, retries: u32) -> bool {
        let mut outcomes = self.lock();
        let again = outcomes.fail(job, self.named(error, job), retries);
        self.tell(outcomes);
        again
    }

    /// Wakes those who wait for what has changed.
    fn tell(&self, outcomes: MutexGuard<'_, Outcomes>) {
        let concerns = outcomes.impatient > 0 || outcomes.all_are_done();
        drop(outcomes);
        if concerns {
            self.changed.notify_all();
        }
    }

    /// Has every job that is done, and that will be, told to `watcher` as `number` and its own place.
    pub(super) fn watch(&self, watcher: Sender<(usize, usize)>, number: usize) {
        let mut outcomes = self.lock();
        for &job in &outcomes.order {
            let _ = watcher.send((number, job as usize));
        }
        outcomes.watchers.push((watcher, number));
    }

    /// What a job returned; [`Error::Empty`] while it is not done.
    pub(super) fn read<R: DeserializeOwned>(&self, job: usize) -> Result<R> {
        let (message, start) = {
            let outcomes = self.lock();
            let (message, start) = outcomes.place(job).map_err(|error| self.named(error, job))?;
            (Arc::clone(message), start)
        };
        decode(&message, start)
    }

    /// What all jobs returned, in the order of the jobs; all have to be done.
    pub(super) fn read_all<R: DeserializeOwned>(&self) -> Vec<Result<R>> {
        let outcomes = self.lock();
        let read = |job| outcomes.place(job).and_then(|(message, start)| decode(message, start));
        (0..self.len()).map(read).collect()
    }
}

/// What a message of results brought.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) jobs: usize,
    /// Jobs that are to be tried again.
    pub(super) again: Vec<usize>,
    /// For how many nanoseconds the worker was busy with them.
    pub(super) busy: u64,
}

impl Outcomes {
    /// How many jobs are done.
    pub(super) fn done(&self) -> usize {
        self.order.len()
    }

    pub(super) fn all_are_done(&self) -> bool {
        self.order.len() == self.of.len()
    }

    pub(super) fn is_done(&self, job: usize) -> bool {
        !matches!(self.of[job], Outcome::Awaited)
    }

    /// In which message the result of a job is, and where.
    fn place(&self, job: usize) -> Result<(&Arc<Message>, usize)> {
        match &self.of[job] {
            Outcome::Awaited => Err(Error::Empty(Attempt::with_some(Verb::Get, attempt::Kind::Job))),
            Outcome::Failed(error) => Err((**error).clone()),
            Outcome::Returned(parcel, start) => Ok((&self.parcels[*parcel as usize], *start as usize)),
        }
    }

    fn settle(&mut self, job: usize, outcome: Outcome) {
        if self.is_done(job) {
            return;
        }
        self.of[job] = outcome;
        self.order.push(job as u32);
        self.watchers.retain(|(watcher, number)| watcher.send((*number, job)).is_ok());
    }

    fn fail(&mut self, job: usize, error: Error, retries: u32) -> bool {
        let tries = self.tries.entry(job).or_insert(0);
        *tries += 1;
        if *tries <= retries && !self.is_cancelled {
            return true;
        }
        self.settle(job, Outcome::Failed(Box::new(error)));
        false
    }
}

fn decode<R: DeserializeOwned>(message: &Message, start: usize) -> Result<R> {
    let (_, bytes) = protocol::take_result(&mut &message.bytes[start..])?;
    if message.fds.is_empty() {
        return wire::decode(bytes);
    }
    // A result can be asked for more than once, so its descriptors stay.
    let copies: std::io::Result<Vec<OwnedFd>> = message.fds.iter().map(OwnedFd::try_clone).collect();
    let copies = copies.map_err(|error| crate::Error::os("cannot duplicate", "a descriptor of a result", error))?;
    wire::supply(copies, || wire::decode(bytes))
}
