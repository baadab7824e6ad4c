//! daemon: a process in the background that ends when the one who started it ends, even if that one is killed.

use std::thread;
use std::time::Duration;

use ipcpipe::mp::{self, Process, Result, Scope, Sender, channel};
use ipcpipe::sys::signal;
use ipcpipe::task;

use super::say;

/// Beats for ever. The channel tells when this process is gone: nobody else has its other end.
fn beat(_alive: Sender<()>) {
    for number in 1.. {
        say!("beat {number} (daemon: {})", mp::current().is_daemon);
        thread::sleep(Duration::from_millis(20));
    }
}

/// A main program of its own, which starts the daemon.
fn program(alive: Sender<()>, wait_for_ever: bool) -> Result<()> {
    let _beat = Process::builder(task!(beat), alive).name("Heart").daemon(true).spawn()?;
    thread::sleep(if wait_for_ever { Duration::MAX } else { Duration::from_millis(50) });
    say!("ends, and waits for no daemon");
    Ok(())
}

pub(super) fn run() -> Result<String> {
    // What is started in a scope ends with it, also by force.
    mp::scope(end_programs)
}

fn end_programs(scope: &Scope) -> Result<String> {
    let (sender, mut receiver) = channel()?;
    scope.spawn(task!(program), (sender, false))?.join()??;
    let ended = receiver.poll(Some(Duration::from_secs(5)))?;
    say!("the daemon is gone: {ended}");

    // In Python a daemon outlives a parent that gets SIGKILL. Here the kernel tells it of the end.
    let (sender, mut receiver) = channel()?;
    let mut process = scope.spawn(task!(program), (sender, true))?;
    thread::sleep(Duration::from_millis(50));
    say!("sends SIGKILL to {}", process.worker());
    process.signal(signal::KILL);
    process.wait(None);
    let killed = receiver.poll(Some(Duration::from_secs(5)))?;
    say!("the daemon is gone: {killed}");
    Ok(format!("{} of 2 daemons ended with their parents", u8::from(ended) + u8::from(killed)))
}
