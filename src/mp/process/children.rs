//! The processes that this one has started and not yet let go.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::mp::Worker;

static CHILDREN: Mutex<BTreeMap<u32, Worker>> = Mutex::new(BTreeMap::new());

fn locked() -> MutexGuard<'static, BTreeMap<u32, Worker>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The processes of tasks that this process has started and whose [`Process`](crate::mp::Process) it still holds, by pid.
#[must_use]
pub fn children() -> Vec<Worker> {
    locked().values().cloned().collect()
}

/// A place in the list for as long as it lives.
#[derive(Debug)]
pub(super) struct Listed(u32);

impl Listed {
    pub(super) fn new(worker: Worker) -> Self {
        let pid = worker.pid;
        locked().insert(pid, worker);
        Self(pid)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        locked().remove(&self.0);
    }
}
