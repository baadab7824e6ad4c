//! A pipe: two processes, each with one end, which send each other values of different types.
//!
//! ```sh
//! cargo run --example pipe
//! ```

use std::time::Duration;

use ipcpipe::mp::{self, Connection, Process, pipe};
use ipcpipe::task;

/// Sends the length of each word that it receives, until the other end is gone.
fn measure(mut parent: Connection<usize, String>) -> mp::Result<()> {
    while let Ok(word) = parent.recv() {
        parent.send(&word.len())?;
    }
    Ok(())
}

fn main() -> mp::Result<()> {
    ipcpipe::init();
    let (mut child, theirs) = pipe::<String, usize>()?;
    let process = Process::spawn(task!(measure), theirs)?;

    println!("something to read already: {}", child.poll(Some(Duration::from_millis(1)))?);
    for word in ["one", "three", "a word with blanks"] {
        child.send(&word.to_owned())?;
        println!("{word}: {}", child.recv()?);
    }
    drop(child); // the child's next recv() answers that nobody is there
    process.join()?
}
