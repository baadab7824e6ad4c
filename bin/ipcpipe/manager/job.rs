//! The built-in job, as a process: a line, a pause, and so on for ever.

use std::io::{self, ErrorKind, Write};
use std::thread;
use std::time::Duration;

use ipcpipe::Error;
use ipcpipe::sys::process;

use super::Status;
use super::options::JobArgs;

/// Writes lines until it is killed or nobody reads them.
pub(crate) fn run(args: &JobArgs) -> Result<Status, Error> {
    if let Some(name) = &args.name {
        process::set_name(name).map_err(|error| Error::os("cannot take the name", name, error))?;
    }
    match tick(args.every) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Status::DONE),
        Err(error) => Err(Error::os("cannot write to", "stdout", error)),
        Ok(never) => match never {},
    }
}

fn tick(every: Duration) -> io::Result<std::convert::Infallible> {
    let mut stdout = io::stdout().lock();
    let mut number = 0_u64;
    loop {
        number += 1;
        writeln!(stdout, "tick {number}")?;
        stdout.flush()?;
        thread::sleep(every);
    }
}
