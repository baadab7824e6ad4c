//! Processes that belong together, and that a death is seen though somebody else keeps the sockets of the dead open.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use ipcpipe::mp::{self, Error, LockProxy, LockProxyError, Manager, Pool, Process, Queue, Value};
use ipcpipe::sys::{proc, signal};
use ipcpipe::task;

use crate::{eventually, kill, sockets_of};

const LONG: Duration = Duration::from_secs(60);

fn sleep_for_ever() {
    loop {
        std::thread::park();
    }
}

fn get(queue: Queue<u32>) -> u32 {
    queue.get().unwrap()
}

fn is_dead(pid: u32) -> bool {
    proc::stat(pid).is_none_or(|stat| stat.is_zombie())
}

#[test]
fn a_scope_that_fails_ends_what_waits_for_it() {
    let queue = Queue::<u32>::new().unwrap();
    let mut pids = Vec::new();
    let failed = mp::scope(|scope| {
        let first = scope.spawn(task!(get), queue.clone())?;
        // One that is paused is ended as well.
        let mut second = scope.start(Process::builder(task!(get), queue.clone()).name("Second"))?;
        assert!(second.pause());
        pids.extend([first.pid(), second.pid()]);
        Err::<(), _>(Error::Refused("enough".into()))
    });
    assert!(matches!(failed, Err(Error::Refused(_))));
    assert!(pids.len() == 2 && pids.iter().all(|&pid| proc::stat(pid).is_none()));
}

#[test]
fn a_scope_that_panics_ends_what_waits_for_it() {
    let mut pid = 0;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        mp::scope(|scope| -> mp::Result<()> {
            let process = scope.spawn(task!(sleep_for_ever), ())?;
            pid = process.pid();
            panic!("here");
        })
    }));
    assert!(panicked.is_err() && pid != 0 && proc::stat(pid).is_none());
}

#[test]
fn a_process_that_a_panic_drops_is_ended() {
    let mut pid = 0;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let process = Process::spawn(task!(sleep_for_ever), ()).unwrap();
        pid = process.pid();
        panic!("here");
    }));
    assert!(panicked.is_err() && pid != 0 && proc::stat(pid).is_none());
}

#[test]
fn a_scope_wakes_all_that_are_paused_before_it_waits_for_any() {
    fn put_late(queue: Queue<u32>) {
        std::thread::sleep(Duration::from_millis(100));
        queue.put(&7).unwrap();
    }
    let queue = Queue::<u32>::new().unwrap();
    mp::scope(|scope| -> mp::Result<()> {
        let mut paused = scope.spawn(task!(put_late), queue.clone())?;
        assert!(paused.pause());
        drop(paused);
        // The last one that is left is waited for first.
        drop(scope.spawn(task!(get), queue.clone())?);
        Ok(())
    })
    .unwrap();
    assert!(queue.is_empty());
}

#[test]
fn a_scope_that_succeeds_waits_for_what_it_has_not_joined() {
    fn add(count: mp::Unlocked<u32>) {
        std::thread::sleep(Duration::from_millis(30));
        count.fetch_add(1);
    }
    let count = Value::unlocked(0_u32).unwrap();
    let done = mp::scope(|scope| {
        for _ in 0..2 {
            drop(scope.spawn(task!(add), count.clone())?);
        }
        scope.spawn(task!(|| 7), ())?.join()
    });
    assert_eq!((done.unwrap(), count.load()), (7, 2));
}

#[test]
fn a_process_that_is_taken_out_of_a_scope_ends_with_its_handle() {
    let process = mp::scope(|scope| scope.spawn(task!(sleep_for_ever), ())).unwrap();
    let pid = process.pid();
    assert!(!is_dead(pid));
    drop(process);
    assert!(proc::stat(pid).is_none());
}

#[test]
fn a_scope_ends_with_the_process_that_made_it() {
    fn make(path: PathBuf) {
        let _ = mp::scope(|scope| {
            let process = scope.spawn(task!(sleep_for_ever), ())?;
            std::fs::write(path.with_extension("new"), process.pid().to_string()).unwrap();
            std::fs::rename(path.with_extension("new"), path).unwrap();
            process.join()
        });
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pid");
    let mut process = Process::spawn(task!(make), path.clone()).unwrap();
    eventually(|| path.exists());
    let pid = std::fs::read_to_string(path).unwrap().parse().unwrap();
    // Not even a copy of the sockets of the one that is killed keeps the other one alive.
    let copies = sockets_of(process.pid());
    process.kill();
    eventually(|| is_dead(pid));
    drop(copies);
}

#[test]
fn the_end_of_a_process_is_seen_though_somebody_keeps_its_socket_open() {
    fn begin(path: PathBuf) {
        std::fs::write(path, "").unwrap();
        sleep_for_ever();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("begun");
    let mut process = Process::spawn(task!(begin), path.clone()).unwrap();
    eventually(|| path.exists());
    let copies = sockets_of(process.pid());
    process.signal(signal::KILL);
    assert!(matches!(process.join_timeout(LONG), Err(Error::Signalled(_, signal::KILL))));
    drop(copies);
}

#[test]
fn the_end_of_a_worker_is_seen_though_somebody_keeps_its_socket_open() {
    fn hang_once(path: PathBuf) -> u32 {
        if !path.exists() {
            std::fs::write(path, "").unwrap();
            sleep_for_ever();
        }
        7
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("begun");
    let pool = Pool::new(task!(hang_once)).workers(1).retries(1).build().unwrap();
    let job = pool.submit(path.clone()).unwrap();
    eventually(|| path.exists());
    let pid = pool.stats()[0].worker.pid;
    let copies = sockets_of(pid);
    kill(pid);
    assert_eq!(job.get_timeout(LONG).unwrap(), 7);
    // An idle one is replaced, too: the one that has just done the job.
    let pid = pool.stats().last().unwrap().worker.pid;
    let more = sockets_of(pid);
    kill(pid);
    eventually(|| pool.stats().last().is_some_and(|it| it.is_alive && it.worker.pid != pid));
    drop((copies, more));
}

#[test]
fn the_end_of_a_server_is_seen_though_somebody_keeps_its_sockets_open() {
    let manager = Manager::start().unwrap();
    let list = manager.list::<u64>().unwrap();
    let queue = manager.queue::<u64>(1).unwrap();
    list.push(&1).unwrap();
    let before = sockets_of(manager.worker().pid).len();
    let waits = {
        let queue = queue.clone();
        std::thread::spawn(move || queue.get())
    };
    // The server knows of the one who waits.
    let mut copies = Vec::new();
    eventually(|| {
        copies = sockets_of(manager.worker().pid);
        copies.len() > before
    });
    kill(manager.worker().pid);
    assert!(matches!(waits.join().unwrap(), Err(Error::ManagerGone(_))));
    assert!(matches!(list.push(&2), Err(Error::ManagerGone(_))));
    // A thread of its own connects anew, to a listener that somebody has.
    let late = std::thread::spawn(move || list.push(&3)).join().unwrap();
    assert!(matches!(late, Err(Error::ManagerGone(_))), "{late:?}");
    drop(copies);
}

#[test]
fn the_end_of_a_client_is_seen_though_somebody_keeps_its_sockets_open() {
    fn hold(lock: LockProxy, path: PathBuf) {
        let _guard = lock.lock().unwrap();
        std::fs::write(path, "").unwrap();
        sleep_for_ever();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("held");
    let manager = Manager::start().unwrap();
    let lock = manager.lock().unwrap();
    let mut holder = Process::spawn(task!(hold), (lock.clone(), path.clone())).unwrap();
    eventually(|| path.exists());
    let copies = sockets_of(holder.pid());
    holder.kill();
    assert!(matches!(lock.lock_timeout(LONG), Err(LockProxyError::OwnerDied(_))));
    drop(copies);
}
