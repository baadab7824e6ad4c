//! A list of mixed items in shared memory. It keeps its length, and each place the room that it was made with.
//!
//! ```sh
//! cargo run --example shared_list
//! ```

use ipcpipe::mp::{self, Item, Process, SharedList};
use ipcpipe::task;

fn change(list: SharedList) -> mp::Result<()> {
    list.set(0, "hello")?;
    list.set(1, 42)?;
    if let Err(error) = list.set(0, "a text that is longer than its place") {
        println!("{error}");
    }
    Ok(())
}

fn main() -> mp::Result<()> {
    ipcpipe::init();
    let list = SharedList::new([Item::from("howdy"), Item::from(-273.154), Item::None, Item::from(true)])?;

    // Without a name: who is given the list has it, and nobody else finds it.
    Process::spawn(task!(change), list.clone())?.join()??;
    for item in list.iter()? {
        println!("{item}");
    }
    println!("true is at {:?}", list.index(&Item::from(true))?);
    Ok(())
}
