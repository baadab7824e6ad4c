//! A pool that runs a command line for each job, so many at a time.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Error;
use crate::jobs::{End, Job, Outcome, Output, Policy, Runner, Streams, Template};
use crate::manager::guard::FIRST_POOL;
use crate::manager::pool::driver;
use crate::manager::pool::engine::News;
use crate::manager::pool::spec::{MOST_WORKERS, PoolSpec};
use crate::manager::protocol::{JobEnd, Reason, WorkerRow};
use crate::manager::spec::GRACE;
use crate::manager::tree::{Root, signal_outside};
use crate::manager::word::Word;
use crate::sys::child::Status;
use crate::sys::proc::{self, Stat};
use crate::sys::signal::{self, CONT, KILL, STOP};

/// Bytes of each stream of a job that are kept.
const KEPT: usize = 1 << 20;

/// Commands that are started in one turn of the loop, for others wait meanwhile.
const STARTS: usize = 32;

/// How long to wait after the system had no room for another process.
const BREAK: Duration = Duration::from_millis(100);

/// How long a pool makes do with fewer commands at once after the system had no room for one more.
const MODESTY: Duration = Duration::from_secs(5);

/// The number of no process group.
const NO_GROUP: u32 = 0;

/// Commands that run and that wait.
#[derive(Debug)]
pub(super) struct CommandEngine {
    runner: Runner,
    wanted: usize,
    queue: VecDeque<Place>,
    /// Jobs that were called off before they were started.
    called_off: Vec<Place>,
    /// Where the jobs of the runner come from, by their numbers.
    running: HashMap<u64, Place>,
    name: String,
    seq: u64,
    /// Everybody who was started here has its cookie.
    pub(super) root: Root,
    rest_until: Option<Instant>,
    /// When to try as many at once again as are wanted.
    modest_until: Option<Instant>,
    /// It is to start nothing more.
    is_ending: bool,
    is_paused: bool,
    /// Looks in a row that found nobody left.
    looks: u32,
}

/// A job and where it belongs.
#[derive(Clone, Debug)]
struct Place {
    batch: u64,
    job: usize,
    arg: OsString,
    single: bool,
}

impl CommandEngine {
    /// Prepares to run `command`; `cookie` goes into the environment of each job.
    ///
    /// # Errors
    /// When there is no such program or directory.
    pub(super) fn start(spec: &PoolSpec, command: &[OsString], id: u64, cookie: &str) -> Result<Self, Error> {
        let mut words = command.to_vec();
        if let (Some(cwd), Some(program)) = (&spec.cwd, words.first_mut()) {
            if !cwd.is_dir() {
                return Err(Error::refused("cannot work in", cwd.display(), "it is no directory"));
            }
            // A path that is relative starts from there, and not from where the manager is.
            if Path::new(&*program).components().count() > 1 && !program.to_string_lossy().contains("{}") {
                *program = cwd.join(&*program).into();
            }
        }
        let nothing = || Error::refused("cannot run", "nothing", "a command has at least one word");
        let template = Template::new(words).ok_or_else(nothing)?;
        let (key, value) = cookie.split_once('=').unwrap_or((cookie, ""));
        let policy = Policy {
            // How many are wanted can change, and this cannot.
            workers: NonZeroUsize::new(2 * MOST_WORKERS).expect("it is not 0"),
            retries: spec.retries,
            timeout: spec.timeout,
            grace: GRACE,
            streams: Streams::Captured,
            environment: vec![(key.into(), value.into())],
        };
        let mut runner = Runner::new(template, policy)?;
        // Whether there is room for those that are wanted was looked at.
        runner.take_shortage();
        spec.cwd.iter().for_each(|cwd| runner.run_in(cwd.clone()));
        let number = FIRST_POOL | u32::try_from(id & 0x7fff_ffff).unwrap_or_default();
        Ok(Self {
            runner,
            wanted: spec.workers,
            queue: VecDeque::new(),
            called_off: Vec::new(),
            running: HashMap::new(),
            name: spec.name.to_string(),
            seq: 0,
            root: Root { pid: number, start_ticks: 0, cookie: cookie.to_owned() },
            rest_until: None,
            modest_until: None,
            is_ending: false,
            is_paused: false,
            looks: 0,
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.runner.as_fd()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        if !self.called_off.is_empty() {
            return Some(Instant::now());
        }
        let next = self.rest_until.or_else(|| (self.has_work() || self.is_stuck()).then(Instant::now));
        self.runner.deadline().into_iter().chain(next).chain(self.modest_until).min()
    }

    /// True if a job waits that could be started now.
    fn has_work(&self) -> bool {
        !self.is_paused && !self.queue.is_empty() && self.runs() < self.wanted && self.runner.has_room()
    }

    /// True if a job waits that the system had no room for.
    fn is_stuck(&self) -> bool {
        !self.is_paused && self.runner.is_stuck()
    }

    /// How many jobs count for the limit.
    fn runs(&self) -> usize {
        self.running.values().filter(|place| !place.single).count()
    }

    pub(super) fn submit(&mut self, batch: u64, first: usize, args: Vec<OsString>, single: bool) {
        let places = args.into_iter().enumerate().map(|(at, arg)| Place { batch, job: first + at, arg, single });
        if single {
            places.for_each(|place| self.queue.push_front(place));
        } else {
            self.queue.extend(places);
        }
    }

    pub(super) fn resize(&mut self, workers: NonZeroUsize) {
        self.wanted = workers.get();
    }

    /// Calls off what is left of a batch; what was not started is told in the next turn.
    pub(super) fn cancel(&mut self, batch: u64, now: Instant) {
        for (seq, _) in self.running.iter().filter(|(_, place)| place.batch == batch) {
            self.runner.cancel_job(*seq, now, false);
        }
        let (off, on): (VecDeque<_>, _) =
            std::mem::take(&mut self.queue).into_iter().partition(|place| place.batch == batch);
        self.queue = on;
        self.called_off.extend(off);
    }

    pub(super) fn pause(&mut self, now: Instant) {
        self.is_paused = true;
        self.runner.pause(now);
    }

    pub(super) fn resume(&mut self, now: Instant) {
        self.is_paused = false;
        // What cannot be started now is tried again in a later turn.
        let _ = self.runner.resume(now);
        signal_outside(&self.root.members_anywhere(), NO_GROUP, CONT);
    }

    /// Everybody of the jobs: those with the cookie, wherever they are, and those in the groups of jobs.
    fn members(&self) -> Vec<Stat> {
        let mut members = self.root.members_anywhere();
        let groups: Vec<u32> = self.runner.jobs().map(|(_, pid)| pid).collect();
        let others = proc::all().into_iter().filter(|stat| groups.contains(&stat.group) && !stat.is_zombie());
        let others: Vec<Stat> = others.filter(|stat| members.iter().all(|it| it.pid != stat.pid)).collect();
        members.extend(others);
        members
    }

    /// Two looks have to agree, for one may miss who is being made.
    pub(super) fn is_still(&mut self) -> bool {
        let look = |it: &Self| {
            let members = it.members();
            signal_outside(&members.iter().filter(|it| !it.is_stopped()).cloned().collect::<Vec<_>>(), NO_GROUP, STOP);
            members.iter().all(Stat::is_stopped)
        };
        look(self) && look(self)
    }

    pub(super) fn stop(&mut self, now: Instant, hard: bool) {
        self.is_ending = true;
        self.is_paused = false;
        self.called_off.extend(std::mem::take(&mut self.queue));
        if hard {
            self.runner.kill(now);
        } else {
            self.runner.cancel(now);
        }
    }

    /// True if nobody is left, wherever he got to. Who has left his group is killed.
    pub(super) fn is_over(&mut self) -> bool {
        if !self.is_ending || !self.runner.is_idle() {
            return false;
        }
        let left = self.root.members_anywhere();
        signal_outside(&left, NO_GROUP, KILL);
        self.looks = if left.is_empty() { self.looks + 1 } else { 0 };
        self.looks > 1
    }

    pub(super) fn crew(&self) -> Vec<WorkerRow> {
        let mut crew: Vec<_> = self.runner.jobs().map(|(_, pid)| WorkerRow { name: self.name.clone(), pid }).collect();
        crew.sort_by_key(|worker| worker.pid);
        crew
    }

    /// Does what is to be done now.
    pub(super) fn turn(&mut self, now: Instant, news: &mut Vec<News>) {
        news.extend(self.called_off.drain(..).map(|place| News::Done(place.batch, place.job, driver::cancelled())));
        if self.modest_until.is_some_and(|at| at <= now) {
            self.modest_until = None;
            self.runner.forget_shortage();
        }
        match self.runner.turn(now) {
            Ok(outcomes) => outcomes.into_iter().for_each(|outcome| self.take_in(outcome, news)),
            Err(error) => self.rest(now, &error, news),
        }
        if let Some(shortage) = self.runner.take_shortage() {
            news.push(News::Remark(format!("{shortage}; going on with fewer jobs at once")));
            self.modest_until = now.checked_add(MODESTY);
        }
        if self.rest_until.is_some_and(|at| at > now) {
            return;
        }
        self.rest_until = None;
        for _ in 0..STARTS {
            let single = self.queue.front().is_some_and(|place| place.single);
            if !(self.has_work() || single && !self.is_paused) {
                return;
            }
            let Some(place) = self.queue.pop_front() else { return };
            self.seq += 1;
            let job = Job { seq: self.seq, input: place.arg.clone() };
            self.running.insert(self.seq, place);
            if let Err(error) = self.runner.submit(job, now) {
                // The runner keeps the job, and tries again when it gets a turn.
                return self.rest(now, &error, news);
            }
        }
    }

    fn rest(&mut self, now: Instant, error: &Error, news: &mut Vec<News>) {
        if self.rest_until.is_none() {
            news.push(News::Remark(error.to_string()));
        }
        self.rest_until = now.checked_add(BREAK);
    }

    fn take_in(&mut self, outcome: Outcome, news: &mut Vec<News>) {
        if let Some(Place { batch, job, .. }) = self.running.remove(&outcome.job.seq) {
            news.push(News::Done(batch, job, self.end(outcome)));
        }
    }

    fn end(&self, outcome: Outcome) -> JobEnd {
        let ok = outcome.succeeded();
        let failure = match &outcome.end {
            End::Ended(Status::Exited(0)) => None,
            End::Ended(Status::Exited(code)) => Some((Reason::Exited, format!("exited with {code}"))),
            End::Ended(Status::Killed(number)) => {
                Some((Reason::Signalled, format!("was ended by {}", signal::name(*number))))
            }
            End::Ended(Status::Lost) => Some((Reason::Exited, "is gone, and nobody knows how it ended".to_owned())),
            End::TimedOut(_) => Some((Reason::TimedOut, "took too long".to_owned())),
            End::Cancelled => Some((Reason::Cancelled, "was cancelled".to_owned())),
            End::Refused(error) => Some((Reason::NotStarted, error.to_string())),
        };
        let (reason, error) = failure.unzip();
        let (value, first) = kept(outcome.stdout);
        let (stderr, second) = kept(outcome.stderr);
        let worker = outcome.pid.map(|_| format!("{}-{}", self.name, outcome.slot));
        JobEnd { ok, value, stderr, dropped: first + second, reason, error, worker, pid: outcome.pid }
    }
}

/// What is kept of a stream, and how many bytes are not; None for one without a byte.
fn kept(output: Output) -> (Option<Word>, u64) {
    use std::os::unix::ffi::OsStringExt as _;

    if output.is_empty() {
        return (None, 0);
    }
    let length = output.len();
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(KEPT).min(KEPT)];
    let mut read = 0;
    while let Some(more) = output.read_at(read as u64, &mut bytes[read..]).ok().filter(|more| *more > 0) {
        read += more;
    }
    bytes.truncate(read);
    (Some(OsString::from_vec(bytes).as_os_str().into()), length - read as u64)
}
