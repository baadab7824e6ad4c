//! A terminal of its own for the prompt: what a person types and sees.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{LocalFlags, tcgetattr};

use crate::sandbox::{DEADLINE, Sandbox, one_at_a_time, wait_for};

pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_D: &str = "\x04";
pub(crate) const CTRL_Z: &str = "\x1a";
pub(crate) const UP: &str = "\x1b[A";
pub(crate) const TAB: &str = "\t";

/// A terminal and the program on it, which leads its session.
pub(crate) struct Terminal {
    child: Child,
    master: File,
    /// What was printed and not yet looked at.
    unseen: Vec<u8>,
}

impl Terminal {
    /// Runs `words` in `sandbox` on a terminal.
    pub(crate) fn run(sandbox: &Sandbox, words: &[&str]) -> Self {
        // Nobody else may inherit either end: the terminal would not close with the last of its own.
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname_r(&master).unwrap();
        let end = || {
            let noctty = OFlag::O_NOCTTY.bits();
            Stdio::from(OpenOptions::new().read(true).write(true).custom_flags(noctty).open(&name).unwrap())
        };
        // It becomes the controlling terminal of a new session, so that its keys are signals.
        let mut command: Command = sandbox.shell("exec setsid --ctty \"$@\"");
        command
            .arg("setsid")
            .args(words)
            .env("TERM", "xterm")
            .env_remove("HISTFILE")
            .env("HOME", sandbox.path("home"))
            .env("XDG_STATE_HOME", sandbox.path("state"));
        command.stdin(end()).stdout(end()).stderr(end());
        let _spawning = one_at_a_time();
        let child = command.spawn().unwrap();
        Self { child, master: File::from(std::os::fd::OwnedFd::from(master)), unseen: Vec::new() }
    }

    /// The prompt of a manager.
    pub(crate) fn prompt(sandbox: &Sandbox) -> Self {
        let mut terminal = Self::run(sandbox, &[env!("CARGO_BIN_EXE_ipcpipe"), "manager"]);
        terminal.sees("> ");
        terminal
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// True while a command runs: the prompt has a terminal that gives it every key.
    pub(crate) fn is_cooked(&self) -> bool {
        tcgetattr(&self.master).unwrap().local_flags.contains(LocalFlags::ICANON)
    }

    /// Closes the terminal, and waits for the end of the program.
    pub(crate) fn hang_up(mut self) -> ExitStatus {
        let nothing = File::open("/dev/null").unwrap();
        drop(std::mem::replace(&mut self.master, nothing));
        wait_for("the end", || self.child.try_wait().unwrap())
    }

    /// Types a line and waits until `text` is printed and keys are wanted again: one that is typed before that is a
    /// matter of the terminal.
    #[track_caller]
    pub(crate) fn says(&mut self, line: &str, text: &str) -> String {
        self.types(&format!("{line}\r"));
        let seen = self.sees(text);
        wait_for("the prompt", || (!self.is_cooked()).then_some(()));
        seen
    }

    /// Waits until `text` is printed behind what was seen before; answers what came before it.
    #[track_caller]
    pub(crate) fn sees(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = find(&self.unseen, text.as_bytes()) {
                let seen: Vec<u8> = self.unseen.drain(..at + text.len()).collect();
                return String::from_utf8_lossy(&seen).into_owned();
            }
            let shown = String::from_utf8_lossy(&self.unseen).into_owned();
            assert!(Instant::now() < end && self.fill(), "waited in vain for {text:?} in {shown:?}");
        }
    }

    /// Reads what comes within a moment; false at the end.
    fn fill(&mut self) -> bool {
        let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(100_u8)).unwrap() == 0 {
            return true;
        }
        let mut chunk = [0; 4096];
        // EIO: nobody has the other end any more.
        let length = self.master.read(&mut chunk).unwrap_or_default();
        self.unseen.extend(&chunk[..length]);
        length > 0
    }

    /// Waits for the end; answers how, and what was printed.
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
        let end = Instant::now() + DEADLINE;
        while self.fill() {
            assert!(Instant::now() < end, "it does not end: {:?}", String::from_utf8_lossy(&self.unseen));
        }
        let status = wait_for("the end", || self.child.try_wait().unwrap());
        (status, String::from_utf8_lossy(&self.unseen).into_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|it| it == part)
}
