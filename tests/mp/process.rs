//! Processes: their results, their names, and every way to end.

use std::time::Duration;

use ipcpipe::mp::{self, Error, Event, Process, Worker};
use ipcpipe::sys::child::Status;
use ipcpipe::task;

use crate::eventually;

const LONG: Duration = Duration::from_secs(60);
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

fn div(a: f64, b: f64) -> Result<f64, String> {
    if b == 0.0 { Err("division by zero".to_owned()) } else { Ok(a / b) }
}

fn sleep_for_ever() {
    loop {
        std::thread::park();
    }
}

fn leave() {
    std::process::exit(3)
}

fn abort() {
    std::process::abort()
}

#[test]
fn b1_a_process_runs_a_task_and_gives_its_result() {
    let process = Process::spawn(task!(div), (4.0, 2.0)).unwrap();
    assert_eq!(process.join().unwrap(), Ok(2.0));
    let process = Process::spawn(task!(div), (1.0, 0.0)).unwrap();
    assert_eq!(process.join().unwrap(), Err("division by zero".to_owned()));
}

#[test]
fn b2_many_processes_are_started_and_joined_in_order() {
    let start = |n: u64| Process::spawn(task!(|n: u64| n * n), n).unwrap();
    let squares: Vec<u64> = mp::join_all((0..10).map(start)).into_iter().map(Result::unwrap).collect();
    assert_eq!(squares, (0..10).map(|n| n * n).collect::<Vec<_>>());
}

#[test]
fn b3_a_process_has_a_pid_and_a_parent() {
    let mut process = Process::spawn(task!(|| (std::process::id(), std::os::unix::process::parent_id())), ()).unwrap();
    let pid = process.pid();
    assert_eq!(process.join_timeout(LONG).unwrap(), (pid, std::process::id()));
}

#[test]
fn b4_a_process_knows_its_name() {
    let own = || mp::current().name().to_owned();
    assert_eq!(own(), "MainProcess");
    let process = Process::spawn(task!(|| mp::current().name().to_owned()), ()).unwrap();
    let name = process.name().to_owned();
    assert!(name.starts_with("Process-"), "{name}");
    assert_eq!(process.join().unwrap(), name);
    let named = Process::builder(task!(|| mp::current().name().to_owned()), ()).name("Ada").spawn().unwrap();
    assert_eq!(named.join().unwrap(), "Ada");
}

#[test]
fn b4_a_child_of_a_child_has_a_name_that_says_so() {
    fn outer() -> String {
        Process::spawn(task!(|| mp::current().name().to_owned()), ()).unwrap().join().unwrap()
    }
    let process = Process::spawn(task!(outer), ()).unwrap();
    let expected = format!("{}:1", process.name());
    assert_eq!(process.join().unwrap(), expected);
}

#[test]
fn b5_a_crash_is_a_value_and_nobody_else_notices() {
    let worker = |process: &Process<()>| Worker { name: process.name().to_owned(), pid: process.pid() };
    let exits = Process::spawn(task!(leave), ()).unwrap();
    let (who, other) = (worker(&exits), Process::spawn(task!(|| 7), ()).unwrap());
    match exits.join() {
        Err(Error::Exited(found, 3)) => assert_eq!(*found, who),
        found => panic!("{found:?}"),
    }
    let mut killed = Process::spawn(task!(sleep_for_ever), ()).unwrap();
    killed.kill();
    assert_eq!(killed.status(), Some(Status::Killed(SIGKILL)));
    assert!(matches!(killed.join(), Err(Error::Signalled(_, SIGKILL))));
    assert!(matches!(Process::spawn(task!(abort), ()).unwrap().join(), Err(Error::Signalled(_, 6))));
    assert_eq!(other.join().unwrap(), 7);
}

#[test]
fn b5_a_panic_is_a_value_with_message_place_and_backtrace() {
    fn fail(n: u32) {
        panic!("number {n} is bad");
    }
    let failed = Process::spawn(task!(fail), 13).unwrap().join();
    let Err(Error::Panicked(worker, panic)) = failed else { panic!("{failed:?}") };
    assert_eq!(panic.message, "number 13 is bad");
    assert!(panic.location.contains("tests/mp/process.rs:"), "{}", panic.location);
    assert!(panic.backtrace.contains("fail"), "{}", panic.backtrace);
    assert!(worker.name.starts_with("Process-"));
}

#[test]
fn d4_a_process_that_takes_too_long_is_terminated() {
    let mut process = Process::spawn(task!(sleep_for_ever), ()).unwrap();
    assert!(matches!(process.join_timeout(Duration::from_millis(50)), Err(Error::TimedOut(..))));
    assert!(process.is_alive());
    process.terminate(LONG);
    assert!(!process.is_alive());
    assert!(matches!(process.join(), Err(Error::Signalled(_, SIGTERM))));
}

#[test]
fn d4_one_that_ignores_the_request_is_killed() {
    fn deaf(ready: std::path::PathBuf) {
        ipcpipe::sys::signal::ignore(&ipcpipe::sys::signal::REQUESTS).unwrap();
        std::fs::write(ready, "").unwrap();
        sleep_for_ever();
    }
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let mut process = Process::spawn(task!(deaf), ready.clone()).unwrap();
    eventually(|| ready.exists());
    process.terminate(Duration::from_millis(50));
    assert_eq!(process.status(), Some(Status::Killed(SIGKILL)));
}

#[test]
fn d5_a_method_of_a_struct_is_a_task() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Matrix {
        rows: Vec<Vec<f64>>,
    }
    impl Matrix {
        fn trace(self) -> f64 {
            self.rows.iter().enumerate().map(|(i, row)| row[i]).sum()
        }
    }
    let matrix = Matrix { rows: vec![vec![1.0, 2.0], vec![3.0, 4.0]] };
    assert_eq!(Process::spawn(task!(Matrix::trace), matrix).unwrap().join().unwrap(), 5.0);
}

#[test]
fn d7_dropping_a_process_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("done");
    fn write_late(path: std::path::PathBuf) {
        std::thread::sleep(Duration::from_millis(50));
        std::fs::write(path, "done").unwrap();
    }
    drop(Process::spawn(task!(write_late), path.clone()).unwrap());
    assert_eq!(std::fs::read_to_string(path).unwrap(), "done");
}

#[test]
fn d8_a_daemon_ends_when_it_is_dropped() {
    let daemon = Process::builder(task!(sleep_for_ever), ()).daemon(true).spawn().unwrap();
    let pid = daemon.pid();
    assert!(daemon.is_daemon());
    drop(daemon);
    assert!(ipcpipe::sys::proc::stat(pid).is_none());
}

#[test]
fn d8_a_daemon_ends_when_its_parent_is_killed() {
    fn parent(path: std::path::PathBuf) {
        let daemon = Process::builder(task!(sleep_for_ever), ()).daemon(true).spawn().unwrap();
        std::fs::write(path.with_extension("new"), daemon.pid().to_string()).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
        sleep_for_ever();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pid");
    let mut process = Process::spawn(task!(parent), path.clone()).unwrap();
    eventually(|| path.exists());
    let daemon: u32 = std::fs::read_to_string(path).unwrap().parse().unwrap();
    process.kill();
    eventually(|| ipcpipe::sys::proc::stat(daemon).is_none_or(|stat| stat.is_zombie()));
}

#[test]
fn d9_a_child_is_this_program_started_anew() {
    fn program() -> (std::path::PathBuf, Vec<String>) {
        (std::env::current_exe().unwrap(), std::env::args().collect())
    }
    let (path, args) = Process::builder(task!(program), ()).name("Eve").spawn().unwrap().join().unwrap();
    assert_eq!(path, std::env::current_exe().unwrap());
    assert_eq!(args[0], "ipcpipe: Eve");
    assert!(args[2].contains("program"), "{args:?}");
}

#[test]
fn a_process_is_paused_and_resumed() {
    let mut process = Process::spawn(task!(sleep_for_ever), ()).unwrap();
    assert!(process.pause());
    assert!(ipcpipe::sys::proc::stat(process.pid()).unwrap().is_stopped());
    process.resume();
    eventually(|| !ipcpipe::sys::proc::stat(process.pid()).unwrap().is_stopped());
    assert!(process.pause());
    process.terminate(LONG);
    assert!(!process.pause());
}

#[test]
fn arguments_and_results_of_64_mib_pass() {
    let text = "x".repeat(64 << 20);
    let process = Process::spawn(task!(|text: String| text + "y"), text.clone()).unwrap();
    // The child waits for no reader: it is joined long after it is done.
    let back = process.join().unwrap();
    assert_eq!(back.len(), text.len() + 1);
    assert!(back.ends_with("xy"));
}

#[test]
fn children_are_listed_while_they_are_held() {
    let process = Process::builder(task!(sleep_for_ever), ()).daemon(true).spawn().unwrap();
    let worker = process.worker().clone();
    assert!(mp::children().contains(&worker));
    drop(process);
    assert!(!mp::children().contains(&worker));
}

#[test]
fn a_paused_process_goes_on_when_it_is_dropped() {
    let mut process = Process::spawn(task!(|| std::thread::sleep(Duration::from_millis(20))), ()).unwrap();
    process.pause();
    drop(process);
}

#[test]
fn b2_who_only_asks_needs_no_exclusive_right() {
    fn large(go: Event) -> Vec<u8> {
        go.wait();
        vec![7; 4 << 20]
    }
    let go = Event::new().unwrap();
    let process = Process::spawn(task!(large), go.clone()).unwrap();
    assert!(process.is_alive() && process.status().is_none() && process.usage().is_none());
    std::thread::scope(|scope| {
        // A result larger than any buffer of the system: the child ends only if the question takes it in.
        let asks = || eventually(|| !process.is_alive());
        for _ in 0..2 {
            scope.spawn(asks);
        }
        go.set();
    });
    assert_eq!(process.status(), Some(Status::Exited(0)));
    assert_eq!(process.join().unwrap().len(), 4 << 20);
}
