//! semaphore: five processes, of which two at a time may do something.

use std::thread;
use std::time::Duration;

use ipcpipe::mp::{self, Result, Semaphore, Unlocked, Value};
use ipcpipe::task;

use super::say;

/// How many are inside now, and the most that ever were. Each operation on them is one instruction of the CPU.
fn visit(semaphore: Semaphore, inside: Unlocked<u32>, most: Unlocked<u32>) {
    let permit = semaphore.acquire();
    let now = inside.fetch_add(1) + 1;
    let _ = most.fetch_update(|most| (now > most).then_some(now));
    say!("inside, with {} more", now - 1);
    thread::sleep(Duration::from_millis(10));
    inside.fetch_sub(1);
    drop(permit);
}

pub(super) fn run() -> Result<String> {
    let semaphore = Semaphore::bounded(2)?;
    let (inside, most) = (Value::unlocked(0_u32)?, Value::unlocked(0_u32)?);
    mp::scope(|scope| {
        let start = |_| scope.spawn(task!(visit), (semaphore.clone(), inside.clone(), most.clone()));
        let processes: Vec<_> = (0..5).map(start).collect::<Result<_>>()?;
        mp::join_all(processes).into_iter().collect::<Result<()>>()
    })?;
    say!("{} permits are there again", semaphore.available());

    // A bounded semaphore takes no more permits than it was made with: a release too many is a mistake.
    if let Err(error) = semaphore.release() {
        say!("one more is refused: {error}");
    }
    Ok(format!("5 processes, at most {} at once", most.load()))
}
