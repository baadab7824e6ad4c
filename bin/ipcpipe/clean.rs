//! `ipcpipe clean`: what runs that were killed left behind.

use std::fmt::Write as _;

use ipcpipe::OneLine;
use ipcpipe::channel::{self, Leftover};

use crate::args::CleanArgs;
use crate::{Outcome, shell};

/// Removes what belongs to dead runs, or only lists it, and says what it was.
pub(crate) fn run(args: &CleanArgs) -> Outcome {
    let found = channel::clean(args.dry_run)?;
    shell::print(&describe(&found, args.dry_run))
}

fn describe(found: &[Leftover], dry_run: bool) -> String {
    if found.is_empty() {
        return "nothing to clean\n".to_owned();
    }
    let verb = if dry_run { "would remove" } else { "removed" };
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
