//! For tests with real trees of processes.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::tree::Root;
use crate::sys::child::Child;
use crate::sys::proc;

/// A shell with a group of its own, which has said `lines` pids of descendants. The cookie is its own too, because other
/// test runs on this machine have the same tests.
pub(crate) fn tree(cookie: &str, script: &str, lines: usize) -> (Child, Root, Vec<u32>) {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let cookie = format!("{cookie}-{}", std::process::id());
    command.env("IPCPIPE_PROCESS", &cookie);
    let mut child = Child::spawn(&mut command, []).unwrap();
    let output = BufReader::new(std::fs::File::from(child.take_output().0.unwrap()));
    let said = output.lines().take(lines).map(|line| line.unwrap().parse().unwrap()).collect();
    let start_ticks = proc::stat(child.pid()).unwrap().start_ticks;
    let root = Root { pid: child.pid(), start_ticks, cookie: format!("IPCPIPE_PROCESS={cookie}") };
    (child, root, said)
}
