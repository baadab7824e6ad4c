//! What a worker has done.

use std::time::Duration;

use crate::mp::Worker;
use crate::mp::pool::crew::Member;

/// What one worker of a pool has done so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStats {
    /// Who.
    pub worker: Worker,
    /// How many jobs it has answered.
    pub jobs: u64,
    /// How long it was busy with them.
    pub busy: Duration,
    /// How long ago it was started, or how long it lived.
    pub age: Duration,
    /// False if it has ended and another has taken its place.
    pub is_alive: bool,
}

impl WorkerStats {
    pub(super) fn of(member: &Member, is_alive: bool) -> Self {
        let (worker, age) = (member.worker().clone(), member.since.elapsed());
        Self { worker, jobs: member.answered, busy: member.busy, age, is_alive }
    }
}
