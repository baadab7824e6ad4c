//! process-shm: a child adds 1 to ten numbers in shared memory.

use std::path::Path;

use ipcpipe::mp::{Process, Result, SharedMemory};
use ipcpipe::task;

use super::say;

const NUMBERS: usize = 10;

/// Finds the memory by its name, as any program of this user could.
fn increase(name: String) -> Result<()> {
    let memory = SharedMemory::open(&name)?;
    let numbers = memory.array::<f64>(NUMBERS)?;
    numbers.update(|numbers| numbers.iter_mut().for_each(|number| *number += 1.0))?;
    say!("added 1 to each: {:?}", numbers.to_vec()?);
    Ok(())
}

pub(super) fn run() -> Result<String> {
    let memory = SharedMemory::create(None, NUMBERS * size_of::<f64>())?;
    let name = memory.name().expect("it was made with a name").to_owned();
    let numbers = memory.array::<f64>(NUMBERS)?;
    say!("made /dev/shm/{name}: {:?}", numbers.to_vec()?);

    // The first ? is for the end of the process, the second for the result of its task.
    Process::spawn(task!(increase), name.clone())?.join()??;

    let increased = numbers.to_vec()?.iter().filter(|number| **number == 1.0).count();
    say!("sees what the child wrote, without a copy: {:?}", numbers.to_vec()?);

    // The name belongs to the one who made it and goes with him; nobody has to remember unlink().
    // Only a process that is killed leaves it, and a ShmScope in its parent would take that away as well.
    drop((memory, numbers));
    say!("/dev/shm/{name} exists: {}", Path::new("/dev/shm").join(&name).exists());
    Ok(format!("{increased} numbers increased by a child"))
}
