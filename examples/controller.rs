//! A controller: batches of jobs for a pool, single jobs for processes of their own, and what becomes of them.
//!
//! ```sh
//! cargo run --example controller
//! ```

use ipcpipe::mp::{self, BatchResults, Controller};
use ipcpipe::task;

fn divide(a: i64, b: i64) -> Result<String, String> {
    if b == 0 { Err("division by zero".to_owned()) } else { Ok(format!("Quotient is {}.", a / b)) }
}

fn main() -> mp::Result<()> {
    ipcpipe::init();
    let mut controller = Controller::new(task!(divide)).log(|event| println!("  {event}"));
    controller.pool(2)?;

    // Neither of them waits.
    let batch = controller.use_pool([(4, 2), (12, 3), (1, 0)])?;
    let worker = controller.use_process((10, 5))?;
    println!("{batch} is under way, and {worker}");

    for BatchResults { id: batch, results } in controller.results() {
        for result in results {
            println!("{batch}: {:?}", result?);
        }
    }
    let (_, singles) = controller.quit(); // waits for what is left, and ends the workers
    for single in singles {
        println!("{}: {:?}", single.worker.name, single.result?);
    }
    Ok(())
}
