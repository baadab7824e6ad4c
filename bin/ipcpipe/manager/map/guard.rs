//! What ends the jobs when `map` itself is killed.
//!
//! All jobs have one entry in their environment by which the guard, a process that reads a pipe of ours, finds them and what they
//! have started, once that pipe has ended and nobody said that all is well. It is told once and sleeps until then: a
//! signal on the parent's death would need a process more for each job, and to tell of each job a turn of the guard.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{self, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use ipcpipe::Error;
use ipcpipe::sys::child::Child;
use ipcpipe::sys::fd;

use crate::run::THIS_PROGRAM;

/// The variable by which the jobs of one `map` are known.
const MARK: &str = "IPCPIPE_MAP";

/// The guard of all jobs. It takes every other end of `map` for one that left no job behind, so this is dropped last.
#[derive(Debug)]
pub(super) struct Guard {
    // The fields are dropped in their order: first the guard ends, then its pipe.
    _guard: Child,
    _pipe: File,
    mark: String,
}

impl Guard {
    /// Starts a guard.
    pub(super) fn start() -> Result<Self, Error> {
        let failed = |error| Error::os("cannot start", "the guard of the jobs", error);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mark = format!("{}.{}", process::id(), since.as_nanos());
        let (read, write) = fd::pipe()?;
        let mut command = Command::new(THIS_PROGRAM);
        // A group of its own: Ctrl-C at our terminal is not meant for it.
        command.args(["manager", "guard"]).process_group(0);
        command.stdin(File::from(read)).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = Child::spawn(&mut command, [])?;
        let mut pipe = File::from(write);
        pipe.write_all(format!("hold 0 0 {MARK}={mark}\n").as_bytes()).map_err(failed)?;
        Ok(Self { _guard: guard, _pipe: pipe, mark })
    }

    /// What the jobs have in their environment.
    pub(super) fn environment(&self) -> (OsString, OsString) {
        (MARK.into(), self.mark.clone().into())
    }
}
