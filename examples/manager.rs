//! A manager: a server process that keeps objects, and proxies of them in all processes.
//!
//! ```sh
//! cargo run --example manager
//! ```

use ipcpipe::mp::{self, DictProxy, ListProxy, Manager, Process};
use ipcpipe::task;

fn count(words: ListProxy<String>, counts: DictProxy<String, u32>) -> mp::Result<()> {
    while let Some(word) = words.pop()? {
        // One message, and nobody else comes between: a get and a set would lose what others count meanwhile.
        counts.update_key(&word, task!(|count: &mut Option<u32>| *count.get_or_insert(0) += 1), ())?;
    }
    Ok(())
}

fn main() -> mp::Result<()> {
    ipcpipe::init();
    let manager = Manager::start()?;
    let (words, counts) = (manager.list()?, manager.dict()?);
    words.extend("to be or not to be".split(' ').map(str::to_owned))?;

    let start = |_| Process::spawn(task!(count), (words.clone(), counts.clone()));
    let processes: Vec<_> = (0..2).map(start).collect::<mp::Result<_>>()?;
    for joined in mp::join_all(processes) {
        joined??;
    }
    println!("{:?}", counts.to_map::<std::collections::BTreeMap<_, _>>()?);
    Ok(()) // the manager is dropped here, and its server ends
}
