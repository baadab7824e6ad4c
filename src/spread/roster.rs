//! Who works, and how long they may take to answer once the work is to end. A worker may be stopped, or hang where it reads,
//! and whoever has asked for the end does not wait for that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::sys::handle::Handle;
use crate::sys::proc;
use crate::sys::signal::KILL;

/// Time from one look to the next.
const TICK: Duration = Duration::from_millis(100);
/// How long a worker may be stopped, as by SIGSTOP, when it is to end.
const STOPPED: Duration = Duration::from_secs(1);
/// How long a worker may take for its last piece and its report, which of many words is long.
const BUSY: Duration = Duration::from_secs(10);

/// All workers of a count.
#[derive(Debug, Default)]
pub(super) struct Roster {
    entries: Mutex<Entries>,
    change: Condvar,
}

#[derive(Debug, Default)]
struct Entries {
    all: Vec<Entry>,
    is_over: bool,
}

#[derive(Debug)]
struct Entry {
    handle: Arc<Handle>,
    pid: u32,
    was_killed: Arc<AtomicBool>,
}

impl Roster {
    /// Enters a worker; what comes back is true once it was killed here.
    pub(super) fn enter(&self, handle: Arc<Handle>, pid: u32) -> Arc<AtomicBool> {
        let was_killed = Arc::new(AtomicBool::new(false));
        self.locked().all.push(Entry { handle, pid, was_killed: was_killed.clone() });
        was_killed
    }

    /// Ends [`Roster::watch`]: nobody waits for a worker any more.
    pub(super) fn close(&self) {
        self.locked().is_over = true;
        self.change.notify_all();
    }

    /// Kills the workers that stay too long when they are `to_end`. Returns when the roster is closed.
    pub(super) fn watch(&self, to_end: impl Fn() -> bool) {
        let mut asked = None;
        let mut entries = self.locked();
        while !entries.is_over {
            if to_end() {
                let since = asked.get_or_insert_with(Instant::now).elapsed();
                entries.all.iter().filter(|entry| entry.is_late(since)).for_each(Entry::kill);
            }
            entries = self.change.wait_timeout(entries, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn locked(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// True if it has taken too long, `since` after it was asked to end.
    fn is_late(&self, since: Duration) -> bool {
        since > STOPPED && !self.handle.has_ended() && (since > BUSY || self.is_stopped())
    }

    fn is_stopped(&self) -> bool {
        proc::stat(self.pid).is_some_and(|stat| matches!(stat.state, 'T' | 't'))
    }

    fn kill(&self) {
        self.was_killed.store(true, Ordering::Relaxed);
        self.handle.signal(KILL);
    }
}
