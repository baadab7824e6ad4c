//! joinable-queue: three processes work off tasks, and one of them is killed in the middle of one.

use std::thread;
use std::time::Duration;

use ipcpipe::mp::{self, JoinableQueue, Queue, Result, Scope};
use ipcpipe::sys::signal;
use ipcpipe::task;

use super::say;

/// How many primes there are below `size`, and the largest.
fn primes(size: u32) -> (usize, Option<u32>) {
    let is_prime = |n: &u32| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    let primes: Vec<u32> = (2..size).filter(is_prime).collect();
    (primes.len(), primes.last().copied())
}

fn work(tasks: JoinableQueue<u32>, results: Queue<(u32, usize)>) -> Result<()> {
    // The loop ends when the queue is closed and everything is worked off.
    for size in &tasks {
        let (number, largest) = primes(*size);
        say!("{number} primes below {}, the largest is {largest:?}", *size);
        results.put(&(*size, number))?;

        // task_done() of Python. To drop the task is the same, so nobody forgets it.
        size.done();
    }
    Ok(())
}

/// Takes a task and never gets done with it.
fn dawdle(tasks: JoinableQueue<u32>) -> Result<()> {
    let size = tasks.get()?;
    say!("has taken {} and dawdles", *size);
    thread::sleep(Duration::MAX);
    Ok(())
}

pub(super) fn run() -> Result<String> {
    // All of them wait for tasks. If one cannot be started, the scope ends the others instead of waiting for them.
    mp::scope(work_off)
}

fn work_off(scope: &Scope) -> Result<String> {
    let (tasks, results) = (JoinableQueue::bounded(8)?, Queue::new()?);
    for size in [1000, 2000, 3000, 4000] {
        tasks.put(&size)?;
    }

    let mut idler = scope.spawn(task!(dawdle), tasks.clone())?;
    while tasks.len() == 4 {
        thread::sleep(Duration::from_millis(1));
    }
    let start = |_| scope.spawn(task!(work), (tasks.clone(), results.clone()));
    let workers: Vec<_> = (0..2).map(start).collect::<Result<_>>()?;

    // Python's join() would wait for ever for the task that the idler took with him. Here another one gets it.
    idler.signal(signal::KILL);
    idler.wait(None);
    say!("killed {}; {} tasks are unfinished", idler.worker(), tasks.unfinished());
    tasks.join()?;
    say!("all tasks are done, {} unfinished", tasks.unfinished());

    tasks.close();
    for worked in mp::join_all(workers) {
        worked??;
    }
    Ok(format!("{} tasks done by 2 processes, though a third one died with one of them", results.len()))
}
