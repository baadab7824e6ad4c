//! For tests: the other process.

use std::io::stdin;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use crate::mp::socket::Socket;

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
