//! thread-list: two threads append to one list.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use ipcpipe::mp::Result;

use super::say;

pub(super) fn run() -> Result<String> {
    // Threads see the same memory, so the list needs no copies and no messages. The Mutex is not optional:
    // without it the program does not compile.
    let list = Mutex::new(Vec::new());

    let append = |name: &str| {
        for i in 0..5 {
            list.lock().unwrap().push(format!("{name}: {i}"));
            say!("appends {i}");
            thread::sleep(Duration::from_millis(10)); // a second in the lesson
        }
    };

    // The scope ends when all its threads have ended. That is why they may borrow the list.
    thread::scope(|scope| {
        for name in ["Thread-0", "Thread-1"] {
            let thread = thread::Builder::new().name(name.to_owned());
            thread.spawn_scoped(scope, move || append(name)).expect("a thread can be started");
        }
    });

    let list = list.into_inner().unwrap();
    say!("{}", list.join(", "));
    Ok(format!("{} items appended by 2 threads", list.len()))
}
