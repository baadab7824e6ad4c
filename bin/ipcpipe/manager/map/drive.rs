//! The loop of `map`: one thread, one poll(2), and nothing in it waits for anything else.

use std::io::{self, ErrorKind};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Instant;

use ipcpipe::Error;
use ipcpipe::jobs::{Job, Outcome, Policy, Runner, Streams, Template, quoted};
use ipcpipe::sys::fd;
use ipcpipe::sys::signal::Signals;
use ipcpipe::sys::wait::{self, Interest};

use super::bar::Bar;
use super::form::{Shape, Totals};
use super::guard::Guard;
use super::inputs::{Inputs, Next};
use super::log::{JobLog, Known};
use super::order::Sequence;
use super::printer::{Piece, Printer, Stop, Target};
use super::{Ended, STUCK, is_json, line, status_of};
use crate::manager::Status;
use crate::manager::grammar::{Halt, MapArgs, Options};
use crate::manager::session::Lost;

/// All that the loop holds.
#[derive(Debug)]
pub(super) struct Drive {
    runner: Runner,
    inputs: Inputs,
    sequence: Sequence,
    printer: Printer,
    shape: Shape,
    halt: Halt,
    bar: Bar,
    signals: Signals,
    /// Inputs so far, and those that were not run again.
    seq: u64,
    skipped: u64,
    /// Nothing more is started.
    is_closed: bool,
    /// The inputs have to be read before there is one.
    waits_for_input: bool,
    said_other: bool,
    stopped_by: Option<i32>,
    stop: Option<Stop>,
    guard: Guard,
}

impl Drive {
    pub(super) fn new(
        args: &MapArgs,
        options: &Options,
        place: Option<&str>,
        template: Template,
        inputs: Inputs,
        signals: Signals,
    ) -> Result<Self, Error> {
        let log = JobLog::open(args)?;
        let guard = Guard::start()?;
        let json = is_json(options);
        let cpus = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let policy = Policy {
            workers: args.workers.0.unwrap_or(cpus),
            retries: args.retries,
            timeout: args.timeout,
            grace: args.grace,
            streams: if args.ungroup { Streams::Inherited } else { Streams::Captured },
            environment: vec![guard.environment()],
        };
        let shape = Shape {
            json,
            quiet: options.quiet,
            tag: args.tag,
            log: !log.is_off(),
            timeout: args.timeout,
            place: place.map(str::to_owned),
        };
        let remark = log.remark();
        let mut drive = Self {
            runner: Runner::new(template, policy)?,
            inputs,
            sequence: Sequence::new(args.order),
            printer: Printer::new(log).map_err(|error| Error::os("cannot write to", "stdout", error))?,
            shape,
            halt: args.halt,
            bar: Bar::new(args.progress),
            signals,
            seq: 0,
            skipped: 0,
            is_closed: false,
            waits_for_input: false,
            said_other: false,
            stopped_by: None,
            stop: None,
            guard,
        };
        remark.into_iter().for_each(|remark| drive.remark(remark));
        Ok(drive)
    }

    /// Runs all jobs, and says how that went.
    pub(super) fn run(mut self, began: Instant) -> Result<Ended, Lost> {
        while let Err(stop) = self.go_on() {
            self.stop.get_or_insert(stop);
            self.close();
            self.printer.discard();
            self.runner.cancel(Instant::now());
        }
        let statistics = self.runner.statistics();
        if self.stop.is_none() {
            self.conclude(began);
        }
        let Self { stopped_by, stop, bar, shape, .. } = self;
        drop(bar);
        match stop {
            // A reader who has seen enough is no error.
            Some(Stop::Stdout(error)) if stopped_by.is_none() && error.kind() == ErrorKind::BrokenPipe => {
                Err(Lost(error))
            }
            Some(Stop::Stdout(error)) if stopped_by.is_none() => {
                super::say(shape.place.as_deref(), Error::os("cannot write to", "stdout", error));
                Ok(Ended { status: STUCK, stopped_by })
            }
            Some(Stop::Other(error)) => {
                super::say(shape.place.as_deref(), fd::with_way_out(error));
                Ok(Ended { status: STUCK, stopped_by })
            }
            _ if stopped_by.is_some() => Ok(Ended { status: Status::FAILED, stopped_by }),
            _ => Ok(Ended { status: status_of(statistics.failed), stopped_by }),
        }
    }

    /// Goes on until all is done or something is in the way.
    fn go_on(&mut self) -> Result<(), Stop> {
        loop {
            // In this order: what was printed makes room for jobs, and without them there might be nothing to wait for.
            self.print()?;
            self.feed()?;
            let is_printed = self.printer.is_empty() || self.stopped_by.is_some();
            if self.is_closed && self.runner.is_idle() && is_printed {
                return Ok(());
            }
            self.wait()?;
            let now = Instant::now();
            let outcomes = self.turn(now)?;
            self.guard.note(&self.runner.take_notes());
            // The next jobs first: printing can wait, and they run meanwhile.
            let failed = outcomes.iter().any(Outcome::failed);
            self.heed(failed, now);
            self.feed()?;
            for outcome in outcomes {
                for outcome in self.sequence.pass(outcome) {
                    self.show(outcome)?;
                }
            }
            self.say_shortage();
            let total = self.inputs.left().map(|left| left + self.seq - self.skipped);
            self.bar.draw(now, self.runner.statistics(), self.runner.running(), total);
        }
    }

    /// Starts jobs while there is room for them.
    fn feed(&mut self) -> Result<(), Stop> {
        self.waits_for_input = false;
        while !self.is_closed && self.runner.has_room() && !self.sequence.is_full() && !self.printer.is_full() {
            match self.inputs.next().map_err(Stop::Other)? {
                Next::Input(input) => {
                    self.seq += 1;
                    let job = Job { seq: self.seq, input };
                    if self.is_done(&job) {
                        self.skipped += 1;
                    } else {
                        self.sequence.expect(job.seq);
                        self.start(job)?;
                    }
                }
                Next::Later => {
                    self.waits_for_input = true;
                    return Ok(());
                }
                Next::End => self.close(),
            }
        }
        Ok(())
    }

    /// Starts `job`, or has it wait if there is no room for it: what is not printed yet may hold some.
    fn start(&mut self, job: Job) -> Result<(), Stop> {
        match self.runner.submit(job, Instant::now()) {
            Err(error) if !self.runner.is_stuck() => Err(Stop::Other(error)),
            _ => Ok(()),
        }
    }

    /// Answers those that are over. Jobs that there is no room for are an error once nothing is left to print.
    fn turn(&mut self, now: Instant) -> Result<Vec<Outcome>, Stop> {
        match self.runner.turn(now) {
            Err(_) if self.runner.is_stuck() && !self.printer.is_empty() => Ok(Vec::new()),
            turned => turned.map_err(Stop::Other),
        }
    }

    /// True if the log has the job. That it was another one then is said once.
    fn is_done(&mut self, job: &Job) -> bool {
        let known = self.printer.log().has(job.seq, || quoted(&self.runner.command_line(job)));
        if known == Some(Known::Other) && !self.said_other {
            self.said_other = true;
            let text = format!("job {} is in the log with another command; what is there counts as done", job.seq);
            self.remark(text);
        }
        known.is_some()
    }

    fn show(&mut self, outcome: Outcome) -> Result<(), Stop> {
        let command = if self.shape.log { self.runner.command_line(&outcome.job) } else { Vec::new() };
        let pieces = self.shape.pieces(outcome, &command);
        let failed = |error| Stop::Other(Error::os("cannot read", "an output", error));
        pieces.map_err(failed)?.into_iter().for_each(|piece| self.printer.push(piece));
        Ok(())
    }

    fn print(&mut self) -> Result<(), Stop> {
        if self.printer.is_empty() {
            return Ok(());
        }
        let Self { bar, printer, .. } = self;
        bar.suspend(|| printer.print())
    }

    /// Waits until something can be done.
    fn wait(&mut self) -> Result<(), Stop> {
        let failed = |error: io::Error| Stop::Other(Error::os("cannot wait for", "jobs", error));
        let mut fds: Vec<(BorrowedFd<'_>, Interest)> =
            vec![(self.signals.as_fd(), Interest::Read), (self.runner.as_fd(), Interest::Read)];
        let source = self.inputs.source().filter(|_| self.waits_for_input);
        fds.extend(source.map(|fd| (fd, Interest::Read)));
        fds.extend(self.printer.waits_for().map(|fd| (fd, Interest::Write)));
        let retry = (self.runner.is_stuck() && self.printer.is_empty()).then(Instant::now);
        let deadline = self.runner.deadline().into_iter().chain(self.bar.deadline()).chain(retry).min();
        let ready = wait::wait_many(&fds, deadline).map_err(failed)?;
        let has_input = source.is_some() && ready[2].any();
        if ready[0].any() {
            self.hear();
        }
        if has_input {
            self.inputs.read().map_err(Stop::Other)?;
        }
        Ok(())
    }

    /// The first request to end asks all jobs to end, the next one ends them.
    fn hear(&mut self) {
        let now = Instant::now();
        for signal in self.signals.take() {
            self.close();
            match self.stopped_by {
                None => self.runner.cancel(now),
                Some(_) => self.runner.kill(now),
            }
            self.stopped_by.get_or_insert(signal as i32);
        }
    }

    /// Does what a failure asks for.
    fn heed(&mut self, failed: bool, now: Instant) {
        if failed && self.halt != Halt::Never {
            self.close();
            if self.halt == Halt::Now {
                self.runner.cancel(now);
            }
        }
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.waits_for_input = false;
    }

    fn say_shortage(&mut self) {
        // Where there is room for no job at all, that is said instead.
        if let Some(error) = self.runner.take_shortage().filter(|_| self.stop.is_none()) {
            self.remark(format!("{error}; going on with fewer jobs at once"));
        }
    }

    /// Says what a person should know.
    fn remark(&mut self, text: String) {
        if !self.shape.quiet {
            let text = line(self.shape.place.as_deref(), text).into_bytes();
            self.printer.push(Piece::Text(Target::Stderr, text));
        }
    }

    /// The totals: an object for a program, and for a person a line if something went wrong.
    fn conclude(&mut self, began: Instant) {
        let of = self.runner.statistics();
        if self.shape.json {
            let totals = Totals::new(of, self.skipped, began.elapsed(), self.stopped_by);
            self.printer.push(Piece::Text(Target::Stdout, totals.line()));
        } else if of.failed > 0 || of.cancelled > 0 {
            let cancelled = if of.cancelled > 0 { format!(", {} ended early", of.cancelled) } else { String::new() };
            self.remark(format!("{} of {} jobs failed{cancelled}", of.failed, of.over()));
        }
        // What takes time now is the reader. Somebody who wants us to end does not want to wait for him.
        while self.stop.is_none() {
            let printed = self.print();
            if self.printer.is_empty() || self.stopped_by.is_some() {
                return;
            }
            self.stop = printed.and_then(|()| self.wait()).err();
        }
    }
}
