//! A lock between processes: one at a time, and a holder that is killed keeps nobody out.
//!
//! ```sh
//! cargo run --example lock
//! ```

use std::time::Duration;

use ipcpipe::mp::{self, Lock, Process, Sender, channel};
use ipcpipe::task;

fn hold(lock: Lock, mut ready: Sender<()>) -> mp::Result<()> {
    let _guard = lock.lock()?;
    ready.send(&())?;
    std::thread::sleep(Duration::MAX);
    Ok(())
}

fn main() -> mp::Result<()> {
    ipcpipe::init();
    let lock = Lock::new()?;
    {
        let _guard = lock.lock()?;
        println!("one at a time");
    } // the guard gives the lock back

    let (ready, mut is_ready) = channel()?;
    let mut holder = Process::spawn(task!(hold), (lock.clone(), ready))?;
    is_ready.recv()?;
    println!("free within 10 ms: {}", lock.lock_timeout(Duration::from_millis(10)).is_ok());

    holder.kill();
    match lock.lock() {
        Ok(_) => println!("nobody died"),
        Err(died) => println!("it is ours, but: {died}"), // and into_inner() is the guard
    }
    Ok(())
}
