//! Which process this is.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::mp::Worker;

/// What a process knows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Its name, MainProcess if nobody started it for a task, and its pid.
    pub worker: Worker,
    /// True if it is killed when its parent ends.
    pub is_daemon: bool,
    /// The pid of the process that started it for a task; None in the main process.
    pub parent: Option<u32>,
}

impl Current {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.worker.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.worker.pid
    }
}

static OWN: OnceLock<(Current, String)> = OnceLock::new();

/// This process: its name is MainProcess, or the one with which it was started for a task.
#[must_use]
pub fn current() -> Current {
    let main = || Current {
        worker: Worker { name: "MainProcess".to_owned(), pid: std::process::id() },
        is_daemon: false,
        parent: None,
    };
    OWN.get().map_or_else(main, |(own, _)| own.clone())
}

/// Says once, in a child, which process this is.
pub(super) fn become_child(current: Current, identity: String) {
    let _ = OWN.set((current, identity));
}

/// The number of the next child: 1, 2, and those of a child 2 are 2:1, 2:2.
pub(super) fn next_child() -> String {
    static CHILDREN: AtomicU32 = AtomicU32::new(0);
    let number = CHILDREN.fetch_add(1, Ordering::Relaxed) + 1;
    OWN.get().map_or_else(|| number.to_string(), |(_, identity)| format!("{identity}:{number}"))
}
