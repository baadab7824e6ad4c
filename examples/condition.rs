//! A condition: a process waits, without using the CPU, until another has changed something.
//!
//! ```sh
//! cargo run --example condition
//! ```

use ipcpipe::mp::{self, Condition, Lock, Process, Unlocked, Value};
use ipcpipe::task;

fn consumer(condition: Condition, stock: Unlocked<i32>) -> mp::Result<()> {
    for _ in 0..3 {
        let guard = condition.lock()?;
        let _guard = condition.wait_while(guard, || stock.load() == 0)?;
        println!("consumed one of {}", stock.fetch_sub(1));
    }
    Ok(())
}

fn main() -> mp::Result<()> {
    ipcpipe::init();
    let condition = Condition::new(&Lock::new()?)?;
    let stock = Value::unlocked(0)?;
    let consumer = Process::spawn(task!(consumer), (condition.clone(), stock.clone()))?;
    for _ in 0..3 {
        let _guard = condition.lock()?;
        stock.fetch_add(1);
        condition.notify_one();
    }
    consumer.join()??;
    println!("{} left", stock.load());
    Ok(())
}
