//! manager: a server process keeps a list, a dict and a value that others share.

use ipcpipe::mp::{self, DictProxy, ListProxy, Manager, Result, ValueProxy};
use ipcpipe::task;

use super::say;

const TIMES: i64 = 200;

/// What each process gets: small values that stand for the objects in the server.
type Shared = (ListProxy<String>, DictProxy<String, usize>, ValueProxy<i64>, ValueProxy<i64>);

fn work((names, lengths, lost, safe): Shared) -> Result<()> {
    let name = mp::current().name().to_owned();
    names.push(&name)?;
    lengths.set(&name, &names.len()?)?;
    say!("is in the list and in the dict");

    for _ in 0..TIMES {
        // The mistake of the lesson's own example: others write between get and set.
        lost.set(&(lost.get()? + 1))?;
        // The remedy: the server does it, and nothing else meanwhile.
        safe.update(task!(|value: &mut i64| *value += 1), ())?;
    }
    Ok(())
}

pub(super) fn run() -> Result<String> {
    let manager = Manager::start()?;
    say!("the objects live in {}", manager.worker());
    let (names, lengths) = (manager.list()?, manager.dict()?);
    let (lost, safe) = (manager.value(0)?, manager.value(0)?);

    let shared: Shared = (names.clone(), lengths.clone(), lost.clone(), safe.clone());
    mp::scope(|scope| {
        let processes: Vec<_> = (0..3).map(|_| scope.spawn(task!(work), (shared.clone(),))).collect::<Result<_>>()?;
        mp::join_all(processes).into_iter().try_for_each(|worked| worked?)
    })?;

    say!("list: {:?}", names.to_vec()?);
    say!("dict: {:?}", lengths.to_map::<std::collections::BTreeMap<_, _>>()?);
    say!("3 x {TIMES} increments by get and set: {}, by update: {}", lost.get()?, safe.get()?);
    Ok(format!("3 processes shared 4 objects, and update lost {} of {}", 3 * TIMES - safe.get()?, 3 * TIMES))
}
