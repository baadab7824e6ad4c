//! What can be said of a process before it is started.

use std::ffi::{OsStr, OsString};
use std::marker::PhantomData;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde::Serialize;

use crate::mp::process::running::{Held, Running};
use crate::mp::process::scope::Left;
use crate::mp::process::start::{MARK, Start, expect_init};
use crate::mp::process::{Process, current};
use crate::mp::socket::Socket;
use crate::mp::task::Task;
use crate::mp::{Result, Worker, wire};
use crate::sys::child::Child;

/// A process before its start; made by [`Process::builder`].
#[must_use = "nothing is started before spawn"]
#[derive(Debug)]
pub struct ProcessBuilder<A, R> {
    task: Task<A, R>,
    args: A,
    name: Option<String>,
    is_daemon: bool,
    /// This program, as it will be started.
    command: Command,
}

impl<A: Serialize, R> ProcessBuilder<A, R> {
    pub(super) fn new(task: Task<A, R>, args: A) -> Self {
        // A path would miss a program that was moved or replaced since it was started.
        Self { task, args, name: None, is_daemon: false, command: Command::new("/proc/self/exe") }
    }

    /// What the process is called, in ps(1) too, instead of Process-1 and so on.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// True: the process is killed when this one ends, in whatever way, or drops it. False, the default: this process
    /// waits for it.
    pub fn daemon(mut self, is_daemon: bool) -> Self {
        self.is_daemon = is_daemon;
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Where its standard output goes, instead of where this process's goes.
    pub fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stdout(to);
        self
    }

    /// Where its standard error goes, instead of where this process's goes.
    pub fn stderr(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stderr(to);
        self
    }

    /// The directory in which it begins.
    pub fn current_dir(mut self, dir: impl AsRef<std::path::Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// True: it leads a process group of its own, so that Ctrl-C at the terminal of this one is not meant for it.
    pub fn own_group(mut self, is_wanted: bool) -> Self {
        if is_wanted {
            std::os::unix::process::CommandExt::process_group(&mut self.command, 0);
        }
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// As [`Process::spawn`].
    pub fn spawn(self) -> Result<Process<R>> {
        self.spawn_in(None)
    }

    /// [`spawn`](Self::spawn), in a scope if there is one.
    pub(super) fn spawn_in(self, scope: Option<Arc<Left>>) -> Result<Process<R>> {
        expect_init()?;
        let Self { task, args, name, is_daemon, mut command } = self;
        let identity = current::next_child();
        let name = name.unwrap_or_else(|| format!("Process-{identity}"));
        let start = Start { name: name.clone(), is_daemon, identity, task: task.name().to_owned() };
        let message = wire::encode_two_with_handles(&start, &args)?;
        let (mut control, theirs) = Socket::pair()?;
        let title: OsString = format!("ipcpipe: {}", printable(&name)).into();
        std::os::unix::process::CommandExt::arg0(&mut command, title);
        command.arg(MARK).arg(printable(task.name())).stdin(theirs.into_fd());
        let child = Child::spawn(&mut command, [])?;
        // The command holds the child's end, whose closing is what tells of the child's death.
        drop(command);
        let worker = Worker { name, pid: child.pid() };
        // A child that is gone already is an answer, not an error: join says how it ended.
        let _ = control.send(&message);
        let running = Running::new(worker, is_daemon, child, control);
        Ok(Process { running: Held::new(running, scope), result: PhantomData })
    }
}

/// An argument of a command cannot hold a zero byte, and one line is enough.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
