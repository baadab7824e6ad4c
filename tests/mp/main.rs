//! `ipcpipe::mp` with real processes: this test program starts itself as its own children.

mod abandoned;
mod any;
mod chaos;
mod controller;
mod diagnostics;
mod errors;
mod examples;
mod joinable_queue;
mod memory;
mod objects;
mod pool;
mod process;
mod queue;
mod scope;
mod sync;

ipcpipe::init_before_main!();

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// Waits until `is_so`, which something else brings about.
fn eventually(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came about");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Copies of all sockets of process `pid`, as a child has them that it forked: whoever waits on the other side sees no end of
/// them when the process ends, as long as these are here.
fn sockets_of(pid: u32) -> Vec<OwnedFd> {
    let process = pidfd_open(Pid::from_raw(pid as i32).unwrap(), PidfdFlags::empty()).unwrap();
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|entry| entry.unwrap().path());
    let sockets = links.filter(|it| std::fs::read_link(it).is_ok_and(|to| to.to_string_lossy().starts_with("socket:")));
    let numbers = sockets.map(|it| it.file_name().unwrap().to_str().unwrap().parse().unwrap());
    let copies: Vec<_> =
        numbers.map(|it| pidfd_getfd(&process, it, PidfdGetfdFlags::empty()).expect("a copy of a socket")).collect();
    assert!(!copies.is_empty(), "{pid} has no socket");
    copies
}

fn kill(pid: u32) {
    let process = pidfd_open(Pid::from_raw(pid as i32).unwrap(), PidfdFlags::empty()).unwrap();
    rustix::process::pidfd_send_signal(&process, rustix::process::Signal::KILL).unwrap();
}
