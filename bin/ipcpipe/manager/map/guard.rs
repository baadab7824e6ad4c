//! What ends the jobs when `map` itself is killed.
//!
//! All jobs have one entry in their environment by which the guard, a process that reads a pipe of ours, finds them and what they
//! have started, once that pipe has ended and nobody said that all is well. For short jobs that is all, and the guard sleeps: a
//! signal on the parent's death would need a process more for each of them, and to tell of each a turn of the guard. Of
//! a job that runs for long the guard is told, so that it holds the process group too, should the job clear its environment.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use ipcpipe::Error;
use ipcpipe::jobs::Note;
use ipcpipe::sys::child::Child;
use ipcpipe::sys::fd;
use ipcpipe::sys::proc;

use crate::run::THIS_PROGRAM;

/// The variable by which the jobs of one `map` are known.
const MARK: &str = "IPCPIPE_MAP";

/// The guard of all jobs. Dropping it ends the guard, for `map` ends only when no job is left; unless it panics.
#[derive(Debug)]
pub(super) struct Guard {
    // The fields are dropped in their order: first the guard ends, then its pipe.
    guard: Option<Child>,
    pipe: File,
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
        fd::set_nonblocking(&write, true).map_err(failed)?;
        let guard = Child::spawn(&mut command, [])?;
        let mut pipe = File::from(write);
        pipe.write_all(format!("hold 0 0 {MARK}={mark}\n").as_bytes()).map_err(failed)?;
        Ok(Self { guard: Some(guard), pipe, mark })
    }

    /// What the jobs have in their environment.
    pub(super) fn environment(&self) -> (OsString, OsString) {
        (MARK.into(), self.mark.clone().into())
    }

    /// Tells the guard what there is to know of long jobs. Should it be gone, nothing is lost that a guard was needed for
    /// until now, and jobs go on without.
    pub(super) fn note(&mut self, notes: &[Note]) {
        for note in notes {
            let line = match note {
                Note::Long(pid) => {
                    proc::stat(*pid).map(|stat| format!("hold {pid} {} {MARK}={}\n", stat.start_ticks, self.mark))
                }
                Note::Over(pid) => Some(format!("release {pid}\n")),
            };
            let _ = line.map(|line| self.pipe.write_all(line.as_bytes()));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if thread::panicking() {
            // Its pipe ends, and it does what it is for.
            std::mem::forget(self.guard.take());
        }
    }
}
