//! lock: one process at a time, and what becomes of a lock whose holder is killed.

use std::thread;
use std::time::Duration;

use ipcpipe::mp::{self, Lock, Result, Scope, Unlocked, Value};
use ipcpipe::task;

use super::say;

/// Goes in twice, and says how many others were there.
fn enter(lock: Lock, inside: Unlocked<u32>) -> Result<u32> {
    let mut met = 0;
    for _ in 0..2 {
        let _guard = lock.lock()?;
        met += inside.fetch_add(1);
        say!("enters");
        thread::sleep(Duration::from_millis(5));
        say!("leaves");
        inside.fetch_sub(1);
        // The guard goes out of scope here, which gives the lock back: nobody can forget that.
    }
    Ok(met)
}

fn hold_for_ever(lock: Lock) -> Result<()> {
    let _guard = lock.lock()?;
    say!("holds the lock and will not give it back");
    thread::sleep(Duration::MAX);
    Ok(())
}

pub(super) fn run() -> Result<String> {
    // Whatever fails in a scope, nothing that was started there goes on.
    mp::scope(take_turns)
}

fn take_turns(scope: &Scope) -> Result<String> {
    let lock = Lock::new()?;
    let inside = Value::unlocked(0)?;
    let start = |_| scope.spawn(task!(enter), (lock.clone(), inside.clone()));
    let processes: Vec<_> = (0..3).map(start).collect::<Result<_>>()?;
    let mut met = 0;
    for entered in mp::join_all(processes) {
        met += entered??;
    }

    let mut holder = scope.spawn(task!(hold_for_ever), lock.clone())?;
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
    Ok(format!("6 turns of 3 processes, {met} meetings inside, and a dead holder who kept nobody out"))
}
