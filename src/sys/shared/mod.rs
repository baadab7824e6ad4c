//! Memory that processes share, and how they wait for each other in it.
//!
//! Every process that maps the same memory is trusted as much as this one: it runs a program of the same user, handed the
//! descriptor by somebody who had it. What such a process can do by dying at any instruction is covered here; what it could
//! do by writing nonsense into the memory on purpose is not.

pub(crate) mod futex;
pub(crate) mod guarded;
pub(crate) mod mutex;
pub(crate) mod named;
pub(crate) mod object;
pub(crate) mod owner;
pub(crate) mod region;
pub(crate) mod spill;

pub(crate) use guarded::{Guarded, Held};
pub(crate) use mutex::{Acquired, Kind, MutexGuard, SharedMutex};
pub(crate) use object::{Object, Shape};
pub(crate) use region::Region;
pub(crate) use spill::Spill;

use std::time::{Duration, Instant};

/// The longest that anybody sleeps without a look at whether those who would wake him are still there.
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);

/// When a sleep that begins now ends: after [`PATIENCE`], or at the deadline if that is sooner.
pub(crate) fn nap(deadline: Option<Instant>) -> Instant {
    let patient = Instant::now() + PATIENCE;
    deadline.map_or(patient, |deadline| deadline.min(patient))
}

/// True if the deadline has passed.
pub(crate) fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// The deadline of something that may take `time` from now on; None if that is beyond what a clock can show.
pub(crate) fn deadline_in(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}
