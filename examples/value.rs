//! A value and an array that processes share. What depends on the old value is an `update`, which nobody interrupts.
//!
//! ```sh
//! cargo run --example value
//! ```

use ipcpipe::mp::{self, Array, Process, Value};
use ipcpipe::task;

fn change(count: Value<i32>, numbers: Array<f64>) -> mp::Result<()> {
    for _ in 0..1000 {
        count.update(|count| *count += 1)?;
    }
    numbers.update(|numbers| numbers.iter_mut().for_each(|number| *number *= -1.0))
}

fn main() -> mp::Result<()> {
    ipcpipe::init();
    let count = Value::new(0)?;
    let numbers = Array::from_slice(&[0.0, 1.0, 2.0, 3.0])?;
    let start = |_| Process::spawn(task!(change), (count.clone(), numbers.clone()));
    let processes: Vec<_> = (0..3).map(start).collect::<mp::Result<_>>()?;
    for joined in mp::join_all(processes) {
        joined??;
    }
    println!("count {}, numbers {:?}", count.get()?, numbers.to_vec()?);

    // The lock can be held for more than one step; it goes back when the guard goes out of scope.
    let mut guard = count.lock()?;
    *guard += 1;
    *guard *= 2;
    println!("count {}", *guard);
    Ok(())
}
