//! kill: a process that takes too long is asked to end, and it cannot refuse.

use std::time::Duration;

use ipcpipe::mp::{self, Error, Result, Scope};
use ipcpipe::task;

use super::say;

fn run_for_ever() {
    say!("runs for ever");
    loop {
        std::thread::park();
    }
}

pub(super) fn run() -> Result<String> {
    // Whatever fails in a scope, nothing that was started there goes on, and nobody waits for it.
    mp::scope(kill)
}

fn kill(scope: &Scope) -> Result<String> {
    let mut process = scope.spawn(task!(run_for_ever), ())?;

    // The time is part of the answer: nothing here can hang.
    match process.join_timeout(Duration::from_millis(100)) {
        Err(Error::TimedOut(..)) => {}
        other => return other.map(|()| "it ended by itself".to_owned()),
    }
    let is_alive = process.is_alive();
    say!("after 100 ms {} is alive: {is_alive}", process.name());

    // SIGTERM; and SIGKILL for one that has not ended after a second.
    process.terminate(Duration::from_secs(1));
    let is_alive = process.is_alive();
    say!("after terminate {} is alive: {is_alive}", process.name());

    // What became of it is an error of its own kind, not a number to be decoded.
    match process.join() {
        Err(error @ Error::Signalled(..)) => say!("join answers: {error}"),
        other => return other.map(|()| "it ended by itself".to_owned()),
    }
    Ok("a process that would run for ever is gone".to_owned())
}
