//! non-daemon: a process runs to its end, and the program waits for it.

use std::thread;
use std::time::{Duration, Instant};

use ipcpipe::mp::{Process, Result, Unlocked, Value};
use ipcpipe::task;

use super::say;

fn work(steps: Unlocked<u32>) {
    for step in 1..=3 {
        say!("step {step} of 3");
        steps.store(step);
        thread::sleep(Duration::from_millis(20));
    }
}

pub(super) fn run() -> Result<String> {
    let steps = Value::unlocked(0)?;
    let began = Instant::now();
    {
        let process = Process::spawn(task!(work), steps.clone())?;
        say!("{} works; there is no join here", process.name());

        // The variable goes out of scope, and that waits. Python waits as well, but only at the end of the program.
    }
    say!("goes on after {} ms", began.elapsed().as_millis());
    Ok(format!("a process made {} of 3 steps before its parent went on", steps.load()))
}
