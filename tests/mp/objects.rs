//! Managers: what processes share through a server, and what becomes of it when any of them is killed.

mod data;
mod sync;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use ipcpipe::mp::{
    self, DictProxy, Error, ListProxy, LockProxy, Manager, Process, QueueProxy, SemaphoreProxy, ValueProxy,
};
use ipcpipe::task;

const LONG: Duration = Duration::from_secs(60);

/// Kills the server as nobody should.
fn kill_server(manager: &Manager) {
    kill(manager.worker().pid);
}

fn kill(pid: u32) {
    let killed = Command::new("sh").args(["-c", &format!("kill -KILL {pid}")]).status().unwrap();
    assert!(killed.success());
}

/// The name of the manager's socket, as /proc shows it, without the leading `@`.
fn socket_name(list: &ListProxy<u64>) -> String {
    let debug = format!("{list:?}");
    let name = debug.split("of ").nth(1).unwrap().trim_end_matches(')');
    format!("ipcpipe-{name}")
}

fn connect(name: &str) -> std::io::Result<UnixStream> {
    use std::os::linux::net::SocketAddrExt;
    UnixStream::connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)
}

#[test]
fn b13_a_manager_serves_many_processes() {
    fn work(list: ListProxy<String>, dict: DictProxy<String, usize>) {
        let name = mp::current().worker.name;
        list.push(&name).unwrap();
        dict.set(&name, &list.len().unwrap()).unwrap();
    }
    let manager = Manager::start().unwrap();
    assert_eq!(manager.worker().name, "Manager");
    let (list, dict) = (manager.list().unwrap(), manager.dict().unwrap());
    let start = |_| Process::spawn(task!(work), (list.clone(), dict.clone())).unwrap();
    let processes: Vec<_> = (0..3).map(start).collect();
    let mut names: Vec<_> = processes.iter().map(|process| process.name().to_owned()).collect();
    mp::join_all(processes).into_iter().for_each(|done| done.unwrap());
    let mut found = list.to_vec().unwrap();
    names.sort();
    found.sort();
    assert_eq!(found, names);
    let lengths = dict.to_map::<std::collections::BTreeMap<_, _>>().unwrap();
    assert_eq!(lengths.into_keys().collect::<Vec<_>>(), names);
}

#[test]
fn b13_threads_do_not_wait_for_each_other() {
    let manager = Manager::start().unwrap();
    let queue: QueueProxy<u32> = manager.queue(1).unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| queue.get());
        queue.put(&7).unwrap();
        assert_eq!(waits.join().unwrap().unwrap(), 7);
    });
}

#[test]
fn b13_the_end_of_the_manager_is_an_error_and_no_hang() {
    fn wait_for_lock(lock: LockProxy, ready: QueueProxy<u8>) -> String {
        ready.put(&1).unwrap();
        lock.lock().map(drop).unwrap_err().to_string()
    }
    fn wait_for_item(queue: QueueProxy<u8>, ready: QueueProxy<u8>) -> String {
        ready.put(&2).unwrap();
        queue.get().unwrap_err().to_string()
    }
    let (manager, other) = (Manager::start().unwrap(), Manager::start().unwrap());
    let (lock, queue, ready) = (manager.lock().unwrap(), manager.queue(1).unwrap(), other.queue(2).unwrap());
    let guard = lock.lock().unwrap();
    let first = Process::spawn(task!(wait_for_lock), (lock.clone(), ready.clone())).unwrap();
    let second = Process::spawn(task!(wait_for_item), (queue.clone(), ready.clone())).unwrap();
    ready.get().unwrap();
    ready.get().unwrap();
    kill_server(&manager);
    let [first, second] = [first, second].each_mut().map(|it| it.join_timeout(LONG).unwrap());
    assert!(first.starts_with("cannot take LockProxy ") && first.contains("the manager process is gone"), "{first}");
    assert!(second.starts_with("cannot get from QueueProxy ") && second.ends_with("start another"), "{second}");
    drop(guard);
    assert!(matches!(queue.put(&1), Err(Error::ManagerGone(..))));
    assert!(matches!(manager.list::<u8>(), Err(Error::ManagerGone(..))));
    manager.shutdown();
    assert!(matches!(lock.try_lock().map(drop).map_err(Error::from), Err(Error::ManagerGone(..))));
}

#[test]
fn b13_the_server_ends_with_its_manager_and_with_its_parent() {
    let manager = Manager::start().unwrap();
    let pid = manager.worker().pid;
    let list = manager.list::<u64>().unwrap();
    manager.shutdown();
    assert!(ipcpipe::sys::proc::stat(pid).is_none());
    assert!(matches!(list.len(), Err(Error::ManagerGone(..))));

    fn parent(events: QueueProxy<(u32, ListProxy<u8>)>) {
        let manager = Manager::start().unwrap();
        events.put(&(manager.worker().pid, manager.list().unwrap())).unwrap();
        loop {
            std::thread::park();
        }
    }
    let manager = Manager::start().unwrap();
    let events = manager.queue(1).unwrap();
    let mut process = Process::spawn(task!(parent), events.clone()).unwrap();
    let (pid, list) = events.get().unwrap();
    assert_eq!(list.len().unwrap(), 0);
    process.kill();
    crate::eventually(|| ipcpipe::sys::proc::stat(pid).is_none_or(|stat| stat.is_zombie()));
    assert!(matches!(list.len(), Err(Error::ManagerGone(..))));
}

#[test]
fn b13_what_is_removed_is_an_error_for_those_who_wait_too() {
    let manager = Manager::start().unwrap();
    let queue = manager.queue::<u8>(1).unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| queue.get());
        manager.remove(&queue).unwrap();
        assert!(matches!(waits.join().unwrap(), Err(Error::Refused(_))));
    });
    assert!(matches!(manager.remove(&queue), Err(Error::Refused(_))));
    let other = Manager::start().unwrap();
    assert!(matches!(other.remove(&manager.list::<u8>().unwrap()), Err(Error::Refused(_))));
}

#[test]
fn hostile_bytes_do_the_server_no_harm() {
    let manager = Manager::start().unwrap();
    let list = manager.list::<u64>().unwrap();
    let name = socket_name(&list);
    let frame = |length: u64, fds: u32, bytes: &[u8]| [&length.to_le_bytes(), &fds.to_le_bytes()[..], bytes].concat();
    let mut attacks = vec![vec![], vec![0], vec![255; 100_000], frame(1 << 39, 0, b"x"), frame(0, 0, b"")];
    // Requests that begin as real ones do.
    attacks.extend((0..4_u8).flat_map(|a| (0..16_u8).map(move |b| frame(6, 0, &[a, 0, b, 255, 255, 255]))));
    attacks.push(frame(3, 7, b"abc"));
    for attack in &attacks {
        let mut stream = connect(&name).unwrap();
        // The server may hang up in the middle of it.
        let _ = stream.write_all(attack);
        assert_eq!(list.len().unwrap(), 0, "after {attack:?}");
    }
    // Half a message, and then nothing for ever.
    let mut stalled = connect(&name).unwrap();
    stalled.write_all(&frame(100, 0, b"half")).unwrap();
    list.push(&1).unwrap();
    assert_eq!(list.to_vec().unwrap(), [1]);
    // A proxy of another type is found out when it arrives.
    let text = serde_json::to_string(&list).unwrap();
    serde_json::from_str::<ListProxy<String>>(&text).unwrap_err();
    serde_json::from_str::<ValueProxy<u64>>(&text).unwrap_err();
    assert_eq!(serde_json::from_str::<ListProxy<u64>>(&text).unwrap(), list);
}

/// Run by the test below, as another user.
#[test]
#[ignore = "a part of another test"]
fn stranger() {
    let Ok(text) = std::env::var("IPCPIPE_TEST_PROXY") else { return };
    let list: ListProxy<u64> = serde_json::from_str(&text).unwrap();
    let refused = list.len().unwrap_err();
    assert!(refused.to_string().contains("another user"), "{refused}");
    // Nor does the server talk to one who does not care whose it is.
    let mut stream = connect(&socket_name(&list)).unwrap();
    let mut said = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut said);
    assert!(said.is_empty());
}

#[test]
fn a_client_of_another_user_is_refused() {
    let manager = Manager::start().unwrap();
    let list = manager.list::<u64>().unwrap();
    let mut command = Command::new("/proc/self/exe");
    command.args(["objects::stranger", "--exact", "--ignored"]).uid(65534);
    command.env("IPCPIPE_TEST_PROXY", serde_json::to_string(&list).unwrap());
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        }
        // Only root can be somebody else.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
    list.push(&1).unwrap();
}

#[test]
fn a_server_out_of_descriptors_says_so_and_lives() {
    const THREADS: usize = 40;
    let manager = Manager::start().unwrap();
    let (list, done) = (manager.list::<u64>().unwrap(), manager.event().unwrap());
    let limit = format!("--pid={}", manager.worker().pid);
    assert!(Command::new("prlimit").args([&limit, "--nofile=30:30"]).status().unwrap().success());
    let (sender, answers) = std::sync::mpsc::channel();
    let (served, refused) = std::thread::scope(|scope| {
        let ask = || {
            let (sender, list, done) = (sender.clone(), &list, &done);
            scope.spawn(move || {
                sender.send(list.push(&1)).unwrap();
                // Those that are served keep their connections until all are answered.
                let _ = done.wait();
            });
        };
        let answer = || -> Result<(), Error> { answers.recv().unwrap() };
        // One by one, because each takes more descriptors for a moment than it keeps; then many at once.
        let one_by_one = std::iter::repeat_with(|| (ask(), answer()).1);
        let served = one_by_one.take_while(Result::is_ok).take(THREADS).count();
        (0..THREADS).for_each(|_| ask());
        let refused: Vec<_> = (0..THREADS).filter_map(|_| answer().err()).collect();
        done.set().unwrap();
        (served, refused)
    });
    assert!((10..30).contains(&served), "{served}");
    assert_eq!(refused.len(), THREADS);
    for refused in refused {
        assert!(refused.to_string().contains("cannot serve another thread"), "{refused}");
    }
    assert_eq!(list.len().unwrap(), served);
}

#[test]
fn deaths_at_any_moment_leave_everything_usable() {
    fn work(lock: LockProxy, semaphore: SemaphoreProxy, value: ValueProxy<u64>, queue: QueueProxy<u64>) {
        loop {
            let _guard = lock.lock();
            let _permit = semaphore.acquire().unwrap();
            value.update(task!(|value: &mut u64| *value += 1), ()).unwrap();
            queue.put(&1).unwrap();
            queue.get().unwrap();
        }
    }
    let manager = Manager::start().unwrap();
    let (lock, semaphore) = (manager.lock().unwrap(), manager.bounded_semaphore(1).unwrap());
    let (value, queue) = (manager.value(0).unwrap(), manager.queue(2).unwrap());
    let args = || (lock.clone(), semaphore.clone(), value.clone(), queue.clone());
    for round in 0..30 {
        let start = || Process::builder(task!(work), args()).daemon(true).spawn().unwrap();
        let (mut first, mut second) = (start(), start());
        let before = value.get().unwrap();
        // Some rounds end before, some in the middle of it.
        crate::eventually(|| value.get().unwrap() >= before + round);
        first.kill();
        second.kill();
        // The killed one may leave an item, and that is all.
        while queue.try_get().is_ok() {}
    }
    drop(lock.lock_timeout(LONG));
    drop(lock.lock().unwrap());
    assert!(semaphore.acquire_timeout(LONG).unwrap().is_some());
}
