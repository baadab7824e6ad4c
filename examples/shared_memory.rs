//! Shared memory with a name: as bytes, as numbers, and gone when its owner is.
//!
//! ```sh
//! cargo run --example shared_memory
//! ```

use ipcpipe::mp::{self, Process, SharedMemory};
use ipcpipe::task;

/// Opens the memory by its name, which is that of a file in /dev/shm.
fn add_one(name: String) -> mp::Result<Vec<i32>> {
    let numbers = SharedMemory::open(&name)?.array::<i32>(5)?;
    numbers.update(|numbers| numbers.iter_mut().for_each(|number| *number += 1))?;
    numbers.to_vec()
}

fn main() -> mp::Result<()> {
    ipcpipe::init();
    let memory = SharedMemory::create(None, 5 * size_of::<i32>())?;
    let numbers = memory.array::<i32>(5)?;
    for (index, number) in [1, 2, 3, 4, 5].into_iter().enumerate() {
        numbers.set(index, number)?;
    }

    let name = memory.name().expect("it was made with a name").to_owned();
    let seen = Process::spawn(task!(add_one), name.clone())?.join()??;
    println!("the child saw {seen:?}");
    println!("the parent sees {:?}, as bytes {:?}", numbers.to_vec()?, memory.read(0..8)?);

    drop((memory, numbers)); // unlinks the name; persist() would have left it
    println!("{name} can be opened: {}", SharedMemory::open(&name).is_ok());
    Ok(())
}
