//! The hidden `ipcpipe manager performer NAME`: the process in which a demo runs.

use std::io::{self, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use ipcpipe::mp;
use ipcpipe::sys::{process, signal};
use serde::{Deserialize, Serialize};

use super::DEMOS;
use crate::manager::Status;

/// Which demo to be.
#[derive(Debug, clap::Args)]
pub(crate) struct PerformerArgs {
    name: String,
}

/// Stands before the last line of a performer, which is for the program that watches.
pub(super) const CURTAIN: char = '\x1e';

/// How a demo ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Curtain {
    /// What came of it, or why nothing did.
    pub(super) result: Result<String, String>,
    /// How long it took.
    pub(super) elapsed: Duration,
}

/// Runs the demo that `args` name.
pub(crate) fn run(args: &PerformerArgs) -> Status {
    let Some(demo) = DEMOS.iter().find(|demo| demo.name == args.name) else { return Status::USAGE };
    // The one who watches may be killed, and nobody would end the demo then.
    let _ = process::on_parent_death(signal::DEATH);
    let began = Instant::now();
    let result = (demo.run)().map_err(|error| error.to_string());
    let curtain = Curtain { result, elapsed: began.elapsed() };
    let text = serde_json::to_string(&curtain).expect("text and numbers always serialize");
    put(&format!("{CURTAIN}{text}\n"));
    Status::DONE
}

/// A line of a demo with the name and the id of who says it, on standard output at once.
macro_rules! say {
    ($($format:tt)*) => { $crate::manager::demo::performer::line(&format!($($format)*)) };
}
pub(super) use say;

/// Says `text`.
pub(super) fn line(text: &str) {
    match thread::current().name() {
        Some(name) if name != "main" => put(&format!("{name} (tid {}): {text}\n", process::thread_id())),
        _ => put(&format!("{}: {text}\n", mp::current().worker)),
    }
}

/// Writes in one piece, so that the lines of several processes do not mix. Who watches may be gone: that is no matter of the
/// demo.
fn put(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
}
