//! value: two processes count to 100 000 each in one variable, without and with its lock.

use std::time::Instant;

use ipcpipe::mp::{self, Barrier, Result, Value};
use ipcpipe::task;

use super::say;

const TIMES: i64 = 100_000;

/// The mistake: to read and to write are two steps, and what others write between them is lost. That is what
/// `shared.value += 1` does in Python, though the Value has a lock.
fn read_and_write(count: Value<i64>, start: Barrier) -> Result<()> {
    start.wait()?;
    for _ in 0..TIMES {
        count.set(count.get()? + 1)?;
    }
    Ok(())
}

/// The remedy: one step, under the lock of the value.
fn update(count: Value<i64>, start: Barrier) -> Result<()> {
    start.wait()?;
    for _ in 0..TIMES {
        count.update(|count| *count += 1)?;
    }
    Ok(())
}

/// Two processes at the same task, which begin together.
fn count(task: mp::Task<(Value<i64>, Barrier), Result<()>>) -> Result<i64> {
    let (count, start) = (Value::new(0)?, Barrier::new(2)?);
    mp::scope(|scope| {
        let processes = [scope.spawn(task, (count.clone(), start.clone()))?, scope.spawn(task, (count.clone(), start.clone()))?];
        for counted in mp::join_all(processes) {
            counted??;
        }
        count.get()
    })
}

pub(super) fn run() -> Result<String> {
    let began = Instant::now();
    let wrong = count(task!(read_and_write))?;
    say!("get and set: {wrong} of {} after {} ms, {} are lost", 2 * TIMES, began.elapsed().as_millis(), 2 * TIMES - wrong);

    let began = Instant::now();
    let right = count(task!(update))?;
    say!("update: {right} of {} after {} ms", 2 * TIMES, began.elapsed().as_millis());
    Ok(format!("2 x {TIMES} increments make {right} with the lock, {wrong} without"))
}
