//! Processes as Rust programs use them: tasks in other processes, and what they share.

mod error;
mod pool;
mod process;
mod socket;
mod task;
mod wire;

pub use error::{Error, Panic, Result, Worker};
pub use pool::{AsCompleted, Batch, Job, Pool, as_completed};
pub use process::{Builder, Current, Process, children, current, join_all};
pub use task::{Args, Task, TaskFn};

/// What the macros write into the code of others.
#[doc(hidden)]
pub mod __private {
    pub use super::process::before_main;
    pub use super::task::{Entry, invoke, typed};
}

pub use process::init;
