//! The workers of a pool, and what each of them is doing.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::mp::pool::outcome::Jobs;
use crate::mp::pool::worker::{BEGUN, NOTES, serve};
use crate::mp::pool::{Options, protocol};
use crate::mp::process::Process;
use crate::mp::socket::Socket;
use crate::mp::wire::{Handle, Message};
use crate::mp::{Error, Result, Worker};
use crate::sys::shared::Region;
use crate::task;

/// What a worker should be given to do at once: long enough that sending costs little, short enough to be fair.
const SHIFT: Duration = Duration::from_micros(500);
/// Jobs longer than this are given one by one, and not before the last one is done.
const LONG: Duration = Duration::from_micros(200);
/// A worker whose socket is closed is about to end.
const PARTING: Duration = Duration::from_secs(1);
/// So many bytes of arguments go at once, unless one job has more.
const LOAD: usize = 256 << 10;

/// Jobs `next..end` of a batch, which wait for a worker.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) jobs: Arc<Jobs>,
    pub(super) next: usize,
    pub(super) end: usize,
}

/// Jobs that were sent to a worker, of which `done` have been answered.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) jobs: Arc<Jobs>,
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) done: usize,
    pub(super) deadline: Option<Instant>,
}

impl Flight {
    /// How many of its jobs are not answered.
    pub(super) fn left(&self) -> usize {
        self.count - self.done
    }
}

/// By what a worker is heard of: copies of its socket and of its pidfd. The socket alone does not tell of its death, because
/// a child that a job has forked keeps it open.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) socket: OwnedFd,
    pub(super) process: OwnedFd,
}

/// A worker as the pool sees it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) number: u64,
    process: Process<Result<(), String>>,
    /// Who it is, for each of its results.
    pub(super) worker: Arc<Worker>,
    socket: Socket,
    /// What a wait needs that does not hold up the pool.
    pub(super) line: Arc<Line>,
    /// How many jobs it has begun stands here, readable after its death.
    notes: Region,
    pub(super) flights: VecDeque<Flight>,
    sent: u64,
    pub(super) answered: u64,
    pub(super) busy: Duration,
    /// It is to end when it has nothing more to do.
    pub(super) is_retiring: bool,
    pub(super) since: Instant,
}

impl Member {
    /// Starts a worker.
    pub(super) fn start(number: u64, options: &Options) -> Result<Self> {
        let (ours, theirs) = Socket::pair()?;
        let notes = Region::create("pool notes", NOTES)?;
        let args = (
            options.task.to_owned(),
            options.first.clone(),
            Handle::from(theirs.into_fd()),
            Handle::from(copy(&notes.fd())?),
        );
        let name = format!("{}-{number}", options.name);
        #[allow(unsafe_code, reason = "the entry of a task has a link section")]
        let mut process = Process::builder(task!(serve), args).name(name).daemon(true).own_group(options.own_groups);
        if let Some(output) = &options.output {
            process = process.stdout(copy(output)?).stderr(copy(output)?);
        }
        let process = process.spawn()?;
        Ok(Self {
            number,
            worker: Arc::new(process.worker().clone()),
            line: Arc::new(Line { socket: copy(&ours)?, process: copy(&process)? }),
            process,
            socket: ours,
            notes,
            flights: VecDeque::new(),
            sent: 0,
            answered: 0,
            busy: Duration::ZERO,
            is_retiring: false,
            since: Instant::now(),
        })
    }

    pub(super) fn worker(&self) -> &Worker {
        &self.worker
    }

    pub(super) fn is_idle(&self) -> bool {
        self.flights.is_empty()
    }

    /// How long a job of this worker takes on average, once that is known.
    fn pace(&self) -> Option<Duration> {
        u32::try_from(self.answered).ok().filter(|it| *it > 0).map(|answered| self.busy / answered)
    }

    /// How many jobs it should be given at once, going by how long they take; None if they are long, or nobody knows yet.
    pub(super) fn shift(&self, options: &Options) -> Option<usize> {
        let pace = self.pace().filter(|pace| options.timeout.is_none() && *pace <= LONG)?;
        Some((SHIFT.as_nanos() / pace.as_nanos().max(1)).max(1) as usize)
    }

    /// How many jobs it may be given now, if `waiting` jobs wait for `workers` workers.
    pub(super) fn appetite(&self, options: &Options, waiting: usize, workers: usize) -> usize {
        let shift = self.shift(options);
        let most_flights = if shift.is_some() { 2 } else { 1 };
        if self.is_retiring || self.flights.len() >= most_flights {
            return 0;
        }
        let wanted = match options.chunk.filter(|_| options.timeout.is_none()) {
            Some(chunk) => chunk.get(),
            None => shift.unwrap_or(1).min(waiting.div_ceil(2 * workers).max(1)),
        };
        wanted.min(options.max_jobs.map_or(usize::MAX, |most| most.get().saturating_sub(self.sent) as usize))
    }

    /// Sends it the next jobs of `span`, at most `most`. [`Socket::flush`] may have to be called again.
    pub(super) fn give(&mut self, span: &mut Span, most: usize, options: &Options) {
        let (first, mut message) = (span.next, Message::default());
        while span.next < span.end && span.next - first < most {
            let args = span.jobs.args(span.next);
            let fds = span.jobs.fds(span.next);
            let is_first = span.next == first;
            // A job with descriptors goes alone, so that its worker knows whose they are.
            if !is_first && (fds.is_some() || message.bytes.len() + args.len() > LOAD) {
                break;
            }
            protocol::put_job(&mut message.bytes, args);
            span.next += 1;
            if let Some(fds) = fds {
                message.fds = fds.iter().filter_map(|fd| fd.try_clone().ok()).collect();
                break;
            }
        }
        let count = span.next - first;
        let deadline = options.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.flights.push_back(Flight { jobs: Arc::clone(&span.jobs), first, count, done: 0, deadline });
        self.sent += count as u64;
        self.is_retiring |= self.is_spent(options);
        // A message that is too large, or a worker that is gone, is found out by who reads from it.
        let _ = self.socket.queue(message);
        self.flush();
    }

    /// True if it was given as many jobs as one worker may have.
    pub(super) fn is_spent(&self, options: &Options) -> bool {
        options.max_jobs.is_some_and(|most| self.sent >= most.get())
    }

    /// Sends what did not fit into the socket before. A worker that is gone is found out by who reads from it.
    pub(super) fn flush(&mut self) {
        let _ = self.socket.flush();
    }

    pub(super) fn wants_write(&self) -> bool {
        self.socket.wants_write()
    }

    /// What it has said, if there is anything.
    ///
    /// # Errors
    /// [`Error::Closed`] after its end.
    pub(super) fn answer(&mut self) -> Result<Option<Message>> {
        self.socket.try_receive()
    }

    /// Tells it to end, which closes its end of the socket, once it has nothing to do.
    pub(super) fn dismiss_if_idle(&mut self) {
        if self.is_retiring && self.is_idle() {
            self.socket.finish();
        }
    }

    /// When the job that it is doing has to be done.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.flights.front().and_then(|flight| flight.deadline)
    }

    pub(super) fn kill(&self) {
        self.signal(crate::sys::signal::KILL);
    }

    pub(super) fn signal(&self, number: i32) {
        self.process.signal(number);
    }

    /// Gives it more time for what it is doing.
    pub(super) fn postpone(&mut self, by: Duration) {
        for deadline in self.flights.iter_mut().filter_map(|flight| flight.deadline.as_mut()) {
            *deadline = deadline.checked_add(by).unwrap_or(*deadline);
        }
    }

    /// Waits for the end of a worker that was killed, or whose socket is closed: why it ended, what it was given and has
    /// not answered, and how many jobs of that it had begun.
    pub(super) fn bury(mut self) -> (Error, VecDeque<Flight>, u64) {
        if !self.process.wait(Some(PARTING)) {
            self.process.kill();
        }
        let begun = self.notes.atomic_u64(BEGUN).load(Ordering::Acquire);
        let flights = std::mem::take(&mut self.flights);
        let worker = self.worker().clone();
        let error = match self.process.join() {
            Ok(Err(why)) => Error::Codec(why),
            Ok(Ok(())) => Error::Exited(Box::new(worker), 0),
            Err(error) => error,
        };
        (error, flights, begun.saturating_sub(self.answered))
    }
}

fn copy(fd: &impl AsFd) -> Result<OwnedFd> {
    let copy = fd.as_fd().try_clone_to_owned();
    Ok(copy.map_err(|error| crate::Error::os("cannot duplicate", "a descriptor of a worker", error))?)
}
