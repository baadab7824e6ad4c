//! A barrier: nobody goes on before all are there.
//!
//! ```sh
//! cargo run --example barrier
//! ```

use ipcpipe::mp::{self, Barrier, Process, Unlocked, Value};
use ipcpipe::task;

/// Returns how many had done the first step when this process began the second.
fn two_steps(barrier: Barrier, done: Unlocked<u32>) -> mp::Result<u32> {
    println!("{} does the first step", mp::current().name());
    done.fetch_add(1);
    barrier.wait()?; // an error if a party was killed: then the others can never all meet
    println!("{} does the second step", mp::current().name());
    Ok(done.load())
}

fn main() -> mp::Result<()> {
    ipcpipe::init();
    let (barrier, done) = (Barrier::new(3)?, Value::unlocked(0)?);
    let start = |_| Process::spawn(task!(two_steps), (barrier.clone(), done.clone()));
    let processes: Vec<_> = (0..3).map(start).collect::<mp::Result<_>>()?;
    for seen in mp::join_all(processes) {
        println!("first steps before a second one: {}", seen??);
    }
    Ok(())
}
