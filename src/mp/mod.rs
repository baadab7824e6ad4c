//! Processes as Rust programs use them: tasks in other processes, and what they share.

mod error;
mod pipe;
mod socket;
#[cfg(test)]
mod testing;
mod wire;

pub use error::{Error, Panic, Result, Worker};
pub use pipe::{Connection, Receiver, ReceiverIntoIter, ReceiverIter, Sender, channel, pipe};
