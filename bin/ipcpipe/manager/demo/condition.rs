//! condition: a process waits until another one has changed something.

use std::thread;
use std::time::Duration;

use ipcpipe::mp::{self, Condition, Lock, Result, Scope, Unlocked, Value};
use ipcpipe::task;

use super::say;

/// Takes three pots, each as soon as there is one.
fn consumer(condition: Condition, pots: Unlocked<u32>) -> Result<()> {
    for _ in 0..3 {
        let guard = condition.lock()?;
        say!("waits until there is a pot");

        // While it waits, the lock is free; when it goes on, the lock is held and there is a pot.
        let _guard = condition.wait_while(guard, || pots.load() == 0)?;
        say!("takes a pot, {} left", pots.fetch_sub(1) - 1);
    }
    Ok(())
}

pub(super) fn run() -> Result<String> {
    // The consumer waits for this process. Should it fail before there are three pots, the scope ends the consumer.
    mp::scope(produce)
}

fn produce(scope: &Scope) -> Result<String> {
    let condition = Condition::new(&Lock::new()?)?;
    let pots = Value::unlocked(0_u32)?;

    // The lock comes with the condition, so the child cannot use another one by mistake.
    let consumer = scope.spawn(task!(consumer), (condition.clone(), pots.clone()))?;
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(10));
        let _guard = condition.lock()?;
        pots.fetch_add(1);
        say!("puts a pot there");
        condition.notify_one();
    }
    consumer.join()??;
    Ok(format!("3 pots put and taken, {} left", pots.load()))
}
