//! pipeline: conv, log, stat and report, four processes that pass numbers on.

use std::io;
use std::os::fd::AsFd as _;
use std::process::Command;

use ipcpipe::Error;
use ipcpipe::mp::Result;

use super::say;

const NUMBERS: usize = 5;

pub(super) fn run() -> Result<String> {
    let failed = |error| Error::os("cannot run", "the pipeline", error);

    // This program without a verb is the pipeline: conv makes numbers and sends each to log, which writes it to a file, and
    // to stat, which adds it up for report. 10 ms from one number to the next instead of 0.8 s; the log is thrown away.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--backend", "socket", "--interval", "10ms", "--log", "/dev/null", "--count", &NUMBERS.to_string()]);

    // report prints a line for each number, and the launcher at the end what became of all of them, and who was who: both to
    // our standard output, which they inherit.
    command.stderr(io::stdout().as_fd().try_clone_to_owned().map_err(failed)?);
    say!("ipcpipe --backend socket --interval 10ms --count {NUMBERS}");
    let status = command.status().map_err(failed)?;

    // The status is 0 only if every number that conv made was logged, counted and reported.
    if !status.success() {
        return Err(Error::refused("cannot run", "the pipeline", status.to_string()).into());
    }
    Ok(format!("{NUMBERS} numbers through four processes over sockets"))
}
