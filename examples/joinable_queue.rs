//! A queue that knows when everything in it has been worked off, and gives what a dead process held to another.
//!
//! ```sh
//! cargo run --example joinable_queue
//! ```

use ipcpipe::mp::{self, JoinableQueue, Process, Queue};
use ipcpipe::task;

fn work(tasks: JoinableQueue<u64>, results: Queue<u64>) -> mp::Result<()> {
    for size in &tasks {
        results.put(&(1..=*size).sum())?;
        size.done(); // dropping it is the same; dying with it is not
    }
    Ok(())
}

fn main() -> mp::Result<()> {
    ipcpipe::init();
    let (tasks, results) = (JoinableQueue::bounded(4)?, Queue::new()?);
    let start = |_| Process::spawn(task!(work), (tasks.clone(), results.clone()));
    let workers: Vec<_> = (0..2).map(start).collect::<mp::Result<_>>()?;

    for size in 1..=10 {
        tasks.put(&size)?;
    }
    tasks.join()?;
    println!("{} unfinished, {} results", tasks.unfinished(), results.len());

    tasks.close(); // ends the loops of the workers
    for joined in mp::join_all(workers) {
        joined??;
    }
    results.close();
    println!("total {}", results.iter().sum::<u64>());
    Ok(())
}
