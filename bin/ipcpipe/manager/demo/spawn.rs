//! spawn: every process is this program started anew.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use ipcpipe::mp::{self, Process, Result};
use ipcpipe::task;

use super::say;

/// A variable of this program. Each process has its own.
static COUNTER: AtomicU32 = AtomicU32::new(0);

fn worker(number: u32) -> u32 {
    say!("worker {number}; the counter is {} here", COUNTER.load(Relaxed));
    number * number
}

pub(super) fn run() -> Result<String> {
    COUNTER.store(42, Relaxed);
    say!("the counter is 42 here; a forked child would see that, a spawned one cannot");

    let squares: Vec<u32> = mp::scope(|scope| {
        // All run at the same time, so it is open who speaks first. If one cannot be started, the scope ends the others.
        let processes: Vec<_> = (1..=3).map(|number| scope.spawn(task!(worker), number)).collect::<Result<_>>()?;

        // The results come in the order of the processes.
        mp::join_all(processes).into_iter().collect::<Result<_>>()
    })?;
    say!("results {squares:?}");

    // Python's spawn has to start an interpreter and to import the program; 75 ms are usual.
    let began = Instant::now();
    Process::spawn(task!(|| ()), ())?.join()?;
    say!("one more, which does nothing, took {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    Ok(format!("{} processes started, run and joined", squares.len()))
}
