//! What every entry needs from the manager while the manager deals with it.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use crate::manager::command::Kind;
use crate::manager::event_log::EventLog;
use crate::manager::guardian::Guardian;
use crate::manager::journal::Journal;
use crate::manager::protocol::{Event, Level};
use crate::sys::clock;

/// The manager's belongings, lent for one step.
pub(crate) struct Context<'a> {
    /// The time of this step.
    pub(crate) now: Instant,
    /// Where events go.
    pub(crate) events: &'a mut EventLog,
    /// Children of the manager that lead a tree of their own.
    pub(crate) leaders: &'a mut HashSet<u32>,
    /// The process that ends the daemons when the manager is killed.
    pub(crate) guardian: &'a mut Guardian,
    /// What is written down for a later manager.
    pub(crate) journal: &'a mut Option<Journal>,
    /// The manager is ending: nothing is started again.
    pub(crate) ending: bool,
    /// What does not change.
    pub(crate) setup: &'a Setup,
}

/// What a manager is told once.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Program and first arguments of the built-in job; name and period follow.
    pub(crate) job: Vec<OsString>,
    /// Tells the children of this manager from those of others; unique on the machine.
    pub(crate) tag: String,
    /// Where sockets for sd_notify(3) are made.
    pub(crate) directory: PathBuf,
}

/// Whom an event is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: &'a str,
    /// Its process id or thread id.
    pub(crate) pid: Option<u32>,
}

impl Context<'_> {
    /// Tells everybody who listens that `event` happened to `subject`, and why.
    pub(crate) fn tell(&mut self, level: Level, event: &str, subject: Subject<'_>, why: &str) {
        let Subject { kind, name, pid } = subject;
        let msg = format!("{} {name} {event}: {why}", kind.name());
        let target = name.to_owned();
        let event = event.to_owned();
        self.events.push(Event { ts_ns: clock::realtime_ns(), level, event, target, pid, msg, lost: 0 });
    }
}
