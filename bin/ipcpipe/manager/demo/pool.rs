//! pool: two processes work off a list of jobs.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ipcpipe::mp::{Pool, Result};
use ipcpipe::task;

use super::say;

fn greet(name: String) -> String {
    thread::sleep(Duration::from_millis(20)); // half a second in the lesson
    assert!(name != "Nobody", "there is no such name");
    say!("{name}");
    format!("hello {name}")
}

pub(super) fn run() -> Result<String> {
    let pool = Pool::new(task!(greet)).workers(2).build()?;

    // map() waits for all results and gives them in the order of the names, whoever was first.
    let names = ["John", "Mary", "April", "Murry", "George"].map(str::to_owned);
    let greetings: Vec<String> = pool.map(names).into_iter().collect::<Result<_>>()?;
    say!("{greetings:?}");

    // submit() does not wait. A job that panics is an error in its place, and the pool goes on.
    let jobs = ["Ann", "Nobody"].map(|name| pool.submit(name.to_owned()));
    for job in jobs {
        match job?.get() {
            Ok(greeting) => say!("{greeting:?}"),
            Err(error) => say!("an error as a value: {error}"),
        }
    }

    // A callback gets each result in this process as soon as it is there, so it may change what it likes.
    let done = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&done);
    pool.on_done(move |_batch, _place, greeting| list.lock().unwrap().extend(greeting));
    let batch = pool.batch(["Eve", "Adam"].map(str::to_owned))?;
    batch.wait(None);

    let stats = pool.stats();
    for worker in &stats {
        say!("{} has done {} jobs", worker.worker, worker.jobs);
    }
    pool.close();
    pool.join(); // all results have been told by now
    say!("the callback got {:?}", done.lock().unwrap());
    Ok(format!("{} jobs by {} workers", stats.iter().map(|it| it.jobs).sum::<u64>(), stats.len()))
}
