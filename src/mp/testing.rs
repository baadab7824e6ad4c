//! For tests with two processes: the test itself, run once more by a child that is given a shared object.

use std::io::stdin;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::handed::Handed;
use crate::mp::socket::Socket;
use crate::sys::fd::{Inheritable, adopt};

const MARK: &str = "IPCPIPE_TEST_HANDED";

/// A child that is killed and reaped when the test is over, however that ends.
#[derive(Debug)]
pub(crate) struct Partner(Child);

impl Partner {
    /// Kills it with SIGKILL, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Kills it and leaves it a zombie.
    pub(crate) fn kill_only(&mut self) {
        self.0.kill().unwrap();
    }

    /// Waits until it has ended by itself, and well.
    pub(crate) fn join(mut self) {
        assert!(self.0.wait().unwrap().success(), "the partner failed");
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the test with this full name in a child, where [`given`] answers `objects`.
pub(crate) fn partner(test: &str, objects: &[BorrowedFd<'_>]) -> Partner {
    // One at a time, so that no child inherits what another one is given.
    static SPAWN: Mutex<()> = Mutex::new(());
    let _one = SPAWN.lock().unwrap_or_else(PoisonError::into_inner);
    let copies: Vec<_> = objects.iter().map(|fd| fd.try_clone_to_owned().unwrap()).collect();
    let numbers: Vec<_> = copies.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
    let _inherited = Inheritable::new(copies.iter().map(AsFd::as_fd)).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--include-ignored", "--test-threads=1"]).env(MARK, numbers.join(","));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Partner(command.spawn().unwrap())
}

/// In a partner, the object number `index` that it was given; None in the test itself.
pub(crate) fn given<T: Handed>(index: usize) -> Option<T> {
    let numbers = std::env::var(MARK).ok()?;
    let number = numbers.split(',').nth(index)?.parse().ok()?;
    Some(T::attach(adopt(number).unwrap()).unwrap())
}

/// Set in a process that is the other side of a test.
const PEER: &str = "IPCPIPE_TEST_PEER";

/// The other process of the test with this full name, connected.
pub(crate) fn peer(test: &str) -> (Child, Socket) {
    let (ours, theirs) = Socket::pair().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--test-threads=1"]).env(PEER, "1").stdin(theirs.into_fd()).stdout(Stdio::null());
    (command.spawn().unwrap(), ours)
}

/// The connection of the other process to the test; None in the test itself.
pub(crate) fn as_peer() -> Option<Socket> {
    std::env::var_os(PEER)?;
    Some(Socket::from_fd(stdin().as_fd().try_clone_to_owned().unwrap()))
}
