//! One job that runs: its process and the pipes of its output.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime};

use super::capture::Output;
use super::course::{Act, Course, Cut, Seen};
use super::outcome::{End, Job, Outcome};
use crate::sys::child::{Child, Ended, Status, Usage};
use crate::sys::fd;
use crate::sys::poller::Poller;
use crate::sys::proc;
use crate::sys::signal::{CONT, KILL, STOP, TERM};

/// Nobody listens to a job that is younger: most that end sooner have written less than a pipe holds, and what they wrote
/// is read at their end. It spares them as many turns of the loop as they have pipes.
const UNHEARD: Duration = Duration::from_millis(2);

/// A job that has run so long is one of those that [`Runner::take_notes`](super::Runner::take_notes) tells of.
const LONG: Duration = Duration::from_millis(100);

/// Reads in a row from one pipe; then it is somebody else's turn.
const IN_A_ROW: usize = 16;

/// An attempt that goes on.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) job: Job,
    /// How often the job was started, this time included.
    pub(super) attempts: u32,
    child: Child,
    streams: [Stream; 2],
    started: SystemTime,
    since: Instant,
    /// From when on the pipes are listened to; None once they are.
    listen_at: Option<Instant>,
    /// When it has run for long; None once it has.
    long_at: Option<Instant>,
    ended: Option<(Ended, Duration)>,
    has_survivors: bool,
    course: Course,
}

/// One stream of a job: a pipe until its end is read, and what came out of it.
#[derive(Debug)]
struct Stream {
    pipe: Option<File>,
    output: Output,
}

impl Running {
    /// Takes over `child`, which was started `now` for the job.
    pub(super) fn new(job: Job, attempts: u32, mut child: Child, now: Instant, course: Course) -> io::Result<Self> {
        let (stdout, stderr) = child.take_output();
        let streams = [Stream::new(stdout)?, Stream::new(stderr)?];
        let listen_at = if streams.iter().all(Stream::has_ended) { None } else { now.checked_add(UNHEARD) };
        let (started, long_at) = (SystemTime::now(), now.checked_add(LONG));
        Ok(Self {
            job,
            attempts,
            child,
            streams,
            started,
            since: now,
            listen_at,
            long_at,
            ended: None,
            has_survivors: false,
            course,
        })
    }

    /// Has `poller` tell of the end of its first process by `key`.
    pub(super) fn observe(&self, poller: &Poller, key: u64) -> io::Result<()> {
        poller.add(&self.child, key)
    }

    /// Reads what is there of stream `which`.
    pub(super) fn hear(&mut self, which: usize, buffer: &mut [u8]) {
        if let Some(stream) = self.streams.get_mut(which) {
            stream.read(buffer, 1);
        }
    }

    /// Looks what has happened, and says what is to be done, having done it as far as it can be done here. `keys` are those
    /// of the streams, for the time when they are listened to.
    pub(super) fn step(&mut self, now: Instant, buffer: &mut [u8], poller: &Poller, keys: [u64; 2]) -> io::Result<Act> {
        let seen = self.look(now, buffer);
        let act = self.course.step(now, seen);
        if act == Act::Finish {
            self.has_survivors = self.course.asks_for_group() && !(seen.leader_ended && seen.group_gone);
            // What was written before the end of the last process is all there.
            self.streams.iter_mut().for_each(|stream| stream.read(buffer, IN_A_ROW));
            return Ok(act);
        }
        if self.listen_at.is_some_and(|at| at <= now) || (seen.leader_ended && self.listen_at.is_some()) {
            self.listen_at = None;
            for (stream, key) in self.streams.iter().zip(keys) {
                stream.pipe.as_ref().map_or(Ok(()), |pipe| poller.add(pipe, key))?;
            }
        }
        self.obey(act);
        Ok(act)
    }

    /// True if its first process has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// True if something was read of it.
    #[cfg(test)]
    pub(super) fn has_output(&self) -> bool {
        self.streams.iter().any(|stream| !stream.output.is_empty())
    }

    /// Ends the job before its time.
    pub(super) fn cancel(&mut self, now: Instant, hard: bool) {
        let act = self.course.cancel(now, hard);
        self.obey(act);
    }

    /// Stops its process group; its time stands still.
    pub(super) fn pause(&mut self, now: Instant) {
        self.course.pause(now);
        self.child.signal_group(STOP);
    }

    /// Has it go on.
    pub(super) fn resume(&mut self, now: Instant) {
        self.course.resume(now);
        self.child.signal_group(CONT);
    }

    /// When to look again though nothing has happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.listen_at, self.long_at, self.course.deadline()].into_iter().flatten().min()
    }

    /// True the first time after it has run for long.
    pub(super) fn turns_long(&mut self, now: Instant) -> bool {
        let turns = self.long_at.is_some_and(|at| at <= now);
        if turns || self.has_ended() {
            self.long_at = None;
        }
        turns && !self.has_ended()
    }

    /// The number of its first process and of its group.
    pub(super) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// What came of it in `slot`.
    pub(super) fn finish(self, slot: usize) -> Outcome {
        let pid = Some(self.pid());
        let (ended, elapsed) = match self.ended {
            Some(ended) => ended,
            None => {
                // The kernel does not let go of it, and to drop it would be to wait for it.
                std::mem::forget(self.child);
                (Ended { status: Status::Lost, usage: Usage::default() }, self.since.elapsed())
            }
        };
        let end = match self.course.cut() {
            None => End::Ended(ended.status),
            Some(Cut::Timeout) => End::TimedOut(ended.status),
            Some(Cut::Cancelled) => End::Cancelled,
        };
        let [stdout, stderr] = self.streams.map(|stream| stream.output);
        let Self { job, attempts, started, has_survivors, .. } = self;
        Outcome { job, slot, pid, attempts, started, elapsed, end, usage: ended.usage, stdout, stderr, has_survivors }
    }

    fn look(&mut self, now: Instant, buffer: &mut [u8]) -> Seen {
        if self.ended.is_none() {
            let elapsed = now.saturating_duration_since(self.since);
            self.ended = self.child.try_reap().map(|ended| (ended, elapsed));
        }
        let leader_ended = self.ended.is_some();
        if leader_ended {
            self.streams.iter_mut().for_each(|stream| stream.read(buffer, IN_A_ROW));
        }
        let output_ended = self.streams.iter().all(Stream::has_ended);
        let group_gone = leader_ended && self.course.asks_for_group() && self.is_group_gone();
        Seen { leader_ended, output_ended, group_gone }
    }

    /// True if nobody lives in the process group. A zombie, which counts for the kernel, stays until its new parent has time,
    /// and in a container for ever; so everybody of the system is looked at, and twice, for a look may miss one who forks.
    fn is_group_gone(&self) -> bool {
        let pid = self.child.pid();
        let looks_gone = || {
            let everybody = proc::all();
            !everybody.is_empty() && everybody.iter().all(|stat| stat.group != pid || stat.is_zombie())
        };
        !self.child.signal_group(0) || (looks_gone() && looks_gone())
    }

    fn obey(&self, act: Act) {
        match act {
            Act::Terminate => {
                self.child.signal_group(TERM);
                // Who is stopped gets it only when he goes on.
                self.child.signal_group(CONT);
            }
            Act::Kill => {
                self.child.signal_group(KILL);
            }
            Act::Wait | Act::Finish => {}
        }
    }
}

impl Stream {
    fn new(pipe: Option<OwnedFd>) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            fd::set_nonblocking(pipe, true)?;
        }
        Ok(Self { pipe: pipe.map(File::from), output: Output::default() })
    }

    fn has_ended(&self) -> bool {
        self.pipe.is_none()
    }

    /// Takes what is there, with so many reads at most; closes the pipe at its end.
    fn read(&mut self, buffer: &mut [u8], times: usize) {
        for _ in 0..times {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(buffer) {
                Ok(0) => self.pipe = None,
                Ok(read) => self.output.push(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A pipe that cannot be read will not be better later.
                Err(_) => self.pipe = None,
            }
        }
    }
}
