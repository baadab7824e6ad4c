//! A semaphore: so many processes at a time.
//!
//! ```sh
//! cargo run --example semaphore
//! ```

use std::time::Duration;

use ipcpipe::mp::{self, Process, Semaphore};
use ipcpipe::task;

fn download(semaphore: Semaphore, file: u32) {
    let _permit = semaphore.acquire(); // given back at the end, also when the process is killed
    println!("{} downloads {file}", mp::current().worker);
    std::thread::sleep(Duration::from_millis(5));
}

fn main() -> mp::Result<()> {
    ipcpipe::init();
    let semaphore = Semaphore::bounded(2)?;
    let start = |file| Process::spawn(task!(download), (semaphore.clone(), file));
    let processes: Vec<_> = (1..=6).map(start).collect::<mp::Result<_>>()?;
    for joined in mp::join_all(processes) {
        joined?;
    }
    println!("{} permits are free again", semaphore.available());
    if let Err(error) = semaphore.release() {
        println!("one more: {error}");
    }
    Ok(())
}
