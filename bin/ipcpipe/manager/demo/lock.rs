//! lock: one process at a time, and what becomes of a lock whose holder is killed.

use std::thread;
use std::time::Duration;

use ipcpipe::mp::{self, Lock, Process, Result};
use ipcpipe::task;

use super::say;

fn enter(lock: Lock) -> Result<()> {
    for _ in 0..2 {
        let _guard = lock.lock()?;
        say!("enters");
        thread::sleep(Duration::from_millis(5));
        say!("leaves");
        // The guard goes out of scope here, which gives the lock back: nobody can forget that.
    }
    Ok(())
}

fn hold_for_ever(lock: Lock) -> Result<()> {
    let _guard = lock.lock()?;
    say!("holds the lock and will not give it back");
    thread::sleep(Duration::MAX);
    Ok(())
}

pub(super) fn run() -> Result<String> {
    let lock = Lock::new()?;
    let processes: Vec<_> = (0..3).map(|_| Process::spawn(task!(enter), lock.clone())).collect::<Result<_>>()?;
    for entered in mp::join_all(processes) {
        entered??;
    }

    let mut holder = Process::spawn(task!(hold_for_ever), lock.clone())?;
    while lock.try_lock().is_ok() {
        thread::sleep(Duration::from_millis(1));
    }
    say!("got the lock within 20 ms: {}", lock.lock_timeout(Duration::from_millis(20)).is_ok());
    say!("kills {}", holder.worker());
    holder.kill();

    // Python would wait here for ever. The kernel frees the lock, and whoever takes it next is told why, because what it
    // protects may be half done.
    match lock.lock() {
        Ok(_) => say!("took the lock as if nothing had happened"),
        Err(died) => say!("took the lock, and was told: {died}"),
    }
    say!("took it again: {}", lock.lock().is_ok());
    Ok("6 turns of 3 processes, never two at once; and a lock that its holder's death did not close".to_owned())
}
