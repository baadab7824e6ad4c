//! non-daemon: a process runs to its end, and the program waits for it.

use std::thread;
use std::time::{Duration, Instant};

use ipcpipe::mp::{Process, Result};
use ipcpipe::task;

use super::say;

fn work() {
    for step in 1..=3 {
        say!("step {step} of 3");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(super) fn run() -> Result<String> {
    let began = Instant::now();
    {
        let process = Process::spawn(task!(work), ())?;
        say!("{} works; there is no join here", process.name());

        // The variable goes out of scope, and that waits. Python waits as well, but only at the end of the program.
    }
    let waited = began.elapsed();
    say!("goes on after {} ms", waited.as_millis());
    Ok(format!("a process of {} steps ran to its end", waited.as_millis() / 20))
}
