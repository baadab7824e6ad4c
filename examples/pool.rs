//! A pool: results in the order of the arguments, as they are done, and one by one.
//!
//! ```sh
//! cargo run --example pool
//! ```

use std::time::Duration;

use ipcpipe::mp::{self, Pool};
use ipcpipe::task;

fn divide(a: f64, b: f64) -> f64 {
    assert!(b != 0.0, "division by zero");
    a / b
}

fn main() -> mp::Result<()> {
    ipcpipe::init();
    let pool = Pool::new(task!(divide)).workers(2).timeout(Duration::from_secs(5)).build()?;

    // A job that panics is an error in its place; the others do not notice.
    for result in pool.map([(4.0, 2.0), (1.0, 0.0), (12.0, 3.0)]) {
        match result {
            Ok(quotient) => println!("quotient {quotient}"),
            Err(error) => println!("{error}"),
        }
    }

    let job = pool.submit((9.0, 3.0))?;
    println!("submitted: {}", job.get()?);

    let total: f64 = pool.imap_unordered((1..=100).map(|n| (f64::from(n), 2.0))).map(|(_, it)| it.unwrap_or(0.0)).sum();
    println!("total {total}");
    for worker in pool.stats() {
        println!("{} did {} jobs", worker.worker, worker.jobs);
    }
    Ok(())
}
