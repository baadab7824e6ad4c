//! pipeline: conv, log, stat and report, four processes that pass numbers on.

use std::io::{self, BufRead as _, BufReader};
use std::process::{Command, Stdio};

use ipcpipe::Error;
use ipcpipe::mp::Result;

use super::say;

pub(super) fn run() -> Result<String> {
    // This program without a verb is the pipeline: conv makes numbers and sends each to log, which writes it to a file, and
    // to stat, which adds it up for report. 10 ms from one number to the next instead of 0.8 s; the log is thrown away.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--backend", "socket", "--count", "5", "--interval", "10ms", "--log", "/dev/null"]);
    let failed = |error| Error::os("cannot run", "the pipeline", error);
    let mut pipeline = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;

    // report prints a line for each number; at the end the launcher says what became of all of them, and who was who.
    let reports = repeat(pipeline.stdout.take()).map_err(failed)?;
    repeat(pipeline.stderr.take()).map_err(failed)?;
    let status = pipeline.wait().map_err(failed)?;
    if !status.success() {
        return Err(Error::refused("cannot run", "the pipeline", status.to_string()).into());
    }
    Ok(format!("{reports} numbers through four processes over sockets"))
}

/// Says the lines of `output` as they come, and how many there were.
fn repeat(output: Option<impl io::Read>) -> io::Result<usize> {
    let lines = output.into_iter().flat_map(|output| BufReader::new(output).lines());
    lines.map(|line| line.map(|line| say!("{line}"))).try_fold(0, |number, said| said.map(|()| number + 1))
}
