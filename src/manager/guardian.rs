//! The manager's side of the guard: a small process that outlives the manager for a moment and ends its daemons.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Error;
use crate::manager::tree::Root;
use crate::sys::child::Child;
use crate::sys::fd;
use crate::sys::signal::CONT;

/// Time from one attempt to start a guard to the next.
const RETRY: Duration = Duration::from_secs(1);

/// The guard of one manager, started with the first daemon.
///
/// It reads a pipe whose other end only the manager holds; when the manager dies, however it dies, the kernel closes
/// that end, and the guard ends what it was told to hold. See [`guard`](crate::manager::guard).
#[derive(Debug)]
pub(crate) struct Guardian {
    command: Vec<OsString>,
    guard: Option<(Child, File)>,
    /// A guard has died, and nobody holds yet what it held.
    is_owed: bool,
    /// When to try again to start another.
    next_try: Option<Instant>,
}

impl Guardian {
    /// A guard that will execute `command`.
    pub(crate) fn new(command: Vec<OsString>) -> Self {
        Self { command, guard: None, is_owed: false, next_try: None }
    }

    /// The pid of the guard, a child of the manager like any other.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.guard.as_ref().map(|(child, _)| child.pid())
    }

    /// Has the guard end a tree that is about to be, known by its cookie, should the manager die before
    /// [`hold`](Self::hold).
    ///
    /// # Errors
    /// When there is no guard that listens. A daemon without one could outlive the manager, so it is not to be started.
    pub(crate) fn expect(&mut self, cookie: &str) -> Result<(), Error> {
        self.bury();
        if self.guard.is_none() {
            self.guard = Some(self.start()?);
        }
        let told = self.say(&format!("hold 0 0 {cookie}\n"));
        told.map_err(|error| Error::os("cannot reach", "the guard of the daemons", error))
    }

    /// Has the guard end all jobs of a pool, those to come too, should the manager die.
    ///
    /// # Errors
    /// When there is no guard that listens.
    pub(crate) fn hold_pool(&mut self, root: &Root) -> Result<(), Error> {
        self.bury();
        if self.guard.is_none() {
            self.guard = Some(self.start()?);
        }
        let told = self.say(&format!("hold {} 0 {}\n", root.pid, root.cookie));
        told.map_err(|error| Error::os("cannot reach", "the guard of the daemons", error))
    }

    /// Has the guard end this tree should the manager die.
    pub(crate) fn hold(&mut self, root: &Root) {
        // A guard that was killed is seen by its owner, who starts another; see `renew`.
        let _ = self.say(&format!("hold {} {} {}\nrelease 0\n", root.pid, root.start_ticks, root.cookie));
    }

    /// The tree of this leader is no daemon's any more.
    pub(crate) fn release(&mut self, pid: u32) {
        let _ = self.say(&format!("release {pid}\n"));
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        self.guard.as_mut().map_or(Ok(()), |(_, pipe)| pipe.write_all(line.as_bytes()))
    }

    fn start(&self) -> Result<(Child, File), Error> {
        let (read, write) = fd::pipe()?;
        let (program, args) = self.command.split_first().expect("a guard has a program");
        let mut command = Command::new(program);
        // A group of its own: Ctrl-C at the manager's terminal is not meant for it.
        command.args(args).process_group(0);
        command.stdin(File::from(read)).stdout(Stdio::null()).stderr(Stdio::null());
        let failed = |error| Error::os("cannot start", "the guard of the daemons", error);
        fd::set_nonblocking(&write, true).map_err(failed)?;
        Ok((Child::spawn(&mut command, [])?, File::from(write)))
    }

    /// Notes the death of the guard.
    fn bury(&mut self) {
        if self.guard.as_mut().is_some_and(|(child, _)| child.try_reap().is_some()) {
            self.guard = None;
            self.is_owed = true;
        }
    }

    /// Replaces a guard that has died by one that holds `daemons`; where that fails, it is tried again later. True if it
    /// was replaced.
    pub(crate) fn renew<'a>(&mut self, daemons: impl Iterator<Item = &'a Root>, now: Instant) -> bool {
        self.bury();
        if !self.is_owed || self.next_try.is_some_and(|at| at > now) {
            return false;
        }
        let mut daemons = daemons.peekable();
        if self.guard.is_none() && daemons.peek().is_some() {
            self.next_try = now.checked_add(RETRY);
            self.guard = self.start().ok();
            if self.guard.is_none() {
                return false;
            }
        }
        self.is_owed = false;
        self.next_try = None;
        daemons.for_each(|root| self.hold(root));
        true
    }

    /// When to call [`renew`](Self::renew) again; None while nothing is to be replaced.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next_try
    }

    /// Ends the guard, which has nothing left to hold.
    pub(crate) fn dismiss(&mut self) {
        if let Some((mut child, pipe)) = self.guard.take() {
            drop(pipe);
            // Somebody may have stopped it, and then it would never see the end.
            child.signal_group(CONT);
            let _ = child.wait();
        }
    }
}
