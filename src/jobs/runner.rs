//! The machine that starts jobs, listens to them and ends them.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use super::capture::Output;
use super::course::{Act, Course};
use super::outcome::{End, Job, Note, Outcome, Statistics};
use super::policy::{Policy, Streams};
use super::running::Running;
use super::template::{Template, find_program};
use crate::Error;
use crate::sys::child::{Child, Usage};
use crate::sys::fd;
use crate::sys::poller::Poller;

/// Variables in the environment of a job: its number, and its place among those that run at once.
const SEQ: &str = "IPCPIPE_SEQ";
const SLOT: &str = "IPCPIPE_SLOT";

/// Descriptors of a job whose output is captured: its process, two pipes, and the files of two long outputs.
const PER_JOB: u64 = 5;
/// Descriptors that stay free for the start of a program and for the owner.
const RESERVE: u64 = 16;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Lacks that the end of another job may mend (errno(3)): EAGAIN of fork(2), ENOMEM, ENFILE, EMFILE.
const SHORTAGES: [i32; 4] = [11, 12, 23, 24];

/// Runs jobs. Dropping it kills the first process of each that still runs; see [`cancel`](Self::cancel) and
/// [`kill`](Self::kill) for an end that nobody survives.
#[derive(Debug)]
pub struct Runner {
    template: Template,
    program: Option<PathBuf>,
    policy: Policy,
    poller: Poller,
    pub(super) slots: Vec<Option<Slot>>,
    /// Those without a job, the lowest last.
    free: Vec<usize>,
    /// When to look at which slot again.
    timers: BTreeSet<(Instant, usize)>,
    /// Those to be started next.
    pub(super) queue: VecDeque<Waiting>,
    finished: Vec<Outcome>,
    /// How many may run at once, as far as the system lets them.
    pub(super) limit: usize,
    shortage: Option<Error>,
    /// Attempts started so far; it tells news of one from late news of the one before it in the same slot.
    starts: u64,
    pub(super) is_cancelled: bool,
    /// What runs stands still, and nothing is started.
    pub(super) is_paused: bool,
    /// Where jobs run; in the directory of this process if None.
    pub(super) directory: Option<PathBuf>,
    statistics: Statistics,
    buffer: Vec<u8>,
    keys: Vec<u64>,
    notes: Vec<Note>,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) running: Running,
    key: Key,
    timer: Option<Instant>,
    is_long: bool,
}

/// A job that is to be started, and how often it was.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) job: Job,
    pub(super) attempts: u32,
}

/// What the poller answers: the attempt, its slot, and what of it has news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    start: u64,
    slot: usize,
}

/// The last two bits of a number that is a key: the process; its streams are below.
const PROCESS: u64 = 2;

impl Key {
    const SLOT_BITS: u32 = 16;

    fn number(self, of: u64) -> u64 {
        (self.start << (Self::SLOT_BITS + 2)) | ((self.slot as u64) << 2) | of
    }

    fn parse(number: u64) -> (Self, u64) {
        let slot = (number >> 2) & ((1 << Self::SLOT_BITS) - 1);
        (Self { start: number >> (Self::SLOT_BITS + 2), slot: slot as usize }, number & 3)
    }
}

impl Runner {
    /// The most jobs at once.
    pub const MOST: usize = 1 << Key::SLOT_BITS;

    /// A runner of `template` that has nothing to do yet.
    ///
    /// # Errors
    /// ENOENT or EACCES for a program that cannot be started whatever the input is; EMFILE.
    pub fn new(template: Template, policy: Policy) -> Result<Self, Error> {
        let program = template.program().map(find_program).transpose()?;
        let poller = Poller::new().map_err(|error| Error::os("cannot wait for", "jobs", error))?;
        let workers = policy.workers.get().min(Self::MOST);
        let room = fd::limit().saturating_sub(poller.as_fd().as_raw_fd() as u64 + RESERVE) / PER_JOB;
        let limit = workers.min(usize::try_from(room).unwrap_or(workers)).max(1);
        let shortage = (limit < workers).then(|| {
            let why = format!("the limit on open files is enough for {limit}");
            Error::refused("cannot run as many jobs at once as", workers, why).hint("raise it ('ulimit -n')")
        });
        Ok(Self {
            template,
            program,
            policy,
            poller,
            slots: (0..limit).map(|_| None).collect(),
            free: (0..limit).rev().collect(),
            timers: BTreeSet::new(),
            queue: VecDeque::new(),
            finished: Vec::new(),
            limit,
            shortage,
            starts: 0,
            is_cancelled: false,
            is_paused: false,
            directory: None,
            statistics: Statistics::default(),
            buffer: vec![0; CHUNK],
            keys: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// True if a job that was submitted now would be started now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.is_cancelled && self.queue.is_empty() && self.running() < self.limit
    }

    /// True if jobs wait and none runs: the system has no room even for one, or there is a pause.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.running() == 0 && !self.queue.is_empty()
    }

    /// Jobs that run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// True if there is nothing to wait for.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running() == 0 && self.queue.is_empty() && self.finished.is_empty()
    }

    /// The command line of the job for `input`.
    #[must_use]
    pub fn command_line(&self, job: &Job) -> Vec<OsString> {
        self.template.fill(&job.input)
    }

    /// Starts `job`, at once if there is room. Each job that is submitted has one outcome.
    ///
    /// # Errors
    /// The system's, if it has no room even for one job. The job is kept, and tried again in each turn.
    pub fn submit(&mut self, job: Job, now: Instant) -> Result<(), Error> {
        self.queue.push_back(Waiting { job, attempts: 0 });
        self.fill(now)
    }

    /// When to call [`turn`](Self::turn) though the descriptor is not readable.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.finished.is_empty() { self.timers.first().map(|&(at, _)| at) } else { Some(Instant::now()) }
    }

    /// Does what is to be done `now`, and answers those that are over. Never blocks.
    ///
    /// # Errors
    /// The system's, if it has no room even for one job.
    pub fn turn(&mut self, now: Instant) -> Result<Vec<Outcome>, Error> {
        let mut keys = std::mem::take(&mut self.keys);
        self.poller.look(&mut keys).map_err(failed)?;
        for &number in &keys {
            let (key, of) = Key::parse(number);
            let Some(Some(slot)) = self.slots.get_mut(key.slot) else { continue };
            match of {
                _ if slot.key != key => {}
                PROCESS => self.step(key.slot, now)?,
                // What a stream says matters only when the process has ended.
                which => {
                    slot.running.hear(which as usize, &mut self.buffer);
                    if slot.running.has_ended() {
                        self.step(key.slot, now)?;
                    }
                }
            }
        }
        self.keys = keys;
        while let Some(&(at, slot)) = self.timers.first().filter(|&&(at, _)| at <= now) {
            self.timers.remove(&(at, slot));
            self.step(slot, now)?;
        }
        match self.fill(now) {
            // The outcomes may hold what is lacking. If they do not, the next turn tells.
            Err(error) if self.finished.is_empty() => Err(error),
            _ => Ok(std::mem::take(&mut self.finished)),
        }
    }

    /// What has happened so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Why fewer jobs run at once than were asked for; told once for each time.
    pub fn take_shortage(&mut self) -> Option<Error> {
        self.shortage.take()
    }

    /// What there is to know of long jobs since the last call, for a guard that is to end them if their owner cannot.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Starts what waits, as far as there is room.
    pub(super) fn fill(&mut self, now: Instant) -> Result<(), Error> {
        while !self.is_paused
            && self.running() < self.limit
            && let Some(waiting) = self.queue.pop_front()
        {
            self.start(waiting, now)?;
        }
        Ok(())
    }

    fn start(&mut self, Waiting { job, attempts }: Waiting, now: Instant) -> Result<(), Error> {
        if job.input.as_bytes().contains(&0) {
            let error =
                Error::refused("cannot start", "the command", "its input holds a NUL byte, and no argument can");
            self.unstarted(job, 0, attempts, End::Refused(error));
            return Ok(());
        }
        let at = self.free.pop().expect("fewer run than there are slots");
        match Child::spawn(&mut self.command(&job, at), []) {
            Ok(child) => self.hold(at, job, attempts, child, now).map_err(|error| {
                self.free.push(at);
                failed(error)
            }),
            Err(error) => {
                self.free.push(at);
                if !error.raw_os_error().is_some_and(|errno| SHORTAGES.contains(&errno)) {
                    self.unstarted(job, at + 1, attempts + 1, End::Refused(error));
                    return Ok(());
                }
                self.queue.push_front(Waiting { job, attempts });
                self.shrink(error)
            }
        }
    }

    /// Takes over `child`, which runs `job` in slot `at`.
    fn hold(&mut self, at: usize, job: Job, attempts: u32, child: Child, now: Instant) -> io::Result<()> {
        let course = Course::new(now, self.policy.timeout, self.policy.grace);
        let running = Running::new(job, attempts + 1, child, now, course)?;
        let key = Key { start: self.starts, slot: at };
        running.observe(&self.poller, key.number(PROCESS))?;
        self.slots[at] = Some(Slot { running, key, timer: None, is_long: false });
        self.starts += 1;
        self.statistics.retried += u64::from(attempts > 0);
        self.set_timer(at);
        Ok(())
    }

    /// Makes do with half as many jobs at once as there are: they may need room for processes and files of their own.
    pub(super) fn shrink(&mut self, error: Error) -> Result<(), Error> {
        if self.running() == 0 {
            return Err(error);
        }
        self.limit = self.running().div_ceil(2);
        self.shortage.get_or_insert(error);
        Ok(())
    }

    fn command(&self, job: &Job, slot: usize) -> Command {
        let mut words = self.template.fill(&job.input).into_iter();
        let name = words.next().unwrap_or_default();
        let mut command = match &self.program {
            Some(program) => Command::new(program),
            None => Command::new(&name),
        };
        command.arg0(name).args(words).process_group(0).stdin(Stdio::null());
        if self.policy.streams == Streams::Captured {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.envs(self.policy.environment.iter().map(|(key, value)| (key, value)));
        command.env(SEQ, job.seq.to_string()).env(SLOT, (slot + 1).to_string());
        command
    }

    /// Looks at the job in slot `at`, and takes it out if it is over.
    fn step(&mut self, at: usize, now: Instant) -> Result<(), Error> {
        let Some(Some(slot)) = self.slots.get_mut(at) else { return Ok(()) };
        let keys = [slot.key.number(0), slot.key.number(1)];
        match slot.running.step(now, &mut self.buffer, &self.poller, keys).map_err(failed)? {
            Act::Finish => self.finish(at),
            _ => {
                if slot.running.turns_long(now) {
                    slot.is_long = true;
                    self.notes.push(Note::Long(slot.running.pid()));
                }
                self.set_timer(at);
            }
        }
        Ok(())
    }

    pub(super) fn set_timer(&mut self, at: usize) {
        let Some(slot) = &mut self.slots[at] else { return };
        let next = slot.running.deadline();
        if let Some(old) = slot.timer {
            self.timers.remove(&(old, at));
        }
        if let Some(next) = next {
            self.timers.insert((next, at));
        }
        slot.timer = next;
    }

    fn finish(&mut self, at: usize) {
        let Some(slot) = self.slots[at].take() else { return };
        if let Some(timer) = slot.timer {
            self.timers.remove(&(timer, at));
        }
        self.free.push(at);
        if slot.is_long {
            self.notes.push(Note::Over(slot.running.pid()));
        }
        let outcome = slot.running.finish(at + 1);
        self.statistics.cpu += outcome.usage.user + outcome.usage.sys;
        self.statistics.busy += outcome.elapsed;
        self.statistics.timed_out += u64::from(matches!(outcome.end, End::TimedOut(_)));
        if outcome.failed() && outcome.attempts <= self.policy.retries && !self.is_cancelled {
            self.queue.push_front(Waiting { job: outcome.job, attempts: outcome.attempts });
        } else {
            self.statistics.count(&outcome);
            self.finished.push(outcome);
        }
    }

    /// The outcome of a job that has no process.
    pub(super) fn unstarted(&mut self, job: Job, slot: usize, attempts: u32, end: End) {
        let outcome = Outcome {
            job,
            slot,
            pid: None,
            attempts,
            started: SystemTime::now(),
            elapsed: Duration::ZERO,
            end,
            usage: Usage::default(),
            stdout: Output::default(),
            stderr: Output::default(),
            has_survivors: false,
        };
        self.statistics.count(&outcome);
        self.finished.push(outcome);
    }
}

impl AsFd for Runner {
    /// Readable when [`turn`](Runner::turn) has something to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

fn failed(error: io::Error) -> Error {
    Error::os("cannot wait for", "a job", error)
}
