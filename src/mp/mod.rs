//! Processes as Rust programs use them: tasks in other processes, and what they share.

mod controller;
mod error;
mod handed;
mod memory;
mod pool;
mod process;
mod socket;
mod sync;
mod task;
#[cfg(test)]
mod testing;
mod wire;

pub use controller::{BatchId, Controller, Event, ProcessResult};
pub use error::{Error, Panic, Result, Worker};
pub use memory::{Atomic, Integer, Plain, Unlocked, Value, ValueGuard};
pub use pool::{AsCompleted, Batch, Job, News, Pool, as_completed};
pub use process::{Builder, Current, Process, children, current, init, join_all, wait_any};
pub use sync::{Lock, LockGuard, OwnerDied, TryLockError};
pub use task::{Args, Task, TaskFn};

/// What the macros write into the code of others.
#[doc(hidden)]
pub mod __private {
    pub use super::process::before_main;
    pub use super::task::{Entry, invoke, typed};
}
