//! The processes that a manager makes of this program: the built-in job, which writes a line, pauses, and so on for ever;
//! the jobs of `map --task`; and the guard.

use std::io::{self, ErrorKind, Write};
use std::thread;
use std::time::Duration;

use ipcpipe::manager::guard::run_guard;
use ipcpipe::manager::thread::tick_lines;
use ipcpipe::sys::process;
use ipcpipe::tasks::Builtin;
use ipcpipe::{Error, OneLine};

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
        Ok(()) => Ok(Status::DONE),
    }
}

fn tick(every: Duration) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for line in tick_lines() {
        writeln!(stdout, "{line}")?;
        stdout.flush()?;
        thread::sleep(every);
    }
    Ok(())
}

/// Runs a task that comes with the program, and prints its result.
pub(crate) fn task(task: Builtin, input: &str) -> Status {
    match task.run(input.to_owned()) {
        Ok(result) => {
            println!("{result}");
            Status::DONE
        }
        Err(why) => {
            eprintln!("ipcpipe: {} {}: {why}", task.name(), OneLine::text(input));
            Status::FAILED
        }
    }
}

/// Guards the daemons of the manager at the other end of stdin.
pub(crate) fn guard() -> Result<Status, Error> {
    process::set_name("guard").map_err(|error| Error::os("cannot take the name", "guard", error))?;
    match run_guard(io::stdin().lock()) {
        Ok(()) => Ok(Status::DONE),
        Err(error) => Err(Error::os("cannot read from", "stdin", error)),
    }
}
