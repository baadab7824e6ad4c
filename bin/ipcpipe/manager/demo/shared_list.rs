//! shared-list: a list of mixed items in shared memory, changed by another process.

use ipcpipe::mp::{Item, Process, Result, SharedList, SharedMemory, ShmScope};
use ipcpipe::task;

use super::say;

/// Attaches to the list by its name.
fn change(name: String) -> Result<()> {
    let list = SharedList::open(&name)?;
    say!("found {}", shown(&list)?);
    list.set(0, "hello")?;
    list.set(2, true)?;

    // Each item has the room that it was made with, and the list its length: it cannot grow, as in Python.
    if let Err(error) = list.set(0, "much longer than before") {
        say!("a longer text: {error}");
    }
    if let Err(error) = list.set(4, 1) {
        say!("a fifth item: {error}");
    }
    Ok(())
}

fn shown(list: &SharedList) -> Result<String> {
    Ok(list.to_vec()?.iter().map(Item::to_string).collect::<Vec<_>>().join(", "))
}

pub(super) fn run() -> Result<String> {
    // The scope owns all names that are made in it, as Python's SharedMemoryManager does.
    let scope = ShmScope::new();
    let list = scope.list([Item::from("howdy"), Item::from(-273.154), Item::from(100), Item::None])?;
    let name = list.name().expect("a scope makes lists with names").to_owned();
    Process::spawn(task!(change), name.clone())?.join()??;
    say!("sees {}", shown(&list)?);

    drop(scope);
    say!("the memory can be found after its scope: {}", SharedMemory::open(&name).is_ok());
    Ok(format!("{} items of 4 types, 2 of them changed by a child", list.len()))
}
