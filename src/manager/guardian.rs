//! The manager's side of the guard: a small process that outlives the manager for a moment and ends its daemons.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::manager::guard::EXPECTED;
use crate::manager::tree::Root;
use crate::sys::child::Child;
use crate::sys::fd;

/// The guard of one manager, started with the first daemon.
///
/// It reads a pipe whose other end only the manager holds; when the manager dies, however it dies, the kernel closes
/// that end, and the guard ends what it was told to hold. See [`guard`](crate::manager::guard).
#[derive(Debug)]
pub(crate) struct Guardian {
    command: Vec<OsString>,
    guard: Option<(Child, File)>,
}

impl Guardian {
    /// A guard that will execute `command`.
    pub(crate) fn new(command: Vec<OsString>) -> Self {
        Self { command, guard: None }
    }

    /// The pid of the guard, a child of the manager like any other.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.guard.as_ref().map(|(child, _)| child.pid())
    }

    /// Has the guard end what is about to be started with this cookie, should the manager die before it has the pid.
    pub(crate) fn expect(&mut self, cookie: &str) {
        self.hold(&Root { pid: EXPECTED, start_ticks: 0, cookie: cookie.to_owned() });
    }

    /// What was expected is held by its pid now, or did not come.
    pub(crate) fn expect_nobody(&mut self) {
        self.release(EXPECTED);
    }

    /// Has the guard end this tree should the manager die.
    pub(crate) fn hold(&mut self, root: &Root) {
        self.say(&format!("hold {} {} {}\n", root.pid, root.start_ticks, root.cookie));
    }

    /// The tree of this leader is no daemon's any more.
    pub(crate) fn release(&mut self, pid: u32) {
        self.say(&format!("release {pid}\n"));
    }

    fn say(&mut self, line: &str) {
        if self.guard.is_none() {
            self.guard = self.start();
        }
        if let Some((_, pipe)) = &mut self.guard {
            // A guard that was killed is seen by its owner, who starts another; see `renew`.
            let _ = pipe.write_all(line.as_bytes());
        }
    }

    fn start(&self) -> Option<(Child, File)> {
        let (read, write) = fd::pipe().ok()?;
        let (program, args) = self.command.split_first()?;
        let mut command = Command::new(program);
        // A group of its own: Ctrl-C at the manager's terminal is not meant for it.
        command.args(args).process_group(0);
        command.stdin(File::from(read)).stdout(Stdio::null()).stderr(Stdio::null());
        fd::set_nonblocking(&write, true).ok()?;
        let child = Child::spawn(&mut command, []).ok()?;
        Some((child, File::from(write)))
    }

    /// Replaces a guard that has died by one that holds `daemons`. True if it had died.
    pub(crate) fn renew<'a>(&mut self, daemons: impl Iterator<Item = &'a Root>) -> bool {
        let died = self.guard.as_mut().is_some_and(|(child, _)| child.try_reap().is_some());
        if died {
            self.guard = None;
            daemons.for_each(|root| self.hold(root));
        }
        died
    }

    /// Ends the guard, which has nothing left to hold.
    pub(crate) fn dismiss(&mut self) {
        if let Some((mut child, pipe)) = self.guard.take() {
            drop(pipe);
            let _ = child.wait();
        }
    }
}
