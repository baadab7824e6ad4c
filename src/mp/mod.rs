//! Processes as Rust programs use them: tasks in other processes, and what they share.

mod error;
mod socket;
mod wire;

pub use error::{Error, Panic, Result, Worker};
