//! `ipcpipe manager logd`: the log server, until a signal asks it to end. SIGHUP has it open its file anew, as log
//! rotation by others expects.

use std::os::fd::AsFd;

use ipcpipe::Error;
use ipcpipe::manager::logd::{self, LogdOptions};
use ipcpipe::sys::signal::{self, Signals};

use super::Status;
use super::options::LogdArgs;

/// Serves logs.
pub(crate) fn run(args: &LogdArgs) -> Result<Status, Error> {
    let failed = |error| Error::os("cannot catch", "signals", error);
    let stop = Signals::catch(&signal::ENDS).map_err(failed)?;
    let reopen = Signals::catch(&[signal::HANG_UP]).map_err(failed)?;
    // A line that does not fit a limit on files is lost; the server goes on.
    let _too_long = Signals::catch(&[signal::FILE_TOO_LONG]).map_err(failed)?;
    let options = LogdOptions { dir: args.dir.clone(), max_bytes: args.max_bytes, keep: args.keep };
    logd::serve(options, stop.as_fd(), Some(reopen.as_fd()))?;
    Ok(Status::DONE)
}
