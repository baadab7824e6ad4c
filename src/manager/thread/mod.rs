//! Cooperative threads: a task that parks, goes on and ends at checkpoints of its own.
//!
//! Nothing can pause or end a thread from outside without leaving what it holds in pieces, so a task asks, through its
//! [`Control`], whether it is to go on.

mod control;
mod task;
mod worker;

pub use control::{Control, Stopped};
pub use task::tick_lines;
pub(crate) use worker::{Outcome, Worker, WorkerState};
