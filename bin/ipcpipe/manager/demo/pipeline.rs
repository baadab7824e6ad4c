//! pipeline: conv, log, stat and report, four processes that pass numbers on.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use ipcpipe::Error;
use ipcpipe::mp::Result;

use super::say;

pub(super) fn run() -> Result<String> {
    // This program without a verb is the pipeline: conv makes numbers and sends each to log, which writes it to a file, and
    // to stat, which adds it up for report. 5 ms from one number to the next instead of 0.8 s; the log is thrown away.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--backend", "socket", "--count", "5", "--interval", "5ms", "--log", "/dev/null", "--quiet"]);
    let failed = |error| Error::os("cannot run", "the pipeline", error);
    let mut pipeline = command.stdout(Stdio::piped()).spawn().map_err(failed)?;

    let mut reports = 0;
    let output = pipeline.stdout.take().expect("its output is a pipe");
    for report in BufReader::new(output).lines() {
        say!("report of pid {}: {}", pipeline.id(), report.map_err(failed)?);
        reports += 1;
    }
    let status = pipeline.wait().map_err(failed)?;
    if !status.success() {
        return Err(Error::refused("cannot run", "the pipeline", status.to_string()).into());
    }
    Ok(format!("{reports} numbers through four processes over sockets"))
}
