//! `ipcpipe clean`: what processes that were killed left behind.

use std::fmt::Write as _;

use ipcpipe::channel::{self, Leftover};
use ipcpipe::mp::AbandonedMemory;
use ipcpipe::{Error, OneLine};

use crate::args::CleanArgs;
use crate::{Outcome, shell};

/// Removes what belongs to dead runs and to dead makers of shared memory, or only lists it, and says what it was.
pub(crate) fn run(args: &CleanArgs) -> Outcome {
    let mut text = describe(&channel::clean(args.dry_run)?, args.dry_run);
    let abandoned = AbandonedMemory::all();
    for memory in abandoned.map_err(|error| Error::refused("cannot look for", "shared memory", error.to_string()))? {
        let line = format!("{} {memory}\n", verb(args.dry_run));
        // One that is gone by now was removed by somebody else.
        if args.dry_run || memory.unlink().is_ok() {
            text.push_str(&line);
        }
    }
    if text.is_empty() {
        text.push_str("nothing to clean\n");
    }
    shell::print(&text)
}

fn verb(dry_run: bool) -> &'static str {
    if dry_run { "would remove" } else { "removed" }
}

fn describe(found: &[Leftover], dry_run: bool) -> String {
    let verb = verb(dry_run);
    let mut text = String::new();
    for Leftover { run, pid, names, stays } in found {
        let pid = pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{verb} run {run} (pid {pid}, dead): {} names", names.len());
        for name in names {
            let _ = writeln!(text, "  {name}");
        }
        if let Some(path) = stays {
            let _ = writeln!(text, "  {} stays: it holds files that no run puts there", OneLine::path(path));
        }
    }
    text
}
