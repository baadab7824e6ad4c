//! How processes wait for each other: locks, semaphores, conditions, events and barriers in shared memory.
//!
//! Each of them can be cloned, which gives another handle of the same thing, and sent to another process as part of an
//! argument or a message. None of them hangs for ever because somebody was killed: whoever waits looks every 100 ms at the
//! latest whether those for whom he waits are still there. A process that is stopped (SIGSTOP) is there: what it holds stays
//! taken until it goes on.

mod barrier;
mod condition;
mod died;
mod event;
mod holders;
mod lock;
mod rlock;
mod semaphore;

pub use barrier::Barrier;
pub use condition::Condition;
pub use died::{OwnerDied, TryLockError};
pub(crate) use died::{with_deadline, without_deadline};
pub use event::Event;
pub use lock::{Lock, LockGuard};
pub use rlock::{RLock, RLockGuard};
pub use semaphore::{Permit, Semaphore};
