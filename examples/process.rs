//! Processes that run a function of this program: how they are started, named and joined, and what a failure looks like.
//!
//! ```sh
//! cargo run --example process
//! ```

use ipcpipe::mp::{self, Process};
use ipcpipe::task;

fn largest_prime(below: u64) -> Option<u64> {
    assert!(below < 1_000_000, "that would take too long");
    println!("{} looks below {below}", mp::current().worker);
    (2..below).rev().find(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0))
}

fn main() -> mp::Result<()> {
    // A process is this program started anew; here it finds out what it is for.
    ipcpipe::init();

    let sizes = [1_000, 2_000, 3_000];
    let processes = sizes.map(|size| Process::spawn(task!(largest_prime), size));
    for (size, process) in sizes.iter().zip(processes) {
        println!("largest prime below {size}: {:?}", process?.join()?);
    }

    // A panic there is an error here, with its message and place; an exit or a signal would be as well.
    let process = Process::builder(task!(largest_prime), 1_000_000).name("too-eager").spawn()?;
    println!("{}", process.join().unwrap_err());
    Ok(())
}
