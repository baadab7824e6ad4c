//! The four stages, as functions over typed ends: conv makes samples, log keeps them, stat folds them,
//! report shows them.
//!
//! ```text
//! Samples -> conv -+-> log  -> File
//!                  +-> stat -> report -> Write
//! ```
//!
//! # The contract
//! - **A stage knows its ends and nothing else.** Records come from a [`Receiver`](crate::channel::Receiver)
//!   and leave through a [`Sender`](crate::channel::Sender); which backend carries them it never learns.
//!   File, terminal, clock, random seed and the wish to stop are parameters, so all four run as threads of
//!   one test just as they run as four processes.
//! - **Stop is data.** Only [`conv()`] can be asked to stop. It then ends its links, and each stage
//!   downstream finishes because its input ended. Nothing that was sent is dropped on the way.
//! - **Every stage returns, and returns its counts.** An outcome says how many records passed and their
//!   checksum, however the stage ended; what cut it short is the outcome's [`Fault`], one line that names
//!   the object, and its kind. Outcomes are plain data for serde, so that a process can hand its own to the launcher.
//! - **Batches are invisible.** What a stage computes depends on the samples and their order, never on how
//!   they were cut into frames.
//! - **Nothing waits for a timer's sake.** Before a stage blocks it passes on everything that it holds.
//!   The two waits with a limit are asked for: `log`'s periodic sync and `report`'s slowest pace.
//! - **Memory is flat.** Each stage has a few buffers of fixed size, whatever flows through.

pub mod conv;
mod fault;
pub mod fold;
mod latency;
pub mod log;
pub mod number;
mod report;
mod stat;
mod statistics_wire;
#[cfg(test)]
mod testing;
mod world;

pub use conv::conv;
pub use fault::{Fault, FaultKind};
pub use latency::Latency;
pub use log::log;
pub use report::{ReportOutcome, report};
pub use stat::{StatOutcome, stat};
pub use world::{Clock, Input, InputWake, Taken, Wake, World};
