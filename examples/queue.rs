//! A queue with several consumers: `close` ends them all, without a None for each.
//!
//! ```sh
//! cargo run --example queue
//! ```

use ipcpipe::mp::{self, Process, Queue};
use ipcpipe::task;

fn worker(items: Queue<u64>, squares: Queue<(String, u64)>) -> mp::Result<()> {
    let name = mp::current().worker.name;
    for item in &items {
        squares.put(&(name.clone(), item * item))?;
    }
    Ok(())
}

fn main() -> mp::Result<()> {
    ipcpipe::init();
    let (items, squares) = (Queue::bounded(4)?, Queue::bounded(10)?);
    let start = |_| Process::spawn(task!(worker), (items.clone(), squares.clone()));
    let workers: Vec<_> = (0..3).map(start).collect::<mp::Result<_>>()?;

    for n in 0..10 {
        items.put(&n)?; // waits while four are there that nobody has got
    }
    items.close();

    // Processes may be joined before anybody has got what they put: it is in memory, and no thread has to carry it.
    for joined in mp::join_all(workers) {
        joined??;
    }
    squares.close();
    let mut all: Vec<_> = squares.iter().collect();
    all.sort_by_key(|(_, square)| *square);
    println!("{all:?}");
    Ok(())
}
